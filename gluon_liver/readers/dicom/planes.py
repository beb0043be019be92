"""Planes of HU on their way from a file to the stored grid: turned, made square, moved, mixed."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from scipy import ndimage

from gluon_liver.structures.arrays import Array, FloatArray
from gluon_liver.structures.slice_mapping import SliceMapping

from .pixels import AIR_HU


def stored_plane(plane: Array, mapping: SliceMapping, source_slice: int) -> Array:
    """A slice (rows, columns) of int16 HU as the stored grid has it.

    Quarter turns and flips move pixels and change none. What makes pixels square and what undoes a tilt is linear
    between pixels; beyond the border is the border for the one, -1024 HU for the other.
    """
    plane = plane.T if mapping.turned else plane
    flip_y, flip_x = mapping.flipped
    plane = plane[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    if mapping.scale != (1.0, 1.0):
        step = 1 / np.array(mapping.scale)
        options = dict(offset=step / 2 - 0.5, output_shape=mapping.stored_size, order=1, mode="nearest")
        plane = _rounded(ndimage.affine_transform(plane.astype(np.float32), step, **options))
    shift = mapping.shift_of(source_slice)
    if shift.any():
        moved = ndimage.shift(plane.astype(np.float32), shift[::-1], order=1, mode="constant", cval=AIR_HU)
        plane = _rounded(moved)
    return plane


def between(stack: Sequence[Array], place: FloatArray, z: int) -> Array:
    """Slice ``z`` of the grid, linear between the slices (rows, columns) of ``stack``, which lie at ``place`` (n,)."""
    upper = int(np.clip(np.searchsorted(place, z), 1, len(stack) - 1))
    below, above = place[upper - 1 : upper + 1]
    weight = np.clip((z - below) / (above - below), 0.0, 1.0)
    return _rounded(stack[upper - 1] * (1 - weight) + stack[upper] * weight)


def _rounded(values: Array) -> Array:
    return np.rint(values).astype(np.int16)
