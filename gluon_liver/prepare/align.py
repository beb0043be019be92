"""Contrast phases of a study on the grid of its reference phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Tuple

import numpy as np

from gluon_liver.errors import PhaseError
from gluon_liver.readers.dicom.pixels import AIR_HU
from gluon_liver.structures.arrays import Array, BoolArray, FloatArray
from gluon_liver.structures.geometry import Geometry, triple
from gluon_liver.structures.slice_mapping import SliceHistory
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

# A slice centre this little inside the half slice around the moving stack counts as outside: rounding decides
# otherwise.
EDGE_TOLERANCE = 1e-3
SLAB = 16  # slices that are resampled at a time: what is in memory beside the moving phase


@dataclass(frozen=True)
class PlacedPhase:
    """A phase on the reference grid: which of its slices (Z,) are there, and what was done to them."""

    present: BoolArray
    history: SliceHistory


def put_on_grid(moving: VolumeStack, grid: Geometry, put: PutPlane) -> PlacedPhase:
    """Decode a phase and hand every slice of ``grid`` to ``put``, int16 HU (rows, columns), in any order.

    A phase on another grid is resampled by world coordinates (linear; -1024 HU outside). A slice whose centre lies
    half a slice or more outside the moving stack is absent. Nothing is registered: the patient is taken to lie still,
    as the paper does. Raises the :class:`DicomError` of a file that cannot be decoded.
    """
    slices = grid.size[0]
    if moving.geometry.same_grid(grid):
        moving.decode(put)
        return PlacedPhase(np.ones(slices, bool), moving.history)
    z = moving.geometry.world_to_index(grid.slice_centres())[:, 0]
    inside = 0.5 - EDGE_TOLERANCE
    present = (z > -inside) & (z < moving.geometry.size[0] - 1 + inside) & _meets(moving.geometry, grid)
    if present.any():
        hu = moving.read()
        for first in range(0, slices, SLAB):
            zs = np.arange(first, min(first + SLAB, slices))
            if present[zs].any():
                slab = _resample(hu, moving.geometry, replace(grid, size=(len(zs), *grid.size[1:])), first)
                for place in zs[present[zs]]:
                    put(int(place), slab[place - first])
    put_air(grid, put, present)
    return PlacedPhase(present, _history_on(moving, z, present))


def _meets(moving: Geometry, grid: Geometry) -> BoolArray:
    """Of each slice of a grid (Z,) whether the rows and columns of the moving stack reach it: it may lie beside it."""
    _, rows, columns = grid.size
    corners = [(z, y, x) for z in range(grid.size[0]) for y in (-0.5, rows - 0.5) for x in (-0.5, columns - 0.5)]
    places = moving.world_to_index(grid.index_to_world(np.array(corners, float))).reshape(grid.size[0], 4, 3)[..., 1:]
    last = np.array(moving.size[1:]) - 0.5
    reached: BoolArray = ((places.min(axis=1) < last) & (places.max(axis=1) > -0.5)).all(axis=1)
    return reached


def put_air(grid: Geometry, put: PutPlane, present: BoolArray) -> None:
    """Hand -1024 HU to ``put`` for every slice that is not ``present``."""
    air = np.full(grid.size[1:], AIR_HU, dtype=np.int16)
    for place in np.flatnonzero(~present):
        put(int(place), air)


def check_frame_of_reference(fixed: str, moving: str, phase: str, reference: str) -> None:
    """Raise PhaseError unless both series say that they share one frame of reference."""
    if not fixed or fixed != moving:
        why = "its FrameOfReferenceUID is another one" if fixed and moving else "a series has no FrameOfReferenceUID"
        raise PhaseError(f"phase {phase} cannot be put on the grid of {reference}: {why}")


def _history_on(moving: VolumeStack, z: FloatArray, present: BoolArray) -> SliceHistory:
    """What was done to the slices that those of the grid, at ``z`` (Z,) of the moving stack, are mixed of."""
    last = moving.geometry.size[0] - 1
    # a neighbour that counts for less than a thousandth does not
    near = [{int(np.clip(np.floor(at + 1e-3), 0, last)), int(np.clip(np.ceil(at - 1e-3), 0, last))} for at in z]

    def mixed_of(slices: AbstractSet[int]) -> Tuple[int, ...]:
        return tuple(place for place, of in enumerate(near) if present[place] and of & slices)

    old = moving.history
    interpolated = mixed_of({*old.interpolated})
    blended = tuple(place for place in mixed_of({*old.blended}) if place not in interpolated)
    return SliceHistory(interpolated, blended, mixed_of({*old.shifted}), True)


def _resample(hu: Array, geometry: Geometry, grid: Geometry, first: int) -> Array:
    """``grid``, moved up by ``first`` slices, of the volume ``hu`` on ``geometry``: int16 HU (z, y, x)."""
    import SimpleITK as sitk

    grid = _from_slice(grid, first, grid.size[0])
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.size])).reshape(3, -1).T
    heights = geometry.world_to_index(grid.index_to_world(corners))[:, 0]
    # one slice more than linear interpolation needs at both ends, so that no end of the slab is taken for the border
    low = int(np.clip(np.floor(heights.min()) - 1, 0, len(hu) - 1))
    high = int(np.clip(np.ceil(heights.max()) + 2, low + 1, len(hu)))
    # float32 in between: with integer output ITK cuts towards zero instead of rounding.
    image = _from_slice(geometry, low, high - low).to_sitk(hu[low:high])
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in grid.size[::-1]])
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputSpacing(grid.spacing[::-1])
    resampler.SetOutputDirection(np.asarray(grid.direction).ravel().tolist())
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(AIR_HU)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    # The view below borrows the memory of this image, which must therefore stay alive.
    resampled = resampler.Execute(image)
    return np.rint(sitk.GetArrayViewFromImage(resampled)).astype(np.int16)


def _from_slice(geometry: Geometry, first: int, count: int) -> Geometry:
    """``count`` slices of a grid from one on."""
    origin = geometry.index_to_world(np.array([first, 0, 0]))
    return replace(geometry, origin=triple(origin), size=(count, *geometry.size[1:]))
