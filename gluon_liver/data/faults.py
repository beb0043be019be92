"""Faults of label files, gathered so that a user sees all of a file at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, List

from gluon_liver.errors import AnnotationError

SHOWN = 20


class Faults:
    """Messages, in the order in which they were found."""

    def __init__(self) -> None:
        self.messages: List[str] = []

    def add(self, message: str) -> None:
        self.messages.append(message)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """An AnnotationError inside becomes one more fault."""
        try:
            yield
        except AnnotationError as error:
            self.add(str(error))

    def raise_any(self, advice: str = "") -> None:
        """Raise AnnotationError where there is a fault: the first in full, and how many more there are."""
        if not self.messages:
            return
        lines = self.messages[:SHOWN]
        if len(self.messages) > SHOWN:
            lines.append(f"... and {len(self.messages) - SHOWN} more")
        if len(self.messages) > 1:
            lines.insert(0, f"{len(self.messages)} faults in the labels:")
        raise AnnotationError("\n".join([*lines, *filter(None, [advice])]))
