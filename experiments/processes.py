"""Commands beside each other, one after the other in each slot, watched without a thread.

Children live in sessions of their own, so that a Ctrl-C reaches the runner alone, which stops them; and the kernel
kills them when the runner is killed, so that none is left holding the lock of its run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, List, Optional

from .tasks import ROOT, Command, Task

PR_SET_PDEATHSIG = 1  # Linux, prctl(2)
STOPPED = 75  # of train.py: a signal stopped it, with a checkpoint
GRACE_SECONDS = 120.0
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child, before its program starts."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Ended:
    """A command that came to its end. code: below 0 for a signal. wall, cpu: seconds."""

    command: Command
    code: int
    wall: float
    cpu: float


class Slot:
    """A task and the command of it that runs. log: the file that all its commands write to."""

    def __init__(self, task: Task, log: Path):
        self.task, self.log = task, log
        log.parent.mkdir(parents=True, exist_ok=True)
        task.begin()
        self._left: List[Command] = task.commands()
        self._process: Optional[subprocess.Popen[Any]] = None
        self._stream: IO[Any]
        self.start_next()

    def start_next(self) -> bool:
        """Start the next command; False where there is none."""
        if not self._left:
            return False
        self._command = self._left.pop(0)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self._begin, self._stream = time.monotonic(), open(self.log, "ab")
        self._stream.write(f"== {self._command.stage}: {' '.join(self._command.words)}\n".encode())
        self._stream.flush()
        self._process = subprocess.Popen(
            self._command.words,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        return True

    def poll(self) -> Optional[Ended]:
        """What ended since, or None."""
        process = self._process
        if process is None:
            return None
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if not pid:
            return None
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        self._stream.close()
        self._process = None
        wall, cpu = time.monotonic() - self._begin, usage.ru_utime + usage.ru_stime
        return Ended(self._command, process.returncode, wall, cpu)

    @property
    def running(self) -> bool:
        """Whether a command was started and has not ended."""
        return self._process is not None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the command and to whatever it started."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # it has just ended

    def last_words(self, lines: int = 3) -> str:
        """The last lines of the log, without the bars of progress."""
        text = self.log.read_bytes()[-8000:].decode("utf-8", "replace").replace("\r", "\n")
        said = [line.strip() for line in text.splitlines() if line.strip() and "/s]" not in line and "%|" not in line]
        return " / ".join(said[-lines:])
