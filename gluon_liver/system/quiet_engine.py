"""Starts MXNet's engine without the line that it writes where its kind is chosen by a variable, as here it is.

The line comes from C++ and has no switch, so the file descriptor of stderr points elsewhere for that moment; whatever
else is written meanwhile is passed on.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Iterator, Optional

LINE = re.compile(rb"^.*MXNet start using engine: .*\n?", re.MULTILINE)
STDERR = 2


def quiet_spec(name: str) -> Optional[ModuleSpec]:
    """How to import MXNet, whose engine is then started quietly; None where Python would not find it either."""
    spec = PathFinder.find_spec(name)
    if spec is None or spec.loader is None:
        return None
    execute = spec.loader.exec_module

    def execute_and_start(module: ModuleType) -> None:
        execute(module)
        with without_line(LINE):
            module.nd.waitall()

    setattr(spec.loader, "exec_module", execute_and_start)  # noqa: B010, mypy takes no assignment to a method
    return spec


@contextmanager
def without_line(line: re.Pattern[bytes]) -> Iterator[None]:
    """While it is entered, what any code writes to stderr waits; then it is written without what ``line`` matches."""
    sys.stderr.flush()
    try:
        before = os.dup(STDERR)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            os.close(before)
            kept.seek(0)
            rest = line.sub(b"", kept.read())
            if rest:
                os.write(STDERR, rest)
