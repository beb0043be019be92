"""Places where a test can have the process killed, as a power cut would: without any clearing up."""

from __future__ import annotations

import os
import signal
from collections import Counter

from gluon_liver.errors import InputError

VARIABLE = "GLUON_LIVER_FAULT"
_passages: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """SIGKILL this process if GLUON_LIVER_FAULT is ``name``, or ``name:N`` at the N-th passage (from 1).

    Does nothing where the variable is not set. Raises :class:`InputError` when N is no number from 1.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    at, _, count = wanted.partition(":")
    if count and not (count.isdecimal() and int(count) > 0):
        raise InputError(f"{VARIABLE}={wanted}: want NAME or NAME:N with N from 1")
    if at == name:
        _passages[name] += 1
        if _passages[name] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
