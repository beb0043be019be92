"""The command that the user typed, for what the program writes about itself.

Standard library only, and little of it: every start of the program waits for this.
"""

from __future__ import annotations

import os
import re
import shlex
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence

SECRET = "--salt"  # leads ids back to patients (docs/privacy.md)
LEFT_OUT = "..."

_typed: Optional[List[str]] = None


@contextmanager
def typed_command(words: Sequence[str]) -> Iterator[None]:
    """While it is entered, :func:`command_typed` tells these words."""
    global _typed
    before, _typed = _typed, shareable(words)
    try:
        yield
    finally:
        _typed = before


def command_typed() -> Optional[List[str]]:
    """Program and arguments as they were typed, see :func:`shareable`; None where the package is used as a library."""
    return None if _typed is None else list(_typed)


def shareable(words: Sequence[str]) -> List[str]:
    """The words without what must not leave the machine: a salt is left out, and the home folder, which names its
    user, is written ``~``."""
    home = os.environ.get("HOME", "").rstrip("/")
    told: List[str] = []
    hidden = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = len(name) > len("--s") and SECRET.startswith(name)  # argparse takes the beginning of an option's name
        if hidden:
            word = LEFT_OUT
        elif secret and equals:
            word = f"{name}={LEFT_OUT}"
        elif home:
            word = re.sub(rf"(?<![^=:,]){re.escape(home)}(?=/|$)", "~", word)
        hidden = secret and not equals
        told.append(word)
    return told


def command_text(words: Sequence[str]) -> str:
    """The words as a line for a shell, in which ``~/`` is the home folder of whoever runs it."""
    return " ".join("~/" + shlex.quote(word[2:]) if word.startswith("~/") else shlex.quote(word) for word in words)
