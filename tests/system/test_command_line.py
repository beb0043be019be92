"""The command as it was typed: what of it may be written into files that are given to others."""

import re
import shlex
from datetime import datetime

import pytest

import gluon_liver
from gluon_liver.system.command_line import command_text, command_typed, shareable, typed_command
from gluon_liver.system.environment import describe_environment, provenance


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/mueller")


@pytest.mark.parametrize(
    "typed, told",
    [
        (["--data", "/home/mueller/data"], ["--data", "~/data"]),
        (["--out=/home/mueller"], ["--out=~"]),
        (["/home/muellerin/x", "/mnt/home/mueller/x"], ["/home/muellerin/x", "/mnt/home/mueller/x"]),
        (["--salt", "secret", "--seed", "1"], ["--salt", "...", "--seed", "1"]),
        (["--salt=secret"], ["--salt=..."]),
        (["--sal", "secret"], ["--sal", "..."]),
        (["--split", "test", "--seed", "1", "--s"], ["--split", "test", "--seed", "1", "--s"]),
    ],
)
def test_no_salt_and_no_home_is_told(typed, told):
    assert shareable(typed) == told


def test_a_machine_without_a_home_has_none_to_hide(monkeypatch):
    for home in ("", "/"):
        monkeypatch.setenv("HOME", home)
        assert shareable(["/data/x", "a/b"]) == ["/data/x", "a/b"]


def test_the_text_of_a_command_is_one_for_a_shell():
    text = command_text(["train.py", "--set", "data.window=[0, 1]", "~/a folder/x", "~"])
    assert text == "train.py --set 'data.window=[0, 1]' ~/'a folder/x' '~'"
    assert shlex.split(text)[2] == "data.window=[0, 1]"


def test_a_command_is_known_while_it_runs():
    assert command_typed() is None
    with typed_command(["train.py", "--out", "a"]):
        with typed_command(["evaluate.py"]):
            assert command_typed() == ["evaluate.py"]
        assert provenance()["command"] == ["train.py", "--out", "a"]
    assert provenance()["command"] is None


def test_provenance_says_version_revision_and_date():
    made = provenance()
    assert made["version"] == gluon_liver.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", made["date"])
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(made["date"])).total_seconds()) < 60
    assert set(made) == {"version", "revision", "command", "date"} and set(made) < set(describe_environment(0))
