"""Which keys two configurations give other values."""

import pytest

from gluon_liver.config.differences import CONFIG_OF_ROW, differences, flat, paper_config
from gluon_liver.config.load import load_config
from gluon_liver.config.schema import ROWS


def test_every_key_stands_with_its_parents():
    keys = flat(load_config("r50"))
    assert keys["data.size"] == 800
    assert keys["data.augment.flip"] in (True, False)
    assert "data" not in keys


def test_only_what_differs_is_told_with_both_values():
    found = differences(load_config("r50"), load_config("r50", overrides=["train.epochs=3", "data.size=800"]))
    assert [(one.key, one.second) for one in found] == [("train.epochs", 3)]
    assert not differences(load_config("r50"), load_config("r50"))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_configuration_that_is_it(row):
    assert load_config(CONFIG_OF_ROW[row]).row == row
    assert paper_config(load_config(CONFIG_OF_ROW[row])) == CONFIG_OF_ROW[row]


def test_a_demo_stands_beside_its_row_and_a_control_beside_none():
    assert paper_config(load_config("demo-ct")) == "r50"
    assert paper_config(load_config("r50-2.5d-centre")) is None
    assert paper_config(load_config("demo-us-flow")) == "us-flow"
