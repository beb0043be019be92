"""CT series -> volumes in HU on regular grids."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np
from scipy import ndimage

from gluon_liver.errors import OversizeError
from gluon_liver.structures.arrays import Array, FloatArray, IntArray
from gluon_liver.structures.geometry import Geometry

from .pixels import AIR_HU, hounsfield, read_words
from .quiet import quiet_pydicom
from .scan import scan_folder as scan_folder
from .series import SeriesFiles, slice_uid
from .slice_grid import SliceGrid, build_grid
from .tags import MAX_SLICES, MAX_VOXELS


@dataclass(frozen=True)
class Volume:
    """A series in HU on a regular grid.

    hu: int16 (z, y, x), z rising to the head, never below -1024.
    sop_instance_uids: one for each slice in z order, "" where --regrid interpolated it; frames of a multi-frame file
    are "<uid>#<frame from 1>".
    source_slice: (n,) slice of the volume for each slice of the series in z order, -1 where --regrid left none within a
    quarter of the spacing.
    source_shift: (n, 2) pixels (dx, dy) by which that slice was moved to undo a gantry tilt.
    """

    hu: Array
    geometry: Geometry
    sop_instance_uids: Tuple[str, ...]
    frame_of_reference: str
    source_slice: IntArray
    source_shift: FloatArray


def load_series(series: SeriesFiles, *, regrid: bool = False) -> Volume:
    """Decode one series to HU on a regular grid.

    Raises the :class:`DicomError` of the first defect (a truncated file, a missing tag), or that of
    :func:`build_grid` for slices that make no regular grid; ``regrid`` interpolates linearly between positions and
    shears tilted slices back.
    """
    if series.defects:
        more = f" ({len(series.defects) - 1} more files of {series.name} are unusable)" * (len(series.defects) > 1)
        raise type(series.defects[0])(f"{series.defects[0]}{more}")
    slices = series.slices
    count, pixels = len(slices), slices[0].rows * slices[0].columns
    if count > MAX_SLICES or count * pixels > MAX_VOXELS:
        bounds = f"{MAX_SLICES} slices and {MAX_VOXELS} pixels in all"
        raise OversizeError(f"{series.name} has {count} slices of {pixels} pixels; the bounds are {bounds}")
    grid = build_grid(slices, series.name, regrid=regrid)
    stack = np.empty((count, slices[0].rows, slices[0].columns), dtype=np.int16)
    place = np.argsort(grid.order)
    by_file: Dict[int, List[int]] = defaultdict(list)
    for index, header in enumerate(slices):
        by_file[header.file].append(index)
    with quiet_pydicom():
        for file, frames in sorted(by_file.items()):
            words = read_words(slices[frames[0]], f"file {file:04d} ({series.name})")
            for index in frames:
                stack[place[index]] = hounsfield(words[slices[index].frame or 0], slices[index])
    uids = tuple(slice_uid(slices[index]) for index in grid.order)
    if grid.shift.any():
        stack = np.stack([_shift_slice(plane, shift) for plane, shift in zip(stack, grid.shift)])
    source_slice: IntArray = np.arange(count)
    if not np.array_equal(grid.place, source_slice):
        stack, uids, source_slice = _interpolate_slices(stack, uids, grid)
    return Volume(stack, grid.geometry, uids, slices[0].frame_of_reference, source_slice, grid.shift)


def _shift_slice(plane: Array, shift: Array) -> Array:
    """Move one slice by (dx, dy) pixels, linear, -1024 HU where nothing is known."""
    moved = ndimage.shift(plane.astype(np.float32), shift[::-1], order=1, mode="constant", cval=AIR_HU)
    return np.rint(moved).astype(np.int16)


def _interpolate_slices(
    stack: Array, uids: Tuple[str, ...], grid: SliceGrid
) -> Tuple[Array, Tuple[str, ...], IntArray]:
    """Linear in z between the positions of the slices, onto the even grid."""
    nz = grid.geometry.size[0]
    result = np.empty((nz,) + stack.shape[1:], dtype=np.int16)
    for z in range(nz):
        upper = int(np.clip(np.searchsorted(grid.place, z), 1, len(stack) - 1))
        below, above = grid.place[upper - 1 : upper + 1]
        weight = np.clip((z - below) / (above - below), 0.0, 1.0)
        result[z] = np.rint(stack[upper - 1] * (1 - weight) + stack[upper] * weight)
    nearest = np.clip(np.rint(grid.place).astype(int), 0, nz - 1)
    distance = np.abs(grid.place - nearest)
    source_slice = np.full(len(stack), -1)
    grid_uids = [""] * nz
    # a place within reach of several slices belongs to the nearest
    for source in np.argsort(distance, kind="stable"):
        z = nearest[source]
        if distance[source] <= 0.25 and z not in source_slice:
            source_slice[source], grid_uids[z] = z, uids[source]
    return result, tuple(grid_uids), source_slice
