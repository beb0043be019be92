"""One process at a time trains in a run folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

from gluon_liver.errors import RunError

LOCK = ".lock"


class RunLock:
    """``with RunLock(folder):`` holds ``folder``/.lock, making the folder if need be (``made`` says so).

    The kernel lets go of the lock when the process ends in whatever way, so none is ever stale. A forked child holds
    it as well as its parent; a started program does not. The file stays: whoever deleted it would part those who
    have it open from those who make it anew. Where :meth:`Run.discard` or a user deletes it all the same, the next
    process notices and takes the new file.

    Raises :class:`RunError` naming the process that holds it.
    """

    def __init__(self, folder: Path):
        self.path = Path(folder) / LOCK
        self.made = False
        self._handle: Optional[int] = None

    def __enter__(self) -> "RunLock":
        try:
            self.made = not self.path.parent.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while self._handle is None:
                handle = os.open(str(self.path), os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    self._take(handle)
                finally:
                    if self._handle is None:
                        os.close(handle)
        except OSError as error:
            raise RunError(f"{self.path.parent} cannot be locked: {error}") from error
        return self

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            user = "process " + holder if holder.isdecimal() else "another process"
            raise RunError(
                f"{self.path.parent} is in use by {user} ({LOCK}): wait until it ends, or give --out another name"
            ) from error
        if self.path.exists() and os.path.samestat(os.fstat(handle), self.path.stat()):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
            self._handle = handle

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
