"""Runs of other classes than the papers': printed numbers stay quoted, ours stand apart and say why."""

from __future__ import annotations

import json

import pytest

from gluon_liver.errors import RunError
from gluon_liver.metrics import ct_curves, ct_summary
from gluon_liver.metrics.us_summary import us_summary
from gluon_liver.report.comparison.us_compare import EvaluatedUsRun, compare_text
from gluon_liver.report.figures.drawing import CLASS_COLOURS
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.pages.us_page import write_us_report
from gluon_liver.report.tables.ct_tables import ONE_CLASS, TABLE4, table4_text
from gluon_liver.report.tables.table import Table
from gluon_liver.report.tables.table4 import rows_text
from gluon_liver.report.tables.us_tables import label_of, us_text
from tests.conftest import change_json

from .conftest import US_SCENES, evaluate, evaluate_us, image_result, us_results
from .test_ct_page import Page, check_alone
from .test_table4 import make

ONE = ("lesion",)
FIVE = (
    "Karzinom, klein",
    "囊肿",
    "Metastasis of a colorectal adenocarcinoma, treated/untreated",
    "<b>FNH</b> & co",
    "_x $y$",
)


def spread(results, count):
    """The same results with their labels dealt to ``count`` classes by image."""
    return [
        image_result(
            one.image_id,
            one.patient,
            [(one.image_id % count, box) for box in one.gt_boxes],
            [(one.image_id % count, *pair) for pair in zip(one.scores, one.boxes)],
        )
        for one in results
    ]


def summary_of(classes):
    return json.loads(json.dumps(ct_summary(spread(evaluate(), len(classes)), classes=classes, replicates=20)))


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("classes", [ONE, FIVE], ids=["one", "five"])
def test_the_text_quotes_the_paper_and_sets_the_run_apart(classes):
    text = table4_text(summary_of(classes), row="R-50", data_note="x", phantom=False)
    printed, own = text.split("This run's own classes: top-1 accuracy in %")
    assert "Table 4 as printed" in printed and "69.23" in printed and "Not comparable with Table 4" in own
    assert all(name in own for name in classes) and "nan" not in text
    assert (flat(ONE_CLASS) in flat(text)) == (len(classes) == 1)
    assert ("all (AP: mean)" in text) == (len(classes) > 1)
    assert "own classes" in table4_text(summary_of(classes), row=None, data_note="x", phantom=False)


def test_the_papers_classes_in_another_order_are_the_papers():
    text = table4_text(summary_of(("hcc", "cyst", "hemangioma")), row="R-50", data_note="x", phantom=False)
    assert "70.96" in text.split("69.23")[0] and "Not comparable" not in text


def test_more_classes_than_the_papers_are_others():
    text = table4_text(
        summary_of(("cyst", "hemangioma", "hcc", "metastasis")), row="R-50", data_note="x", phantom=False
    )
    assert "Not comparable with Table 4" in text


def test_a_mean_says_over_which_classes_it_is():
    summary = summary_of((*ONE, "never seen"))
    assert "Mean AP" not in table4_text(summary, row=None, data_note="x", phantom=False)
    results = spread(evaluate(), 1)
    summary = ct_summary(results, classes=(*ONE, "never seen"), replicates=20)
    text = table4_text(json.loads(json.dumps(summary)), row=None, data_note="x", phantom=False)
    assert "Mean AP is over the 1 of 2 classes with a lesion here." in text


def test_table_4_with_runs_of_other_classes():
    runs = [make(summary_of(FIVE), row, name=row.lower()) for row in ("R-50", "R-101")]
    text = rows_text(runs)
    printed, own = text.split("These runs' own classes")
    assert all(cell.text in printed for cells in TABLE4.values() for cell in cells.values())
    assert "Not comparable with Table 4" in flat(printed) and "r-101, seed 0" in own and "R-50-2.5D" not in own
    assert "By class: top-1" in flat(own) and "mean over classes" not in flat(own)
    with pytest.raises(RunError, match="has the classes .*the first run has"):
        rows_text([*runs, make(summary_of(ONE), "R-50", name="one")])


@pytest.mark.parametrize("classes", [ONE, FIVE], ids=["one", "five"])
def test_the_ct_page(run, classes):
    curves = ct_curves(spread(evaluate(), len(classes)), classes)
    change_json(run / "results.json", classes=classes, summary=summary_of(classes), curves=curves)
    text = write_report(run).read_text(encoding="utf-8")
    page = Page(text)
    assert "R-50 as printed 69.23 64.29 70.96 R-101 as printed" in page.text
    assert "Not comparable." in page.text and all(name in page.text for name in classes)
    assert "<b>FNH" not in text and f"background: rgb{CLASS_COLOURS[0]}" in text
    check_alone(text, images=3, charts=4)


def us_entries(classes, missed=()):
    summary = us_summary(spread(evaluate_us(missed), len(classes)), scenes=US_SCENES, classes=classes)
    return json.loads(json.dumps(dict(classes=classes, summary=summary)))


@pytest.mark.parametrize("classes", [ONE, FIVE[:3], ("tumor", "vessel", "gallbladder")], ids=["one", "three", "more"])
def test_the_ultrasound_page_text_and_comparison(us_run, classes):
    entries = us_entries(classes)
    change_json(us_run / "results.json", **entries)
    page = Page(write_us_report(us_run).read_text(encoding="utf-8"))
    assert "Mean AP 0.549 0.530 AP50" in page.text and "−2.921 Blood vessel" in page.text
    assert "Not comparable." in page.text and all(name in page.text for name in classes)
    assert "tumors light blue" not in page.text and "Tumors and vessels" not in page.text
    counted = "score above 0.01, at most 100 a frame"
    text = us_text(entries["summary"], model="us-flow", data_note="x", phantom=True, counted=counted)
    assert "Not comparable with the paper's tables" in text and "own classes: mean sensitivity" in text
    assert ("mean (boxes: all)" in text) == (len(classes) > 1)
    a = EvaluatedUsRun("a", us_results(**entries))
    b = EvaluatedUsRun("b", us_results(model="us-faster-rcnn", **us_entries(classes, {(0, 0), (3, 0)})))
    compared = compare_text(a, b)
    printed, own = compared.split("Average precision over the runs' own classes")
    assert "0.549" in printed and "Not comparable" in printed and "0.549" not in own.split("A: a,")[0]
    assert f"{label_of(classes[0])}, A and B" in own


def test_wide_letters_stand_in_columns_and_wide_tables_go_on_below():
    table = Table.of("t", ("", "ab", "囊肿"), [("x", "1", "2")])
    assert table.text().splitlines()[2:] == ["   ab  囊肿", "-----------", "x   1     2"]
    columns = [f"{'long name ' * 3}{number}" for number in range(9)]
    text = Table.of("t", ("row", *columns), [("x", *map(str, range(9)))]).text()
    assert max(map(len, text.splitlines())) <= 130 and all(name in text for name in columns)
    assert sum(line.startswith("x ") for line in text.splitlines()) > 1
