"""The command line of train-flow."""

from __future__ import annotations

import json

import pytest

from gluon_liver.commands import main
from gluon_liver.flow import training as train_flow

pytestmark = pytest.mark.slow

SMALL = ["--width", "0.125", "--size", "64", "--steps", "1", "--matching-steps", "1", "--batch-size", "1"]


def test_it_prints_the_table_and_takes_its_options(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_flow, "HELD_OUT_PAIRS", 1)
    out = tmp_path / "flow"
    assert main(["train-flow", "--out", str(out), "--seed", "3", *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-3:] == ["zero", "/", "net"] and lines[1].split()[:2] == ["flying", "1"]
    options = json.loads((out / "results.json").read_text())["options"]
    assert (options["seed"], options["width"], options["steps"], options["matching_steps"]) == (3, 0.125, 1, 1)
    assert main(["train-flow", "--out", str(out), *SMALL]) == 2
    assert "exists; choose another folder" in capsys.readouterr().err


def test_what_is_no_folder_of_phantoms(tmp_path, capsys):
    (tmp_path / "other").mkdir()
    assert main(["train-flow", "--out", str(tmp_path / "flow"), "--phantoms", str(tmp_path / "other"), *SMALL]) == 2
    assert "is no folder of `phantom us`" in capsys.readouterr().err and not (tmp_path / "flow").exists()
