"""Volumes whose place in the patient is known, whatever kind of file their pixels are still in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from .arrays import Array
from .geometry import Geometry
from .slice_mapping import SliceHistory, SliceMapping

PutPlane = Callable[[int, Array], None]


@dataclass(frozen=True, eq=False)
class VolumeStack:
    """Slices on a regular grid; their pixels are still in their files.

    geometry: of the stored grid: columns to the patient's left, rows to the back, z to the head, square pixels.
    mapping: from the slices of the source, z rising, and their pixels to the stored grid.
    history: what becomes of the slices on the way.
    decode: reads every slice once and hands each stored one to its argument, with its place: int16 HU (rows, columns),
    never below -1024, in any order. Raises an :class:`InputError` for a file that cannot be decoded.
    """

    geometry: Geometry
    mapping: SliceMapping
    history: SliceHistory
    decode: Callable[[PutPlane], None]

    def read(self) -> Array:
        """All slices in memory: int16 HU (z, y, x), z rising to the head."""
        hu = np.empty(self.geometry.size, dtype=np.int16)
        self.decode(hu.__setitem__)
        return hu
