from __future__ import annotations

import json
import math
import shutil

import pytest

from gluon_liver.commands import main
from gluon_liver.errors import RunError
from gluon_liver.report.comparison.us_compare import EvaluatedUsRun, compare_text, paired_tests, read_us_run
from gluon_liver.report.tables.table import PHANTOM_WARNING

from .conftest import us_results


def make(name, *missed, **entries):
    return EvaluatedUsRun(name, us_results(set(missed), **entries))


def row(text, start):
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_both_tables_by_hand():
    # tumors of scenes 1, 2, 3: A 0.5, 0.5, 1 and B 0.5, 0, 0.5: A - B 0, 0.5, 0.5; vessels: the same in both
    a = make("flow", (0, 0), (3, 0))
    b = make("plain", (1, 0), (2, 0), (3, 0), (4, 0), model="us-faster-rcnn")
    text = compare_text(a, b)
    assert row(text, "Mean AP")[2:] == ["0.549", "0.530", "+0.019", "0.832", "0.668", "+0.163"]
    assert row(text, "AP50")[1:4] == ["0.887", "0.881", "+0.006"]
    assert row(text, "AP75")[1:4] == ["0.641", "0.625", "+0.016"]
    assert row(text, "Tumor, paper")[2:] == ["0.627±0.390", "0.456±0.411", "+0.171", "0.003", "−2.921", "30"]
    assert row(text, "Blood vessel, paper")[3:] == ["0.558±0.201", "0.576±0.202", "-0.018", "0.290", "−0.559", "30"]
    # mean 1/3, SD sqrt(1/12), t = 2; two degrees of freedom: p = 1 - t / sqrt(2 + t^2) = 1 - sqrt(2/3)
    assert f"{1 - math.sqrt(2 / 3):.3f}" == "0.184"
    assert row(text, "Tumor, A")[4:] == ["0.667±0.289", "0.333±0.289", "+0.333", "0.184", "2.000", "3"]
    assert row(text, "Blood vessel, A")[5:] == ["1.000±0.000", "1.000±0.000", "+0.000", "-", "-", "4"]
    assert "Blood vessel: no t-test: the two runs are equal in every scene." in text
    assert "A: flow, us-flow, checkpoint step-00000400.\nB: plain, us-faster-rcnn" in text
    flat = " ".join(text.split())
    assert PHANTOM_WARNING in flat and "two-sided" in flat and "0.623±0.385" in flat
    assert max(map(len, text.splitlines())) <= 110


def test_the_papers_columns_follow_the_runs():
    text = compare_text(make("plain", model="us-faster-rcnn"), make("flow", (0, 0)))
    assert row(text, "Mean AP")[2:5] == ["0.530", "0.549", "-0.019"]
    assert row(text, "Tumor, paper")[2:5] == ["0.456±0.411", "0.627±0.390", "-0.171"]
    assert "Faster R-CNN / A" in text and "Our model / B" in text


def test_frames_that_lie_elsewhere_before_the_scored_ones_are_told():
    one, other = make("one"), make("other")
    other.results["data"]["step"] = 6
    text = compare_text(one, other)
    assert "A: one, us-flow, checkpoint" in text and "B: other, us-flow with the frame 6 before, checkpoint" in text


@pytest.mark.parametrize("model", ["us-flow", "us-faster-rcnn"])
def test_two_runs_of_one_model_are_not_the_papers_columns(model):
    text = compare_text(make("one", model=model), make("two", (0, 0), model=model))
    assert row(text, "Label") == ["Label", "A", "B", "difference", "P", "value", "t-value", "scenes"]
    assert row(text, "Tumor, paper")[2:4] == ["0.627±0.390", "0.456±0.411"]
    flat = " ".join(text.split())
    assert f"Both runs are {model}" in flat and "have Our model under A and Faster R-CNN under B." in flat
    assert max(map(len, text.splitlines())) <= 110


def test_what_each_run_keeps():
    flat = " ".join(compare_text(make("one"), make("two")).split())
    assert "configuration keeps: score above 0.01, at most 100 a frame." in flat
    other = make("two", detections={"score_threshold": 0.5, "max_detections": 20})
    flat = " ".join(compare_text(make("one"), other).split())
    assert "keeps: score above 0.01, at most 100 a frame / score above 0.5, at most 20 a frame." in flat


def test_a_run_beside_itself_has_no_t():
    tests = paired_tests(make("one", (0, 0)), make("one", (0, 0)))
    assert [test.t for test in tests.values()] == [None, None]


def test_evaluate_compares_from_the_command_line(us_run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(str(us_run), str(other))
    (other / "results.json").write_text(json.dumps(us_results(model="us-faster-rcnn")))
    assert main(["evaluate", "--compare", str(us_run), str(other)]) == 0
    expected = compare_text(read_us_run(us_run), read_us_run(other))
    printed = capsys.readouterr()
    assert printed.out == expected and "A: run, us-flow" in expected
    assert "note: run and other: no truth.json, evaluated by an older version" in printed.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("", "give --run RUN to score a run, or --compare RUN_A RUN_B"),
        ("--compare {us} {us} --run {us} --split val", "takes no --run, --split"),
        ("--compare {us} {us} --bootstrap 5 --dense", "takes no --dense"),
        ("--compare {us} {us}/nowhere", "no such run folder"),
        ("--compare {us}/overlays {us}", "results.json cannot be read: No such file"),
        ("--compare {us} {us} --device gpu:0", "takes no --device"),
        ("--compare {us} {us} --batch-size 2 --no-lock", "takes no --batch-size, --no-lock"),
    ],
)
def test_bad_input(us_run, capsys, arguments, message):
    assert main(["evaluate", *arguments.replace("{us}", str(us_run)).split()]) == 2
    assert message in capsys.readouterr().err


def test_a_run_of_the_other_paper_has_no_such_tables(run):
    with pytest.raises(RunError, match="kind 'ct'; needed is format 1 of kind 'us'. This is a run of the other paper"):
        read_us_run(run)


OTHER_SCENES = {number: f"case-0a/scene-{number // 2 + 2:03d}" for number in range(8)}


@pytest.mark.parametrize(
    "entries, summary, message",
    [
        ({"split": "val"}, {}, "their split are test and val"),
        ({"classes": ["tumor", "vein"]}, {}, "their classes are"),
        ({"data": {"fingerprint": "g"}}, {}, "not the same recordings"),
        (
            {"scenes": OTHER_SCENES},
            {},
            "first run lacks case-0a/scene-005; the second run lacks case-0a/scene-001; evaluate both",
        ),
        ({}, {"truth": "0"}, "other frames or boxes"),
        ({}, {"settings": {"score_threshold": 0.3}}, "settings are.*0.5.*0.3"),
    ],
)
def test_runs_that_were_scored_otherwise_are_refused(entries, summary, message):
    other = make("two", **entries)
    other.results["summary"].update(summary)
    with pytest.raises(RunError, match=f"one and two cannot be compared.*{message}"):
        compare_text(make("one"), other)
