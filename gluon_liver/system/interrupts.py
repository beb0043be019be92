"""Ctrl-C in a command's first seconds, while Python imports: the process ends at once, with one word and code 130.

As an exception it would show a traceback of whatever is being imported, or become another one on its way (extension
modules make an ImportError of it). Nothing has been written by then. Standard library only, and little of it: this is
imported before all else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, List, Optional

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def quiet_start() -> None:
    """From now on SIGINT ends the process, until :func:`end_quiet_start` or :func:`quiet_imports`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and _may_take_signals():
        signal.signal(signal.SIGINT, end_quietly)


def end_quiet_start() -> None:
    """Give SIGINT back to Python, if :func:`quiet_start` took it."""
    if signal.getsignal(signal.SIGINT) is end_quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def quiet_imports() -> Iterator[None]:
    """SIGINT inside of an import ends the process, elsewhere it raises KeyboardInterrupt.

    Only where Python's own handler stands or that of :func:`quiet_start`: a shell's background job ignores the signal,
    and another program may have a handler of its own.
    """
    before = signal.getsignal(signal.SIGINT)
    mine = before in (signal.default_int_handler, end_quietly) and _may_take_signals()
    if mine:
        signal.signal(signal.SIGINT, _end_or_raise)
    try:
        yield
    finally:
        if mine and signal.getsignal(signal.SIGINT) is _end_or_raise:
            signal.signal(signal.SIGINT, before)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started inside ignore SIGINT, from their first moment on: their parent ends them."""
    before = signal.getsignal(signal.SIGINT)
    mine = before is not None and _may_take_signals()
    if mine:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGINT, before)


@contextmanager
def late_interrupts() -> Iterator[None]:
    """SIGINT inside raises KeyboardInterrupt at the end, the second one at once; SIGTERM too within
    :func:`terminate_as_interrupt`.

    For native code that calls back into Python, as MXNet's own operators do: there it would become another error.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] in (None, signal.SIG_IGN):
        del before[signal.SIGINT]
    if before[signal.SIGTERM] is not _interrupt:
        del before[signal.SIGTERM]
    came: List[int] = []
    if not before or not _may_take_signals():
        yield
        return

    def wait(number: int, _: Optional[FrameType]) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    for number in before:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM inside raises KeyboardInterrupt, as SIGINT does, where it would end the process and lose what is made.

    That is what ``timeout`` and services send, and to a shell's background job, which ignores SIGINT, ``kill``.
    """
    mine = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and _may_take_signals()
    if mine:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(_: int, __: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


def _may_take_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


def _end_or_raise(number: int, frame: Optional[FrameType]) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            end_quietly(number, frame)
        frame = frame.f_back
    raise KeyboardInterrupt


def end_quietly(_: int, __: Optional[FrameType]) -> None:
    """A handler of SIGINT: one word, and the process has ended."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


if sys.argv[:1] == ["-m"]:  # as long as Python looks for the program, which imports this package first
    quiet_start()
