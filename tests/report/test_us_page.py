from __future__ import annotations

import pytest

from gluon_liver.errors import RunError
from gluon_liver.report.figures.plots import plot_scene_sensitivity
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.pages.us_page import write_us_report
from gluon_liver.report.tables.us_tables import DISAGREEMENT, P_NOTE
from tests.conftest import change_json

from .test_ct_page import Page, check_alone


def report_of(run):
    return Page(write_us_report(run).read_text(encoding="utf-8"))


def test_the_page_says_what_a_reader_must_know(us_run):
    page = report_of(us_run)
    for wanted in (
        "Phantom result: says nothing about patients.",
        "Mean AP 0.549 0.530 0.767",
        DISAGREEMENT,
        P_NOTE,
        "Tumor 0.627±0.390 0.456±0.411 0.003 −2.921 0.667±0.289 3",
        "Blood vessel 0.558±0.201 0.576±0.202 0.290 −0.559 0.875±0.250 4",
        "case-0a/scene-003 2 1.000 2 of 2",
        "“Our model” in the paper's tables",
        "other scenes of the same recordings",
        "model: us-flow",
        '"python": "3.11.7"',
        "7 steps, epoch 2, last total loss 2",
    ):
        assert wanted in page.text
    positions = [page.text.index(f"an example of a {kind}") for kind in ("hit", "false positive", "miss")]
    assert positions == sorted(positions)


def test_real_data(us_run):
    data = {"phantom": False, "note": "one hospital", "fingerprint": "f", "split_by": "patient"}
    change_json(us_run / "results.json", data=data, overlays=[])
    page = report_of(us_run)
    assert "hantom" not in page.text and "They hold for the scenes evaluated here (patients: 1)" in page.text
    assert "No overlay was drawn." in page.text


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"model": "us-new"}, "no model 'us-new'"),
        ({"model": None}, "model is missing or of the wrong type"),
        ({"checkpoint": 3}, "checkpoint is missing"),
        ({"detections": None}, "detections is missing"),
        ({"detections": {"score_threshold": "0.01", "max_detections": 9}}, "must say score_threshold"),
        ({"data": {"phantom": True, "note": "x", "split_by": "scene"}}, "must say fingerprint"),
        ({"data": {"phantom": True, "note": "x", "fingerprint": "f", "split_by": []}}, "split_by"),
        ({"summary": {}}, "summary has no valid annotated_images, ap,"),
        ({"classes": ["tumor"]}, "classes"),
        ({"kind": "ct"}, "kind 'ct'; needed is format 1 of kind 'us'"),
        ({"overlays": [{"file": "../x.png", "caption": "", "kind": "hit"}]}, "outside"),
    ],
)
def test_results_that_contradict_the_format(us_run, entries, message):
    change_json(us_run / "results.json", **entries)
    with pytest.raises(RunError, match=message) as caught:
        write_us_report(us_run)
    assert "results.json" in str(caught.value)
    assert not (us_run / "report.html").exists()


@pytest.mark.parametrize("count", [1, 2, 120])
def test_the_plot_takes_few_and_many_scenes(count):
    scenes = [f"s{number}" for number in range(count)]
    values = {scene: number % 3 / 2 for number, scene in enumerate(scenes)}
    first = plot_scene_sensitivity(scenes, {"Tumor": {}, "Blood vessel": values})
    assert first.png.startswith(b"\x89PNG")
    assert plot_scene_sensitivity(scenes, {"Tumor": values, "Blood vessel": values}) != first


def test_the_page_needs_nothing_else_and_escapes(us_run):
    text = write_us_report(us_run).read_text(encoding="utf-8")
    assert "&lt;script&gt;frames" in text
    check_alone(text, images=3, charts=3)  # three overlays; how good, sensitivities, losses


def test_a_missing_log_and_the_other_page_are_refused(us_run):
    with pytest.raises(RunError, match="kind 'us'; needed is format 1 of kind 'ct'. This is a run of the other paper"):
        write_report(us_run)
    (us_run / "log.jsonl").unlink()
    with pytest.raises(RunError, match="log.jsonl"):
        write_us_report(us_run)
