from __future__ import annotations

import json
from fractions import Fraction

import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics import ct_summary
from gluon_liver.report.tables.ct_tables import (
    COLUMNS,
    TABLE1,
    TABLE4,
    comparison_table,
    detection_table,
    froc_table,
    percent,
    table4_text,
)
from gluon_liver.report.tables.table import PHANTOM_WARNING

from .conftest import CLASSES

# typed from the paper, R-50-2.5D, R-101 region fusion, R-50 multi-modal, R-101 multi-modal
TABLE4_AS_PRINTED = """
69.23 64.29 70.96
78.26 72.91 76.93
72.71 66.23 71.56
83.33 78.35 76.15
72.47 68.43 72.14
82.76 78.98 77.78
"""


def test_printed_numbers():
    assert sum(line.training_patients for line in TABLE1.values()) == 621  # the paper's text below Table 1
    assert sum(line.test_patients for line in TABLE1.values()) == 60
    assert [line.test_lesions for line in TABLE1.values()] == [98, 38, 30]
    assert len(TABLE4) == 6 and all(tuple(columns) == COLUMNS for columns in TABLE4.values())
    printed = [[cell.text for cell in columns.values()] for columns in TABLE4.values()]
    assert printed == [row.split() for row in TABLE4_AS_PRINTED.strip().splitlines()]
    assert TABLE4["R-50"]["HCCs"] == ("70.96", 70.96)
    # Effectiveness of the depth: deeper is better in every column
    assert all(TABLE4["R-101"][column].value > TABLE4["R-50"][column].value for column in COLUMNS)


def as_count(printed, lesions):
    """Of all counts k of n lesions: the nearest, its percentage, and whether 100 k/n rounded or cut is as printed.

    The arithmetic is exact; halves may be rounded either way. (Always rounding up would admit one cell: 26/38 = 68.4211
    for the printed 68.43.)
    """
    hundredths = Fraction(printed) * 100
    exact = [Fraction(10000 * count, lesions) for count in range(lesions + 1)]
    possible = any(abs(value - hundredths) <= Fraction(1, 2) or int(value) == hundredths for value in exact)
    nearest = min(range(lesions + 1), key=lambda count: abs(exact[count] - hundredths))
    return nearest, float(exact[nearest]) / 100, possible


def test_no_cell_of_table4_is_a_count_over_the_test_lesions():
    cells = {
        (row, column): (cell.text, TABLE1[column].test_lesions)
        for row, columns in TABLE4.items()
        for column, cell in columns.items()
    }
    assert len(cells) == 18
    assert not any(as_count(*cell)[2] for cell in cells.values())
    # again with decimal strings instead of fractions: every printable percentage of every count
    for printed, lesions in cells.values():
        counts = range(lesions + 1)
        assert printed not in {f"{100 * count / lesions:.2f}" for count in counts}
        assert printed not in {f"{10000 * count // lesions / 100:.2f}" for count in counts}
    # printed 68.43: off by a hundredth
    assert as_count(*cells["R-50 multi-modal", "Hemangiomas"])[:2] == (26, pytest.approx(68.4211, abs=5e-5))
    assert as_count(*cells["R-50", "Liver Cyst"])[:2] == (68, pytest.approx(69.3878, abs=5e-5))


def test_the_enumeration_can_say_yes():
    # 25 / 30 = 83.333 is printed 83.33; 20 / 30 = 66.667 is 66.67 rounded and 66.66 cut
    possible = [as_count(printed, 30)[2] for printed in ("83.33", "66.67", "66.66", "66.68", "83.34")]
    assert possible == [True, True, True, False, False]


def test_comparison_by_hand(summary):
    # slices 0..23, class = number % 3; those with (number // 3) % 3 == 0 found nothing: 0-2, 9-11, 18-20
    table = comparison_table(summary, row="R-50")
    assert table.header == ("", *COLUMNS)
    printed, ours, counts = table.rows
    assert [str(cell) for cell in printed] == ["paper, as printed", "69.23", "64.29", "70.96"]
    assert [cell.value for cell in ours[1:]] == ["62.5"] * 3
    assert [str(cell) for cell in counts[1:]] == ["5 / 8"] * 3


def test_a_configuration_of_no_row(summary):
    table = comparison_table(summary, row=None)
    assert [str(row[0]) for row in table.rows] == ["this run, top-1", "slices right / n"]
    with pytest.raises(InputError, match="Table 4 has no row 'R-18'.*R-50"):
        comparison_table(summary, row="R-18")


def test_percent():
    assert str(percent({"value": 2 / 3, "low": 0.5, "high": 1.0})) == "66.7 [50.0, 100.0]"
    assert str(percent({"value": 0.25, "low": None, "high": None})) == "25.0 [no interval]"
    assert str(percent({"value": None, "low": None, "high": None})) == "-"


def test_metric_tables_carry_the_summary(summary):
    detection = detection_table(summary)
    assert [row[0].value for row in detection.rows] == ["cyst", "hemangioma", "hcc", "all (AP: mean)"]
    recall = summary["recall"]["all"]
    assert recall["n"] == 24
    assert detection.rows[-1][2].value == f"{100 * recall['value']:.1f}"
    assert detection.rows[-1][2].counts == "n 24"
    froc = froc_table(summary)
    assert [row[0].value for row in froc.rows] == ["0.125", "0.25", "0.5", "1", "2", "4", "8"]
    assert froc.rows[-1][-1].value == "62.5"


def test_the_text_says_what_a_reader_must_know_in_aligned_columns(summary):
    text = table4_text(summary, row="R-50", data_note="six generated patients", phantom=True)
    lines, flat = text.splitlines(), " ".join(text.split())
    assert PHANTOM_WARNING in flat
    assert "none of Table 4's 18 cells is a count over the 98, 38 and 30 test lesions" in flat
    assert "six generated patients" in flat and "69.23" in flat and "62.5 [" in flat
    assert "95 % Wilson score interval, widened by the spread of a bootstrap over patients, 100 replicates" in flat
    assert max(map(len, lines)) <= 110
    start = next(number for number, line in enumerate(lines) if line.startswith("---"))
    assert {len(line) for line in lines[start - 1 : start + 4]} == {len(lines[start])}
    assert PHANTOM_WARNING not in table4_text(summary, row="R-50", data_note="a hospital's studies", phantom=False)


@pytest.mark.parametrize("count", [0, 1])
def test_little_or_no_data(results, count):
    summary = ct_summary(results[4 : 4 + count], classes=CLASSES, replicates=10)
    text = table4_text(json.loads(json.dumps(summary)), row="R-50", data_note="x", phantom=False)
    assert "-: undefined" in text
    assert ("[no interval]: one patient only" in text) == (count == 1)
    assert "nan" not in text.lower().replace("hemangioma", "") and "None" not in text


def test_an_incomplete_summary_is_refused(summary):
    del summary["froc"]["hcc"], summary["top1"]["mixed"], summary["recall"]["cyst"]["low"]
    with pytest.raises(InputError, match="froc.hcc, recall.cyst, top1.mixed"):
        table4_text(summary, row="R-50", data_note="x", phantom=False)
    with pytest.raises(InputError, match="no valid .*settings"):
        froc_table({"boxes": {}})
    with pytest.raises(InputError, match="list"):
        froc_table([])
