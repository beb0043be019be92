"""What became of the frames of a live source, counted and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import List


@dataclass
class Counts:
    """What became of the frames of a live source.

    dropped: that came while the detector was at work, and were not detected in. damaged: that could not be decoded.
    reconnects: how often it was opened again. missed: how many frames came meanwhile, by the rate before. unmeasured:
    how often that was not known yet. changes: what changed in the stream, in words, and how often. notes: what else is
    to be told at the end.
    """

    dropped: int = 0
    damaged: int = 0
    reconnects: int = 0
    missed: int = 0
    unmeasured: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    notes: List[str] = field(default_factory=list)

    def said(self) -> List[str]:
        """In words; nothing where all frames were detected in."""
        said = [*filter(None, [self.reconnected()]), *self.changed(), *self.notes]
        if self.damaged:
            said.append(f"{self.damaged} frames could not be decoded, and were left out")
        if self.dropped:
            said.append(f"{self.dropped} frames came while the detector was at work, and were dropped")
        return said

    def reconnected(self) -> str:
        """How often, and how many frames were missed, as far as that is known; "" where it never was."""
        missed = f"about {self.missed} frames missed"
        if self.unmeasured:
            more = f"{missed}, and {times(self.unmeasured)} an unknown number"
            missed = "an unknown number of frames missed" if self.unmeasured == self.reconnects else more
        return f"reconnected {times(self.reconnects)}, {missed}" if self.reconnects else ""

    def changed(self) -> List[str]:
        """Each change of the stream, with how often it came where that is more than once."""
        return [what if count == 1 else f"{what}, {times(count)}" for what, count in [*self.changes.items()]]


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count} times"
