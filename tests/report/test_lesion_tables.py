"""Lesions and patients as tables, and evaluations of older versions, which have none."""

import json

import pytest

from gluon_liver.errors import InputError, RunError
from gluon_liver.metrics.lesion_summary import LesionSettings, lesion_summary
from gluon_liver.metrics.lesions import Hit, Scan
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.tables.ct_tables import table4_text
from gluon_liver.report.tables.lesion_tables import NOT_KNOWN, UNDERCOVERAGE, each_table, lesion_blocks

from .conftest import CLASSES


def lesions_of(results, **options):
    """Each image of the results is a slice of its patient's one scan, two slices apart."""
    scans = {}
    for result in results:
        scans.setdefault(result.patient, {})[2 * len(scans.get(result.patient, {}))] = result
    scans = [Scan(patient, (5.0, 0.8, 0.8), slices, 9, invented=1) for patient, slices in scans.items()]
    found = lesion_summary(scans, classes=CLASSES, replicates=50, settings=LesionSettings(**options))
    return json.loads(json.dumps(found))


@pytest.fixture
def with_lesions(results, summary):
    return {**summary, "lesions": lesions_of(results)}


def test_tables_and_what_they_are_worth(with_lesions):
    tables, notes = lesion_blocks(with_lesions)
    assert [len(table.rows) for table in tables] == [5, 8, 3]
    lesions = with_lesions["lesions"]
    entry = lesions["sensitivity"]["cyst"]
    cell = tables[0].rows[0][1]
    assert cell.value == f"{100 * entry['value']:.1f}" and cell.counts == f"n {entry['n']}"
    assert tables[0].rows[3][2].value == f"{lesions['false_positives']['all']['value']:.2f}"
    assert [row[0].value for row in tables[2].rows] == ["below 10 mm", "10 to 20 mm", "20 mm or more"]
    assert [row[0].value for row in tables[1].rows][-1] == "16"
    text = " ".join(notes)
    assert UNDERCOVERAGE not in text and "24 of the 54 slices of these scans are labelled" in text
    assert (
        "iou:0.1" in text
        and "6 slices of these scans were interpolated" in text
        and "Every patient has a lesion" in text
    )
    printed = table4_text(with_lesions, row="R-50", data_note="made up", phantom=True)
    assert tables[0].text() in printed and max(map(len, printed.splitlines())) <= 130


def test_sizes_are_by_class_and_lesions_are_listed(with_lesions):
    lesions = with_lesions["lesions"]
    (sizes,) = [table for table in lesion_blocks(with_lesions).tables if table.header[0] == "size"]
    assert sizes.header == ("size", "all classes", *CLASSES)
    for row, entry in zip(sizes.rows, lesions["by_size"]):
        assert [cell.counts for cell in row[2:]] == [f"n {entry['by_class'][name]['n']}" for name in CLASSES]
        assert entry["sensitivity"]["n"] == sum(entry["by_class"][name]["n"] for name in CLASSES)
    each = each_table(with_lesions)
    assert len(each.rows) == sum(lesions["lesions"].values())
    found = sum(row[-1].value == "found" for row in each.rows)
    assert found == round(lesions["sensitivity"]["all"]["value"] * lesions["sensitivity"]["all"]["n"])
    for row in lesions["by_size"]:
        del row["by_class"]
    del lesions["each"]  # an older version's
    assert lesion_blocks(with_lesions).tables[2].header == ("size", "all classes") and each_table(with_lesions) is None


def test_results_of_an_older_version_say_how_far_their_intervals_covered(with_lesions):
    with_lesions["lesions"]["settings"]["interval"] = "percentile bootstrap over patients"
    text = " ".join(lesion_blocks(with_lesions).notes)
    assert UNDERCOVERAGE in text and "95 % percentile bootstrap over patients" in text


def test_settings_are_printed_beside_the_numbers(results, summary):
    lesions = lesions_of(results, hit=Hit.parse("centre"), fp_rates=(0.5, 3), bins_mm=(15,))
    tables, notes = lesion_blocks({**summary, "lesions": lesions})
    assert [row[0].value for row in tables[1].rows] == ["0.5", "3"]
    assert [row[0].value for row in tables[2].rows] == ["below 15 mm", "15 mm or more"]
    assert any("(centre)" in note for note in notes)


def test_one_class_has_one_line(results, summary):
    found = lesion_summary([], classes=["lesion"], replicates=5)
    tables, notes = lesion_blocks({**summary, "lesions": json.loads(json.dumps(found))})
    assert [row[0].value for row in tables[0].rows] == ["lesion"] and "any class" not in " ".join(notes)


def test_an_older_evaluation_is_read(run, summary):
    assert lesion_blocks(summary) == ([], [NOT_KNOWN])
    assert "not known, evaluated by an older version" in write_report(run).read_text(encoding="utf-8")


def test_the_page_shows_them(run, with_lesions):
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps({**results, "summary": with_lesions}))
    page = write_report(run).read_text(encoding="utf-8")
    assert (
        "Lesions and patients" in page
        and "Lesion FROC: sensitivity" in page
        and 'aria-label="Lesion FROC: sensitivity' in page
    )


@pytest.mark.parametrize("damaged", [[], {}, {"lesions": {}}, "x"])
def test_damaged_entries_are_refused(run, summary, damaged):
    with pytest.raises(InputError, match="no valid lesions"):
        lesion_blocks({**summary, "lesions": damaged})
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps({**results, "summary": {**summary, "lesions": damaged}}))
    with pytest.raises(RunError, match="no valid lesions"):
        write_report(run)
