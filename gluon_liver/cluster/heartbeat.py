"""What a process of a distributed job tells its supervisor: that it lives, its rank, its last good checkpoint.

MXNet's parameter server waits for ever for a peer that is gone. So ``python -m gluon_liver launch`` starts each process
of a job (scheduler, servers, workers) under a supervisor (:mod:`.supervisor`), which reports to the launcher's monitor
(:mod:`.monitor`) and kills its process when any peer is gone, also one that hangs in MXNet's code or is stopped.

A worker calls :func:`start` before it imports MXNet, :func:`tell` when it knows its rank and after each checkpoint, and
:func:`done` when its work is over. Outside of a launched job all three do nothing. Standard library only.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import sys
import threading
import time
from typing import Any, Mapping, Optional

FD = "GLUON_LIVER_SUPERVISOR"  # "descriptor:seconds between beats", set by the supervisor
LEAVE_SECONDS = 2.0
AGAIN = 75  # exit code of work that stopped before its end and can be gone on with (EX_TEMPFAIL of sysexits.h)
LOST = AGAIN  # of a process whose job is lost

_link: Optional[_Link] = None


def start() -> None:
    """Begin to beat, in a thread. Call it before MXNet is imported; a second call does nothing."""
    global _link
    setting = os.environ.pop(FD, None)  # popped: a child process must not speak for this one
    if setting is None or _link is not None:
        return
    descriptor, _, beat = setting.partition(":")
    _link = _Link(socket.socket(fileno=int(descriptor)), float(beat))
    atexit.register(done)


def tell(*, rank: Optional[int] = None, checkpoint: Optional[Any] = None) -> None:
    """Tell this worker's rank (``kvstore.rank``) or its newest complete checkpoint (a path); None is left out.

    Both are what the message to the user names when a process of the job is gone.
    """
    if _link is not None:
        facts = {"rank": rank, "checkpoint": None if checkpoint is None else str(checkpoint)}
        _link.send({key: value for key, value in facts.items() if value is not None})


def done() -> None:
    """Say that this process will end by itself: from now on it may be silent (runs at exit by itself).

    Workers wait for each other when they give up the KVStore, often while Python is shutting down, when no thread can
    beat any more. The supervisor goes on to watch, so that a peer's death still ends this process.
    """
    if _link is not None:
        _link.send({"done": True})


def say(who: str, text: str) -> None:
    """Tell the user, on stderr, for a part of the job."""
    print(f"gluon_liver {who}: {text}", file=sys.stderr, flush=True)


def launched() -> bool:
    """Whether this process is of a launched job and has called :func:`start`."""
    return _link is not None


def leave(code: int, *, grace: float = 0.0) -> None:
    """End a failed process of a job, ``grace`` seconds from now, without MXNet's exit; elsewhere do nothing.

    At its exit MXNet waits for the other workers, which wait for this one. The code is told before the process ends:
    its peers abort when their connections to it close, and would be taken for what broke first.
    """
    if _link is not None and code != 0:
        time.sleep(grace)
        _link.send({"leaving": code})
        time.sleep(LEAVE_SECONDS)  # the supervisor kills this process as soon as the monitor has heard it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Link:
    """JSON lines to the supervisor over a socket pair, from any thread."""

    def __init__(self, connection: socket.socket, beat: float):
        self._socket, self._beat = connection, beat
        self._lock, self._never = threading.Lock(), threading.Event()
        self.send({"beat": True})
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:  # the kernel ends this process with its supervisor; this is for systems without prctl
            print(f"gluon_liver: this process ends: its supervisor is gone ({error})", file=sys.stderr, flush=True)
            os._exit(LOST)

    def _run(self) -> None:
        while not self._never.wait(self._beat):
            self.send({"beat": True})
