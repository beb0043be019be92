"""Folders above what a command writes are made, and none is left where it wrote nothing."""

import argparse
from pathlib import Path

import pytest

from gluon_liver.commands import COMMANDS, main, parser_of
from gluon_liver.commands.paths import WRITTEN, parents_made
from gluon_liver.errors import InputError


def test_they_are_made_and_what_stays_empty_goes_again(tmp_path):
    (tmp_path / "there").mkdir()
    args = argparse.Namespace(out=tmp_path / "there" / "a" / "b" / "new", json=tmp_path / "c" / "file.json")
    with parents_made(args):
        assert args.out.parent.is_dir() and not args.out.exists()
        args.json.write_text("{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), parents_made(argparse.Namespace(out=tmp_path / "a" / "b" / "new")):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--list-series .*file/a/b: .*file is no folder"):
        with parents_made(argparse.Namespace(list_series=tmp_path / "file" / "a" / "b")):
            pass


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_path_that_a_command_writes_is_among_them(words):
    read = "data run runs compare others study source folder labels masks classes map phases file prefix".split()
    read += "pretrained flow cache detections dicom hosts phantoms".split()
    paths = {action.dest for action in parser_of(words)._actions if action.type is Path}
    assert paths <= {*WRITTEN, *read}


def test_from_the_command_line(tmp_path, tiny_data):
    assert main(["data", "summary", str(tiny_data), "--no-pixels", "--out", f"{tmp_path}/a/b/summary"]) == 0
    assert (tmp_path / "a" / "b" / "summary" / "summary.json").is_file()
    assert main(["data", "check", str(tiny_data), "--json", f"{tmp_path}/c/found.json"]) in (0, 1)
    assert (tmp_path / "c" / "found.json").is_file()
    assert main(["detect", str(tiny_data), "--run", str(tmp_path), "--out", f"{tmp_path}/d/e"]) == 2
    assert not (tmp_path / "d").exists()
