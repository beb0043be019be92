"""The random numbers of a training pass, drawn for each image outside of the graph.

What a graph draws itself depends on the device, on what ran there before and on how a batch is parted. Numbers that
belong to the image make a step the same on one device and on several, and a resumed run the same as one that was never
interrupted.
"""

from __future__ import annotations

from typing import Any, Optional


class Draws:
    """Hands out an image's numbers, one part after the other.

    Parameters
    ----------
    numbers: (B, N), uniform from 0 to below 1.
    """

    def __init__(self, F: Any, numbers: Any):
        self._F, self._numbers, self._used = F, numbers, 0

    def take(self, count: int) -> Any:
        """The next (B, count) of them."""
        begin, self._used = self._used, self._used + count
        return self._F.slice_axis(self._numbers, axis=1, begin=begin, end=self._used)

    def dropout(self, rate: float, *, rows: int, units: int) -> Any:
        """What to multiply (B * rows, units) features with: 0 with probability ``rate``, else 1 / (1 - rate)."""
        kept = self._F.reshape(self.take(rows * units), (-1, units)) >= rate
        return kept / (1.0 - rate)


def dropped(features: Any, kept: Optional[Any]) -> Any:
    """Features after dropout: times what it keeps of them, or as they are where that is None."""
    return features if kept is None else features * kept
