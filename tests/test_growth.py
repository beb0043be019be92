"""scripts/measure_growth.py: slopes, and that every series has its work."""

import json

import pytest

from scripts import measure_growth
from scripts.growth.series import SERIES


def points(*pairs):
    return [{"value": value, "seconds": seconds, "bytes": 10**6 * value} for value, seconds in pairs]


def test_the_slope_is_that_of_the_upper_half():
    quadratic = points((1, 1.0), (10, 1.0), (100, 1.0), (1000, 100.0))
    assert measure_growth.slope(quadratic, "seconds") == pytest.approx(2.0)
    assert measure_growth.slope(quadratic, "bytes") == pytest.approx(1.0)
    assert measure_growth.slope(points((2, 1.0), (4, 8.0)), "seconds") == pytest.approx(3.0)


def test_the_table_has_what_was_measured(tmp_path):
    results = {"open": points((10, 0.5), (100, 5.0)), "log": points((1, 0.5))}
    text = measure_growth.table(results)
    assert (
        text.count("\n") == 2 and "| opening data | 10 | 100 patients | 0.5 s to 5 s | 100 MB | 1.00 | 1.00 |" in text
    )
    measure_growth.plot(results, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "growth.png" in measure_growth.page(results, "growth.png") and "class=" not in text


SMALLEST = {"open": 10, "split": 10, "check": 10, "labels": 4, "score": 2, "study": 5, "log": 1}


@pytest.mark.parametrize("name", SMALLEST)
def test_work_that_needs_no_network_runs(name, tmp_path):
    SERIES[name].make(tmp_path, SMALLEST[name])
    SERIES[name].prepare(tmp_path, SMALLEST[name])()


@pytest.mark.slow
def test_a_point_is_measured_in_processes_of_its_own():
    for name, value in (("phases", 2), ("scan", 60)):
        point = measure_growth.measured(name, value, repeats=1)
        assert point["value"] == value and point["seconds"] > 0
    json.dumps(point)
