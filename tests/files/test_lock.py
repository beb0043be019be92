"""Two runs in one folder: the second is refused, and a dead one holds nothing."""

import os
import signal
import subprocess
import sys

import pytest

from gluon_liver.errors import RunError
from gluon_liver.files.lock import LOCK, RunLock

HOLDER = """
import sys, time
from gluon_liver.files.lock import RunLock
with RunLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_until_the_first_lets_go(tmp_path):
    with RunLock(tmp_path / "runs" / "a") as first:
        assert first.made
        with pytest.raises(RunError, match=rf"runs/a is in use by process {os.getpid()} "):
            with RunLock(tmp_path / "runs" / "a"):
                pass
        with RunLock(tmp_path / "runs" / "b"):
            pass
    with RunLock(tmp_path / "runs" / "a") as second:
        assert not second.made
    assert (tmp_path / "runs" / "a" / LOCK).exists()


def test_a_killed_process_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match=f"in use by process {holder.pid} "):
            with RunLock(tmp_path):
                pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with RunLock(tmp_path):
            assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_lock_file_that_says_nothing_of_use(tmp_path):
    with RunLock(tmp_path):
        for text in ("", "garbage", "\xff" * 100):
            (tmp_path / LOCK).write_text(text)
            with pytest.raises(RunError, match="in use by another process"):
                with RunLock(tmp_path):
                    pass


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(KeyError):
        with RunLock(tmp_path):
            raise KeyError
    with RunLock(tmp_path):
        pass


def test_a_lock_on_a_file_that_was_deleted_is_taken_again(tmp_path, monkeypatch):
    """Between opening and locking the file, somebody removes the run folder's files and starts anew."""
    opened = os.open

    def open_and_lose(path, *arguments):
        handle = opened(path, *arguments)
        monkeypatch.setattr(os, "open", opened)
        os.unlink(path)
        return handle

    monkeypatch.setattr(os, "open", open_and_lose)
    with RunLock(tmp_path):
        with pytest.raises(RunError, match="in use"):
            with RunLock(tmp_path):
                pass


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be locked"):
        with RunLock(tmp_path / "file" / "run"):
            pass
