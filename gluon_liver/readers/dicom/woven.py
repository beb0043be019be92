"""Stacks of several phases that were woven into one, seen by their pixels where no tag tells them apart."""

from __future__ import annotations

from typing import Mapping

import cv2
import numpy as np

from gluon_liver.errors import MixedSeriesError
from gluon_liver.structures.arrays import Array, FloatArray

SIDE = 16  # of a slice shrunk so far that noise is averaged away
SOFT_TISSUE_HU = (-100.0, 200.0)
MOST_STACKS = 4
LEAST_SLICES = 8
# The difference of slices some places apart, as a share of that of neighbours: 1.8 and more in one stack of real CT, 1
# in noise alone, 0.3 to 0.5 where two phases of one patient alternate.
WOVEN_BELOW = 0.7
LEAST_HU = 2.0  # by which they differ less: detector rows alternate a little too, 5 to 11 HU in that patient


def shrunk(hu: Array) -> FloatArray:
    """A slice in HU (rows, columns) -> its soft tissue, float32 (SIDE, SIDE)."""
    tissue = np.clip(hu, *SOFT_TISSUE_HU).astype(np.float32)
    return np.asarray(cv2.resize(tissue, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)


def check_not_woven(small: Mapping[int, FloatArray], name: str) -> None:
    """Raise :class:`MixedSeriesError` where slices resemble those some places on more than their neighbours.

    small: slice of the series in z order -> what :func:`shrunk` made of it.
    """
    if len(small) < LEAST_SLICES:
        return
    stack = np.stack([small[place] for place in sorted(small)])
    apart = [float(np.abs(stack[step:] - stack[:-step]).mean()) for step in range(1, MOST_STACKS + 1)]
    step = int(np.argmin(apart)) + 1
    if step > 1 and apart[step - 1] < min(WOVEN_BELOW * apart[0], apart[0] - LEAST_HU):
        raise MixedSeriesError(
            f"{name} holds {step} stacks woven into one: its slices differ by {apart[0]:.1f} HU from the next and by "
            f"{apart[step - 1]:.1f} HU from those {step} places on. No tag tells them apart: put the files of each "
            "into a folder of its own"
        )
