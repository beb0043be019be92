"""Locks of files between processes: one at a time trains in a run folder, evaluates it, or writes a data folder."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator, Optional, Set

from gluon_liver.errors import RunError

from .holder import HeldError, holder_file

LOCK = ".lock"
HOLDER = ".holder"  # ending of the file that stands in for a lock where the file system has none
LOCK_FILES = (LOCK, LOCK + HOLDER)
# of flock, where a network file system is mounted without it; 524 is the kernel's own ENOTSUPP, which NFS lets through
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, 524)

_off = False
_told: Set[int] = set()  # file systems


@contextmanager
def without_locks() -> Iterator[None]:
    """No lock is taken inside: what uses a folder at one time is the user's care."""
    global _off
    before, _off = _off, True
    try:
        yield
    finally:
        _off = before


def locks_are_off() -> bool:
    """Whether we are inside of :func:`without_locks`."""
    return _off


@contextmanager
def file_lock(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the file ``path``, which is made if need be and bears the number of the process that holds it.

    The kernel lets go of the lock when the process ends in whatever way, so none is ever stale. A forked child holds
    it as well as its parent; a started program does not. The file stays: whoever deleted it would part those who
    have it open from those who make it anew. Where it is deleted all the same, the next process notices and takes the
    new file. On a file system without locks :func:`.holder.holder_file` stands in, which is said once.

    Raises :class:`RunError` with the text ``busy``, in which {user} names the process that holds it, and OSError.
    """
    with ExitStack() as stack:
        if not _off:
            _take(path, busy, stack)
        yield


def _take(path: Path, busy: str, stack: ExitStack) -> None:
    """Take the lock until ``stack`` ends."""
    handle = None
    try:
        while handle is None:
            handle = _locked(path, busy)
        stack.callback(os.close, handle)
        return
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _tell(path, str(error.strerror))
    instead = path.with_name(path.name + HOLDER)
    try:
        stack.enter_context(holder_file(instead))
    except HeldError as held:
        # a process of another machine cannot be asked whether it still runs
        said = f"if that process is gone, delete {instead}"
        raise RunError(f"{busy.replace('{user}', str(held))}; {said}") from held


def _tell(path: Path, why: str) -> None:
    system = path.parent.stat().st_dev
    if system not in _told:
        _told.add(system)
        instead = f"{path.name + HOLDER} is used instead, which a process that is killed leaves behind"
        print(f"warning: {path.parent} lies on a file system without locks ({why}): {instead}", file=sys.stderr)


@contextmanager
def run_lock(folder: Path) -> Iterator[bool]:
    """:func:`file_lock` of a run folder, which is made if need be; yields whether it was made.

    Raises :class:`RunError` naming the process that trains in it, or where it cannot be made.
    """
    made = not folder.exists()
    busy = f"{folder} is in use by {{user}} ({LOCK}): wait until it ends, or give --out another name"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(file_lock(folder / LOCK, busy=busy))
        except OSError as error:
            if made and folder.is_dir() and not any(path.name != LOCK for path in folder.iterdir()):
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
            refused = error.errno in (errno.EACCES, errno.EPERM, errno.EIO) and error.filename is None  # by flock
            raise RunError(f"{folder} cannot be locked: {error}{'; --no-lock takes no lock' * refused}") from error
        yield made


def _locked(path: Path, busy: str) -> Optional[int]:
    """A descriptor that holds the lock, None where the file was deleted meanwhile."""
    handle, held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644), None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
            held = handle
    except BlockingIOError as error:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        user = "process " + holder if holder.isdecimal() else "another process"
        raise RunError(busy.replace("{user}", user)) from error
    finally:
        if held is None:
            os.close(handle)
    return held
