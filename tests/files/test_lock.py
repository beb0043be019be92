"""Two runs in one folder: the second is refused, and a dead one holds nothing."""

import os
import subprocess
import sys

import pytest

from gluon_liver.errors import RunError
from gluon_liver.files.lock import LOCK, file_lock, run_lock

HOLDER = """
import sys, time
from pathlib import Path
from gluon_liver.files.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def refused(folder, user):
    with pytest.raises(RunError, match=f"{folder.name} is in use by {user} "), run_lock(folder):
        pass


def test_the_second_is_refused_until_the_first_lets_go(tmp_path):
    with run_lock(tmp_path / "runs" / "a") as made:
        assert made
        refused(tmp_path / "runs" / "a", f"process {os.getpid()}")
        with run_lock(tmp_path / "runs" / "b"):
            pass
    with run_lock(tmp_path / "runs" / "a") as made:
        assert not made
    assert (tmp_path / "runs" / "a" / LOCK).exists()


def test_a_killed_process_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            refused(tmp_path, f"process {holder.pid}")
        finally:
            holder.kill()
    with run_lock(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_lock_file_that_says_nothing_of_use(tmp_path):
    with run_lock(tmp_path):
        for text in ("", "garbage", "\xff" * 100):
            (tmp_path / LOCK).write_text(text)
            refused(tmp_path, "another process")


def test_an_error_inside_lets_go(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), run_lock(tmp_path):
            raise KeyError


def test_a_lock_on_a_file_that_was_deleted_is_taken_again(tmp_path, monkeypatch):
    """Between opening and locking the file, somebody removes the run folder's files and starts anew."""
    opened = os.open

    def open_and_lose(path, *arguments):
        handle = opened(path, *arguments)
        monkeypatch.setattr(os, "open", opened)
        os.unlink(path)
        return handle

    monkeypatch.setattr(os, "open", open_and_lose)
    with run_lock(tmp_path):
        refused(tmp_path, f"process {os.getpid()}")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be locked"), run_lock(tmp_path / "file" / "run"):
        pass


def test_a_lock_of_any_file_says_what_it_is_told(tmp_path):
    with file_lock(tmp_path / "a.lock", busy="never"):
        second = file_lock(tmp_path / "a.lock", busy="somewhere is evaluated by {user}")
        with pytest.raises(RunError, match=rf"^somewhere is evaluated by process {os.getpid()}$"), second:
            pass
    with pytest.raises(FileNotFoundError), file_lock(tmp_path / "nowhere" / "a.lock", busy="never"):
        pass
