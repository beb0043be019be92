"""A lock where the file system has none: a file that exists while a process holds it, and says which process that is.

Whoever makes the file (O_EXCL, which network file systems keep as well) holds the lock. A process that is killed
leaves it behind: on the same machine that is noticed, on another one somebody has to look and delete it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Iterator, Optional

from gluon_liver.errors import InputError

from .typed import build


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    boot, namespace: of the machine's start and of its process numbers; a container has other numbers than its host.
    started: clock ticks from the machine's start, 0 where the kernel does not tell.
    since: when it took the lock.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int
    since: str = ""

    @classmethod
    def own(cls) -> Process:
        """This process, now."""
        numbers = Path("/proc/self/ns/pid")
        boot, namespace = _kernel("/proc/sys/kernel/random/boot_id"), os.readlink(numbers) if numbers.exists() else ""
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        return cls(socket.gethostname(), boot, namespace, os.getpid(), _started(os.getpid()), since)

    def is_gone(self) -> bool:
        """Whether it ended, as far as that can be told from here: never for a process of another machine."""
        here = Process.own()
        if (self.host, self.boot, self.namespace) != (here.host, here.boot, here.namespace):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's, so it runs
            pass
        now = _started(self.pid)
        return bool(now and self.started and now != self.started)  # the number was given to another process

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


class HeldError(Exception):
    """The file is there, and its process, which the text names, is not known to be gone."""

    def __init__(self, holder: Optional[Process]):
        super().__init__(str(holder or "another process"))


@contextmanager
def holder_file(path: Path) -> Iterator[None]:
    """Make ``path`` and remove it at the end. Raises :class:`HeldError` where another process holds it, and OSError."""
    own = Process.own()
    try:
        _make(path, own)
    except FileExistsError:
        _remove_stale(path)
        try:
            _make(path, own)
        except FileExistsError as error:  # another process was quicker
            raise HeldError(_read(path)) from error
    try:
        yield
    finally:
        if os.getpid() == own.pid and _read(path) == own:  # not a forked child's to remove
            path.unlink()


def _make(path: Path, own: Process) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as stream:
        json.dump(asdict(own), stream)


def _read(path: Path) -> Optional[Process]:
    """Who holds the file; None where it is gone, or does not say: its process may be about to write."""
    try:
        return build(Process, json.loads(path.read_text(encoding="utf-8")), where=path.name)
    except (OSError, ValueError, InputError):
        return None


def _remove_stale(path: Path) -> None:
    """Remove the file of a process that is gone. Raises :class:`HeldError` where it is not."""
    holder = _read(path)
    if holder is None or not holder.is_gone():
        raise HeldError(holder)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    os.rename(path, aside)  # of several that do so, one succeeds
    if _read(aside) != holder:  # another process had removed the stale file already, and this is its own
        os.rename(aside, path)
        raise HeldError(_read(path))
    aside.unlink()
    print(f"{path}: left by {holder}, which is gone, and removed", file=sys.stderr)


def _started(pid: int) -> int:
    fields = _kernel(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def _kernel(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
