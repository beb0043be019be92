"""Runs one input of one format: what may come of it is nothing, or an error that the package raises on purpose.

Everything else is a finding: another exception, a run of more than SECONDS, memory beyond BYTES over what the process
had, and, where the process runs under :mod:`tests.fuzz.__main__`, its end.
"""

import contextlib
import dataclasses
import faulthandler
import resource
import signal
import sys
from typing import Callable, Sequence

from gluon_liver.errors import GluonLiverError

from .recipe import Recipe

SECONDS = 20
BYTES = 2 * 2**30


@dataclasses.dataclass(frozen=True)
class Target:
    """A format.

    build: (recipe) -> the content of a file, changed as the recipe says. read: (content, folder) reads it as the
    program does, with ``folder`` for files; it lasts from input to input.
    """

    name: str
    build: Callable
    read: Callable


class Hang(BaseException):
    """Reading took too long. No Exception, so that nothing catches it."""


def run(target: Target, recipe: bytes, folder) -> str:
    """Read the input of a recipe; returns the name of the error, "" where it was taken. Raises what is a finding."""
    content = target.build(Recipe(recipe))
    with _no_longer_than(SECONDS), _no_more_than(BYTES):
        try:
            target.read(content, folder)
        except GluonLiverError as error:
            check_message(error)
            return type(error).__name__
    return ""


def check_message(error: GluonLiverError) -> None:
    """A message says something, in few enough words, and can be printed."""
    text = str(error)
    assert text.strip() and len(text) < 20_000, f"{type(error).__name__} of {len(text)} characters: {text[:200]}"
    text.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def _no_longer_than(seconds):
    def stop(*_):
        raise Hang(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if sys.stderr is sys.__stderr__:  # code that hangs outside of Python notices no signal
        faulthandler.dump_traceback_later(2 * seconds, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if sys.stderr is sys.__stderr__:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _no_more_than(size):
    """An address space of ``size`` bytes more than now."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def all_targets() -> Sequence[Target]:
    """Every format, by the modules beside this one."""
    from . import dicom, folders, pictures, sets, texts, volumes, weights

    return [target for module in (dicom, volumes, texts, pictures, sets, weights, folders) for target in module.TARGETS]
