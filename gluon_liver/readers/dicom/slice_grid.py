"""The slices of one series -> one regular grid, by positions alone.

InstanceNumber, SliceThickness, SliceLocation and SpacingBetweenSlices are not read: scanners and archives get them
wrong. Slices are ordered by their position projected on the slice normal; spacing is the distance of positions.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Sequence, Tuple, Type

import numpy as np

from gluon_liver import errors
from gluon_liver.structures.arrays import BoolArray, FloatArray
from gluon_liver.structures.geometry import Geometry, triple

from .file_header import SliceHeader
from .tags import MAX_SLICES

SAME_POSITION_MM = 1e-3
SPACING_TOLERANCE = 0.01
GAP_FACTOR = 1.5
MAX_DRIFT_PIXELS = 0.5
MAX_LISTED = 8


@dataclass(frozen=True)
class SliceGrid:
    """Slices in z order and the grid they make.

    order: indices into the given slices, z rising to the head.
    place: (n,) place of each ordered slice on the grid in slices (whole numbers unless the series is regridded).
    shift: (n, 2) pixels (dx, dy) by which each ordered slice has to move to undo a gantry tilt, zeros otherwise.
    """

    geometry: Geometry
    order: Tuple[int, ...]
    place: FloatArray
    shift: FloatArray


def build_grid(slices: Sequence[SliceHeader], name: str, *, regrid: bool = False) -> SliceGrid:
    """Order slices of one size, orientation and pixel spacing, and check that they make a regular grid.

    Raises ``DuplicateSliceError``, ``SliceGapError``, ``SliceSpacingError`` and ``GantryTiltError``, each listing the
    slices at fault. With ``regrid``, gaps and uneven spacing get a grid of the median spacing and tilt gets in-plane
    shifts; slices that share a position are refused all the same, for nothing says which one is right. ``name``
    stands for the series in messages.
    """
    if len(slices) < 2:
        raise errors.GeometryError(
            f"{name} has one slice; spacing is taken from positions, so a series needs two or more"
        )
    row, column = np.asarray(slices[0].orientation[:3]), np.asarray(slices[0].orientation[3:])
    upward, along = project_positions(slices)
    order = np.argsort(along, kind="stable")
    along, positions = along[order], np.array([header.position for header in slices])[order]
    steps = np.diff(along)
    spacing = float(along[-1] - along[0]) / len(steps)
    usual, uneven = _check_steps(steps, spacing, [slices[i] for i in order], name, regrid)
    pixel_spacing = np.asarray(slices[0].pixel_spacing)
    middle = len(slices) // 2
    in_plane = np.stack([positions @ row / pixel_spacing[1], positions @ column / pixel_spacing[0]], axis=1)
    drift = in_plane - in_plane[middle]
    tilted = np.ptp(drift, axis=0).max() > MAX_DRIFT_PIXELS
    if tilted and not regrid:
        raise errors.GantryTiltError(_describe_drift(name, positions, upward, drift))
    place, count = np.arange(len(slices), dtype=np.float64), len(slices)
    if uneven:
        place, spacing = (along - along[0]) / usual, usual
        count = int(np.floor(place[-1] + 0.5)) + 1
    if count > MAX_SLICES:
        raise errors.OversizeError(f"{name} would need {count} slices of {spacing:.3f} mm; the bound is {MAX_SLICES}")
    origin = positions[0] if not tilted else positions[middle] - (along[middle] - along[0]) * upward
    x_row, y_row, z_row = (triple(line) for line in np.stack([row, column, upward], axis=1))
    size = (count, slices[0].rows, slices[0].columns)
    geometry = Geometry(triple(origin), triple((spacing, *pixel_spacing)), (x_row, y_row, z_row), size)
    shift = drift if tilted else np.zeros_like(drift)
    return SliceGrid(geometry, tuple(int(i) for i in order), place, shift)


def _check_steps(
    steps: FloatArray, spacing: float, files: Sequence[SliceHeader], name: str, regrid: bool
) -> Tuple[float, bool]:
    """(the step that most slices keep, whether one differs from the mean, ``spacing``); refuses as build_grid does."""

    def refuse(error: Type[errors.GeometryError], what: str, where: BoolArray, hint: str) -> None:
        """Raise ``error``, listing the pairs of neighbours at which ``where`` is true."""
        labels = [f"file {one.file:04d}" + ("" if one.frame is None else f" frame {one.frame + 1}") for one in files]
        places = np.flatnonzero(where)
        sizes = [f"({steps[i]:.3f} mm instead of {usual:.3f} mm)" for i in places[:MAX_LISTED]]
        pairs = [f"{labels[i]} and {labels[i + 1]} {size}" for i, size in zip(places, sizes)]
        pairs += [f"{len(places) - MAX_LISTED} more"] * (len(places) > MAX_LISTED)
        raise error(f"{name} {what} between {'; '.join(pairs)}. {hint}.")

    same = steps < SAME_POSITION_MM
    usual = statistics.median_low(steps[~same].tolist() or [0.0])
    if same.any():
        hint = "Nothing says which is right: several phases may share the series; split it or remove one set"
        refuse(errors.DuplicateSliceError, "has different slices at one position:", same, hint)
    wide = steps > GAP_FACTOR * usual
    if wide.any() and not regrid:
        hint = "Add the missing files, or import with --regrid to interpolate between positions"
        refuse(errors.SliceGapError, "lacks slices", wide, hint)
    uneven = np.abs(steps - spacing) > SPACING_TOLERANCE * spacing
    if uneven.any() and not regrid:
        # List against the usual step, which most slices keep; the mean moves with the outliers.
        off = np.abs(steps - usual) > SPACING_TOLERANCE * usual
        hint = "Import with --regrid to interpolate between positions"
        refuse(errors.SliceSpacingError, "is unevenly spaced (over 1 %)", off if off.any() else uneven, hint)
    return usual, bool(uneven.any())


def project_positions(slices: Sequence[SliceHeader]) -> Tuple[FloatArray, FloatArray]:
    """(unit slice normal that points to the head, (n,) mm of each slice along it).

    z rises to the head whatever the direction in which rows and columns run.
    """
    orientation = slices[0].orientation
    normal = np.cross(orientation[:3], orientation[3:])
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)
    return normal, np.array([header.position for header in slices]) @ normal


def _describe_drift(name: str, positions: FloatArray, upward: FloatArray, drift: FloatArray) -> str:
    """A straight drift is a tilted gantry; any other means slices with different fields of view in one series."""
    way = positions[-1] - positions[0]
    angle = np.degrees(np.arccos(np.clip(way @ upward / np.linalg.norm(way), -1, 1)))
    line = np.linspace(0, 1, len(drift))[:, None] * (drift[-1] - drift[0]) + drift[0]
    largest = f"{np.ptp(drift, axis=0).max():.1f} pixels"
    if np.abs(drift - line).max() > MAX_DRIFT_PIXELS:
        what = f"its slices are shifted against each other in their plane by up to {largest}, not along one line"
        return f"{name}: {what}. To go on, import with --regrid, which shifts every slice back."
    what = f"the gantry was tilted by {angle:.1f} degrees (the slices drift by {largest} over the stack)"
    return f"{name}: {what}. To go on, import with --regrid, which shears the slices back."
