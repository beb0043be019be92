"""Whatever stops a write, the file of before stays, and nothing half-written lies beside it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from gluon_liver.files.atomic import whole_file, whole_path, write_json, write_text

WRITER = """
import sys
from gluon_liver.files.atomic import whole_file
with whole_file(sys.argv[1]) as stream:
    stream.write("half of")
    stream.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def old(tmp_path):
    """A file that is there before."""
    write_text(tmp_path / "a.txt", "before\n")
    return tmp_path / "a.txt"


def assert_untouched(old):
    assert old.read_text() == "before\n" and list(old.parent.iterdir()) == [old]


def test_a_file_bears_its_name_when_it_is_on_the_disk(old, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, call=call: calls.append(name) or call(*given))
    with whole_file(str(old)) as stream:
        stream.write("after ü\n")
        assert old.read_text() == "before\n"
        assert sorted(path.name for path in old.parent.iterdir()) == ["a.txt", "a.txt.partial"]
    assert old.read_bytes() == "after ü\n".encode() and list(old.parent.iterdir()) == [old]
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(old, error):
    with pytest.raises(error), whole_file(old, "wb") as stream:
        stream.write(b"half of")
        raise error
    assert_untouched(old)


def test_a_full_disk_leaves_the_old_file(old, full_disk):
    with full_disk(1000), pytest.raises(OSError) as caught:
        write_text(old, "x" * 5000)
    assert_untouched(old)
    assert caught.value.filename == str(old)  # which the system does not say


def test_a_kill_leaves_the_old_file(old):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(old)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert old.read_text() == "before\n" and (old.parent / "a.txt.partial").read_text() == "half of"
    write_text(old, "after")
    assert old.read_text() == "after" and list(old.parent.iterdir()) == [old]


def test_writers_that_open_by_name_get_the_ending_that_they_need(old):
    with whole_path(old, ending=".partial.txt") as partial:
        assert partial == old.parent / "a.txt.partial.txt"
        partial.write_text("after")
    assert old.read_text() == "after"
    with pytest.raises(FileNotFoundError), whole_path(old):
        pass  # nothing was written
    assert old.read_text() == "after"


def test_json_without_nan(tmp_path):
    write_json(tmp_path / "a.json", {"name": "ü", "boxes": [[1.5, 2]]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"name": "ü", "boxes": [[1.5, 2]]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    write_json(tmp_path / "a.json", [1, 2], indent=None)
    assert (tmp_path / "a.json").read_text() == "[1, 2]\n"
