"""How volume files are read that say two things, or hold what is no number: what the user chose for a whole import."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator, Optional


@dataclass(frozen=True)
class VolumeReading:
    """form: "sform" or "qform", which of them counts where a NIfTI file's contradict each other; None refuses it.

    nan_is_air: NaN and infinite values are air (0 where values are no HU) instead of an error.
    """

    form: Optional[str] = None
    nan_is_air: bool = False


_reading = VolumeReading()


def reading() -> VolumeReading:
    """What holds now."""
    return _reading


@contextmanager
def volumes_read(choice: VolumeReading) -> Iterator[None]:
    """Inside, volume files are opened as ``choice`` says."""
    global _reading
    before, _reading = _reading, choice
    try:
        yield
    finally:
        _reading = before
