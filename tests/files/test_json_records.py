"""Every way in which a file can be no record, and what the message then names."""

import os
from dataclasses import dataclass

import pytest

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json, read_record, read_text, read_yaml
from gluon_liver.files.typed import at_least, required


@dataclass(frozen=True)
class Epoch:
    name: str
    step: int = required(at_least(1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "epoch.json"


def refused(path, **options):
    with pytest.raises(RunError) as caught:
        read_record(Epoch, path, error=RunError, **options)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)[len(str(path)) :]


def test_a_record_comes_back(path):
    path.write_text('{"name": "ü", "step": 3, "of a later version": 1}', encoding="utf-8")
    assert read_record(Epoch, str(path)) == Epoch("ü", 3)
    assert read_json(path)["step"] == 3 and read_text(path).startswith("{")


WINDOWS = (
    " cannot be read: line 2 is not UTF-8 (byte 0xf6), but perhaps cp1252 or another encoding of Windows: save it in "
    "UTF-8, in Excel as 'CSV UTF-8'"
)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe", " cannot be read: it is not text"),
        (b'{\n"name": }', " cannot be read: it is not JSON: Expecting value: line 2 column 9 (char 10)"),
        (
            '{\n"name": "Größe"}'.encode("cp1252"),
            WINDOWS,
        ),
        ('{\n"name": "Größe"}'.encode("utf-16")[:-3], " cannot be read: it is not text"),
        ("aü".encode("cp1252") + b"\0", " cannot be read: it is not text"),
        (b" \n", " cannot be read: it is empty"),
        (b"\x1f\x8b\x08\xff", " cannot be read: it is a gzip archive: unpack it"),
        (b"[" * 100_000, " cannot be read: it is nested too deeply"),
        (b"[]", ": the top level: expected keys, found []"),
        (b"{}", ": name is missing"),
        (b'{"name": "a", "step": 0}', ": step is 0: it must be 1 or more"),
    ],
)
def test_what_is_wrong_is_named_and_what_to_do(path, content, message):
    path.write_bytes(content)
    assert refused(path) == message
    assert refused(path, remedy="train again") == f"{message}; train again"


def test_a_file_that_is_not_there(path):
    assert refused(path, remedy="train") == f" cannot be read: {os.strerror(2)}; train"
    with pytest.raises(RunError, match="cannot be read: No such file"):
        read_yaml(path, error=RunError)
    path.mkdir()
    assert refused(path) == f" cannot be read: {os.strerror(21)}"


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: [", "it is not YAML: .* line 1, column 5"),
        ("a: 2020-13-45", "it is not YAML: month must be in 1..12"),
        ("a: {b: 1,\n    b: 2}", "it is not YAML: the key of line 1 is there again, line 2, column 5"),
        ("a: " + "[" * 5000, "it is nested too deeply"),
    ],
)
def test_yaml(path, text, message):
    path.write_text("a: [1, 1.5]")
    assert read_yaml(path) == {"a": [1, 1.5]}
    path.write_text(text)
    with pytest.raises(RunError, match=f"epoch.json cannot be read: {message}.*; write it anew$"):
        read_yaml(path, error=RunError, remedy="write it anew")


def test_unknown_keys_are_refused_where_that_is_asked_for(path):
    path.write_text('{"name": "a", "step": 1, "more": 0}')
    assert refused(path, refuse_unknown=True) == ": unknown key 'more'; the top level has: name, step"


def test_a_fault_in_yaml_is_told_by_its_place_and_not_by_the_text_around_it(tmp_path):
    (tmp_path / "phases.yaml").write_text('series:\n  Meier Hans: "arterial" x\n')
    with pytest.raises(InputError, match=r"not YAML: expected .*, line 2, column \d+") as caught:
        read_yaml(tmp_path / "phases.yaml")
    assert "Meier" not in str(caught.value)
