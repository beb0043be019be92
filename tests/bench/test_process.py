"""A side run in a process of its own."""

import sys
from pathlib import Path

import pytest

from scripts.bench import process
from scripts.bench.pairs import TORCH, Side
from scripts.bench.process import run_side, watch


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "SIDES", "tests.bench.sides")
    return lambda arguments="", **options: run_side(
        Side("fake", arguments, **options), build=tmp_path, torch=options.get("torch")
    )


def test_a_record_says_what_the_process_took(run):
    record = run("{build}/file")
    assert record["seconds"] == [0.5, 0.25] and record["work"] == 3
    assert 1e6 < record["peak_bytes"] < 1e9
    assert record["checks"]["of"][1].endswith("/file") and "{" not in record["checks"]["of"][1]
    assert record["wall"] > 0 and 0 <= record["others"] <= 1.2


def test_settings_of_the_shell_do_not_reach_a_side(run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run()["checks"]["threads"] == ""


def test_a_side_gets_the_cores_that_it_is_given(run):
    assert run(cores=1)["checks"]["cores"] == 1


def test_a_failure_is_told_with_its_last_words(run):
    assert run("fail")["failed"] == "exit status 1: no such thing"


def test_what_prepares_prints_nothing(run):
    assert "seconds" not in run("prepare") and "failed" not in run("prepare")


def test_without_pytorch_its_sides_are_left_out(run):
    assert "PyTorch" in run(python=TORCH)["left_out"]


def test_a_side_that_takes_the_memory_is_ended(run, monkeypatch):
    monkeypatch.setattr(process, "available_share", lambda: 0.01)
    assert "no more memory" in run()["failed"]


def test_a_side_that_takes_too_long_is_ended(run, monkeypatch):
    monkeypatch.setattr(process, "LIMIT_SECONDS", 0.0)
    assert "ended after" in run()["failed"]


def test_the_guard_reads_this_machine():
    assert 0 < process.available_share() < 1
    assert watch and Path(sys.executable).exists()
