"""Folders on file systems without flock or fsync: a file stands in, and a line is said of it."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext

import pytest

from gluon_liver.errors import RunError
from gluon_liver.files import atomic, lock
from gluon_liver.files.holder import Process
from gluon_liver.files.lock import LOCK_FILES, file_lock, run_lock, without_locks
from gluon_liver.files.output_folder import whole_folder

HOLDER = LOCK_FILES[1]
# the C functions of a file system that has neither, for LD_PRELOAD
SHIM = """
#include <errno.h>
int flock(int handle, int operation) { errno = ENOLCK; return -1; }
int fsync(int handle) { errno = EINVAL; return -1; }
"""
WRITER = """
import sys
from pathlib import Path
from gluon_liver.files.atomic import sync, write_text
from gluon_liver.files.lock import run_lock
with run_lock(Path(sys.argv[1])):
    for name in "ab":
        write_text(Path(sys.argv[1], name), name)
    sync(Path(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(lock, "_told", set())
    monkeypatch.setattr(atomic, "_told", set())


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=os.strerror)
def without_flock(request, monkeypatch):
    def flock(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


def leave_holder(folder, **changes):
    """The file that another process left in ``folder``."""
    (folder / HOLDER).write_text(json.dumps({**vars(Process.own()), **changes}))


def refused(folder, words):
    with pytest.raises(RunError, match=words) as caught, run_lock(folder):
        pass
    assert f"delete {folder / HOLDER}" in str(caught.value)


def test_without_flock_a_file_holds_the_folder(tmp_path, without_flock, capsys):
    for _ in range(2):
        with run_lock(tmp_path / "run"):
            refused(tmp_path / "run", f"process {os.getpid()} on ")
        assert not (tmp_path / "run" / HOLDER).exists()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "file system without locks" in said[0] and HOLDER in said[0]


def test_a_process_of_this_machine_that_is_gone_holds_nothing(tmp_path, without_flock, capsys):
    with subprocess.Popen(["true"]) as ended:
        pass
    for changes in ({"pid": ended.pid}, {"started": 1}):  # the latter: its number is this process's by now
        leave_holder(tmp_path, **changes)
        with run_lock(tmp_path):
            assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
        assert "which is gone" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILES[0]]


@pytest.mark.parametrize(
    "changes", [{"host": "node7", "pid": 2**22}, {"boot": "another", "pid": 2**22}, {"namespace": "pid:[1]"}], ids=str
)
def test_a_process_that_cannot_be_asked_is_left_alone(tmp_path, without_flock, changes):
    """Another machine, this name before it was started anew, or a container."""
    leave_holder(tmp_path, **changes)
    refused(tmp_path, f"in use by process {changes.get('pid', os.getpid())} on ")
    assert (tmp_path / HOLDER).exists()


@pytest.mark.parametrize("text", ["", "garbage", '{"pid": "x"}'])
def test_a_file_that_says_nothing_of_use_is_left_alone(tmp_path, without_flock, text):
    (tmp_path / HOLDER).write_text(text)
    refused(tmp_path, "in use by another process")
    assert (tmp_path / HOLDER).read_text() == text


def test_other_errors_of_flock_are_raised(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(RunError, match="cannot be locked.*Input/output error; --no-lock"), run_lock(folder):
            pass
    assert not (tmp_path / "new").exists()


def test_without_locks_two_may_use_a_folder(tmp_path):
    with without_locks(), run_lock(tmp_path), file_lock(tmp_path / ".lock", busy="never"):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("locks", [True, False])
def test_an_output_folder_appears_without_what_locked_it(tmp_path, without_flock, locks):
    left = tmp_path / ".out.importing-1"
    left.mkdir()
    with nullcontext() if locks else without_locks(), whole_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert left.exists() != locks  # without locks nobody can tell whether it is at work


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, 524])
def test_what_cannot_be_flushed_is_said_once(tmp_path, monkeypatch, capsys, number):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    for name in "ab":
        atomic.write_text(tmp_path / name, name)
        atomic.sync(tmp_path)
    assert (tmp_path / "b").read_text() == "b"
    files, folders = capsys.readouterr().err.splitlines()
    assert "cannot flush files" in files and "cannot flush folders" in folders


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_the_disk_says_is_an_error(tmp_path, monkeypatch, number):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError):
        atomic.write_text(tmp_path / "a", "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_processes_on_such_a_file_system(tmp_path):
    """Real ones, whose C library says what that of a network file system says."""
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    folder, pipes = tmp_path / "run", dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = dict(os.environ, LD_PRELOAD=str(tmp_path / "shim.so"))

    def start():
        return subprocess.Popen([sys.executable, "-c", WRITER, folder], env=environment, text=True, **pipes)

    with start() as first:
        assert first.stdout.readline() == "held\n", first.stderr.read()
        with start() as second:
            said = second.communicate()[1]
        assert second.returncode == 1 and f"in use by process {first.pid} on" in said
        first.kill()
        told = first.communicate()[1].splitlines()
    assert len(told) == 3 and "without locks" in told[0] and "flush files" in told[1] and "flush folders" in told[2]
    with start() as third:
        assert third.stdout.readline() == "held\n"
        assert f"left by process {first.pid}" in third.communicate()[1]
    assert not (folder / HOLDER).exists()
