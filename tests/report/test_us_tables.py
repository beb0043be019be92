from __future__ import annotations

import pytest

from gluon_liver.errors import InputError
from gluon_liver.report.tables.table import PHANTOM_WARNING
from gluon_liver.report.tables.us_tables import (
    ABSTRACT,
    DISAGREEMENT,
    P_NOTE,
    RESULTS,
    TABLE1,
    TABLE2,
    counted_text,
    label_table,
    mean_sd,
    scene_table,
    table1,
    table2,
    us_notes,
    us_text,
)

from .conftest import us_results

COUNTED = counted_text({"score_threshold": 0.05, "max_detections": 30})


def lines(table, columns):
    return [" ".join(str(cell) for cell in row[:columns]) for row in table.rows]


def test_texts_and_values_of_the_printed_numbers_agree():
    for columns in TABLE1.values():
        assert all(float(cell.text) == cell.value for cell in columns.values())
    for row in TABLE2.values():
        for cell in row.sensitivity.values():
            assert tuple(map(float, cell.text.split("±"))) == (cell.mean, cell.sd)
        assert float(row.p.text) == row.p.value and float(row.t.text.replace("−", "-")) == row.t.value
    for said in (ABSTRACT, RESULTS):
        assert tuple(map(float, said.sensitivity.text.split("±"))) == said.sensitivity[1:]


def test_the_papers_differences():
    # "0.549, which is 0.019 better"; "0.627±0.390, which is 0.171 better"; the abstract: 0.623±0.385, 0.146 better
    ours, baseline = TABLE1["Mean AP"].values()
    assert ours.value - baseline.value == pytest.approx(0.019)
    ours, baseline = TABLE2["Tumor"].sensitivity.values()
    assert ours == RESULTS.sensitivity and ours.mean - baseline.mean == pytest.approx(RESULTS.better.value)
    assert ABSTRACT.sensitivity.text == "0.623±0.385" and ABSTRACT.better.text == "0.146"
    assert ABSTRACT.sensitivity.mean - baseline.mean != pytest.approx(ABSTRACT.better.value, abs=0.01)
    for text in ("0.623±0.385, 0.146 better", "0.627±0.390, 0.171 better"):
        assert text in DISAGREEMENT


def test_this_run_by_hand():
    # scenes 1 to 3 have two tumors each, of which 1, 1 and 2 are found; scene 3 lacks the vessels of a frame
    summary = us_results({(0, 0), (3, 0), (5, 1)})["summary"]
    rows = table2(summary, model="us-faster-rcnn").rows
    # tumor: 0.5, 0.5, 1 -> 2/3, SD sqrt(1/12); vessel: 1, 1, 0.5, 1 -> 0.875, SD 0.25
    assert [str(cell) for cell in rows[0][5:]] == ["0.667±0.289", "3"]
    assert [str(cell) for cell in rows[1][5:]] == ["0.875±0.250", "4"]
    # recall 4/6 at precision 1: 67 of 101 recall points; 14/16: 88
    by_label = label_table(summary)
    assert lines(by_label, 5) == [
        "Tumor 0.663 0.663 0.663 6",
        "Blood vessel 0.871 0.871 0.871 16",
        "mean (boxes: all) 0.767 0.767 0.767 22",
    ]
    assert [str(row[3]) for row in table1(summary, model="us-flow").rows] == ["0.767"] * 3
    assert lines(scene_table(summary), 5)[2:] == [
        "3 case-0a/scene-003 2 1.000 2 of 2 0.500 2 of 4",
        "4 case-0a/scene-004 2 - 1.000 4 of 4",
    ]


def test_what_is_undefined_has_a_dash():
    assert mean_sd({"mean": None, "sd": None}) == "-"
    assert mean_sd({"mean": 0.25, "sd": None}) == "0.250±-"
    summary = us_results()["summary"]
    assert not any(note.startswith("-:") for note in us_notes(summary, counted=COUNTED))
    summary["sensitivity"]["tumor"].update(n=1, sd=None, scenes=[{"scene": "case-0a/scene-001", "found": 6, "n": 6}])
    assert any("an SD two" in note for note in us_notes(summary, counted=COUNTED))


@pytest.mark.parametrize("model, column", [("us-flow", "Our model"), ("us-faster-rcnn", "Faster R-CNN")])
def test_the_text_says_what_a_reader_must_know(model, column):
    text = us_text(
        us_results()["summary"], model=model, data_note="made up", phantom=True, counted=COUNTED, split_by="image"
    )
    flat = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 110
    assert f"this run: {model}" in flat and f'"{column}" of the paper' in flat
    for wanted in (
        "Data: made up",
        PHANTOM_WARNING,
        "patients: 1; scenes: 4; frames: 8, annotated 8; boxes: 6 tumor, 16 vessel",
        "sample SD over scenes (n - 1)",
        "IoU 0.5 or more and score 0.5 or more",
        "one patient with one tumor",
        DISAGREEMENT,
        P_NOTE,
        "configuration keeps: score above 0.05, at most 30 a frame.",
        "frames next to the evaluated ones",
        "One patient: the SD",
    ):
        assert wanted in flat
    partial = us_text(
        us_results()["summary"],
        model=model,
        data_note="x",
        phantom=False,
        counted=COUNTED,
        unfinished="5 of 10 steps",
    )
    assert partial.startswith("UNFINISHED RUN: 5 of 10 steps") and partial.count("(UNFINISHED RUN, 5 of 10 steps)") == 2
    assert "UNFINISHED" not in text
    real = us_text(us_results()["summary"], model=model, data_note="one hospital", phantom=False, counted=COUNTED)
    assert "hantom" not in real and "The split parts" not in real


def test_the_printed_numbers():
    # as the print has them, line by line: label, Our model, Faster R-CNN, (P value, t-value)
    summary = us_results()["summary"]
    assert lines(table1(summary, model="us-flow"), 3) == ["Mean AP 0.549 0.530", "AP50 0.887 0.881", "AP75 0.641 0.625"]
    assert lines(table2(summary, model="us-flow"), 5) == [
        "Tumor 0.627±0.390 0.456±0.411 0.003 −2.921",
        "Blood vessel 0.558±0.201 0.576±0.202 0.290 −0.559",
    ]


def test_what_the_split_may_leak():
    for split_by, wanted in (("scene", "other scenes of the same"), ("patient", "none is in two")):
        notes = us_notes(us_results()["summary"], counted=COUNTED, split_by=split_by)
        assert sum(wanted in note for note in notes) == 1


def test_other_models_splits_and_summaries_are_refused():
    summary = us_results()["summary"]
    for given, options, message in (
        (summary, dict(model="us-new"), "no model 'us-new'; they have us-flow, us-faster-rcnn"),
        (summary, dict(model="us-flow", split_by="video"), "split_by is 'video'"),
        ({}, dict(model="us-flow"), "no valid"),
    ):
        with pytest.raises(InputError, match=message):
            us_text(given, data_note="x", phantom=True, counted=COUNTED, **options)
