"""Locks of files between processes: one at a time trains in a run folder, evaluates it, or writes a data folder."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator, Optional

from gluon_liver.errors import RunError

LOCK = ".lock"


@contextmanager
def file_lock(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the file ``path``, which is made if need be and bears the number of the process that holds it.

    The kernel lets go of the lock when the process ends in whatever way, so none is ever stale. A forked child holds
    it as well as its parent; a started program does not. The file stays: whoever deleted it would part those who
    have it open from those who make it anew. Where it is deleted all the same, the next process notices and takes the
    new file.

    Raises :class:`RunError` with the text ``busy``, in which {user} names the process that holds it, and OSError.
    """
    handle = None
    while handle is None:
        handle = _locked(path, busy)
    try:
        yield
    finally:
        os.close(handle)


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
            raise RunError(f"{folder} cannot be locked: {error}") from error
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
