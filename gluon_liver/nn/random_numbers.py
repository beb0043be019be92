"""The random numbers of a training pass, made for each image outside of the graph.

What a graph makes itself depends on the device, on what ran there before and on how a batch is parted. Numbers that
belong to the image make a step the same on one device and on several, and a resumed run the same as one that was never
interrupted.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np


def draw_numbers(rng: np.random.Generator, *, keys: int, uniform: int) -> np.ndarray:
    """(keys + uniform,) float32 from 0 to below 1, the first ``keys`` of them evenly spaced and shuffled.

    No two keys are equal, also with a small whole number added: a sort by them leaves nothing to the order before.
    """
    return np.concatenate([rng.permutation(keys) / keys, rng.random(uniform, np.float32)]).astype(np.float32)


class RandomNumbers:
    """Hands out the images' numbers (B, N), uniform from 0 to below 1, one part after the other."""

    def __init__(self, F: Any, numbers: Any):
        self._F, self._numbers, self._used = F, numbers, 0

    def next(self, count: int) -> Any:
        """The next (B, count) of them."""
        begin, self._used = self._used, self._used + count
        return self._F.slice_axis(self._numbers, axis=1, begin=begin, end=self._used)

    def dropout_mask(self, rate: float, *, rows: int, units: int) -> Any:
        """What to multiply (B * rows, units) features with: 0 with probability ``rate``, else 1 / (1 - rate)."""
        survives = self._F.reshape(self.next(rows * units), (-1, units)) >= rate
        return survives / (1.0 - rate)


def apply_dropout(features: Any, mask: Optional[Any]) -> Any:
    """Features after dropout: times the mask, or as they are where that is None."""
    return features if mask is None else features * mask
