"""The slices of one series -> one regular grid, by positions alone.

InstanceNumber, SliceThickness, SliceLocation and SpacingBetweenSlices are not read: scanners and archives get them
wrong. Slices are ordered by their position projected on the slice normal; spacing is the distance of positions.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import numpy as np

from gluon_liver import errors
from gluon_liver.structures.arrays import BoolArray, FloatArray
from gluon_liver.structures.geometry import Geometry, triple
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping

from .file_header import SliceHeader
from .tags import MAX_SIDE, MAX_SLICES, MAX_VOXELS

SAME_POSITION_MM = 1e-3
SPACING_TOLERANCE = 0.01
GAP_FACTOR = 1.5
MAX_MISSING = 2  # slices of a gap that --regrid interpolates
MIN_SLICES_BESIDE_STRAY = 3
NEAR = 0.25  # of the spacing: a slice this near to a place of the grid is the one that is shown there
# Positions that were rounded to 0.1 mm or finer lie this much of the last written digit off the line fitted to them, or
# less: half of it off the true line. Whole millimetres explain more than they should; --regrid believes them.
ROUNDING, COARSEST_DIGIT_MM, COARSEST_OF_REGRID_MM = 0.7, 0.1, 1.0
MAX_DRIFT_PIXELS = 0.5
MAX_SHIFT = 0.5  # of the image's side: a slice that is shifted further shows hardly anything
MAX_LISTED = 8


@dataclass(frozen=True)
class SliceGrid:
    """Slices in z order and the grid they make.

    geometry: of the stored grid: columns to the patient's left, rows to the back, square pixels.
    order: indices into the given slices, z rising to the head.
    place: (n,) place of each ordered slice on the grid in slices (whole numbers where nothing is interpolated), NaN of
    those that are left out.
    mapping: from the ordered slices to the stored grid.
    history: what is done to stored slices.
    left_out: (index into the given slices, mm to its neighbour) of lone slices far off the others.
    off_line: slices whose position is not where the line through all of them says: it was rounded, or wavers by 1 %.
    """

    geometry: Geometry
    order: Tuple[int, ...]
    place: FloatArray
    mapping: SliceMapping
    history: SliceHistory
    left_out: Tuple[Tuple[int, float], ...] = ()
    off_line: int = 0


def build_grid(slices: Sequence[SliceHeader], name: str, *, regrid: bool = False) -> SliceGrid:
    """Order slices of one size, orientation and pixel spacing, and check that they make a regular grid.

    Raises ``DuplicateSliceError``, ``SliceGapError``, ``SliceSpacingError`` and ``GantryTiltError``, each listing the
    slices at fault and what ``regrid`` would do. With ``regrid``, gaps of up to MAX_MISSING slices and uneven spacing
    get a grid of the usual spacing, tilt gets in-plane shifts, and a lone slice beyond a wider gap is left out; slices
    that share a position are refused all the same, for nothing says which one is right. ``name`` stands for the series
    in messages.
    """
    if len(slices) < 2:
        raise errors.GeometryError(
            f"{name} has one slice; spacing is taken from positions, so a series needs two or more"
        )
    _, along = project_positions(slices)
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    usual = _usual_step(steps, [slices[i] for i in order], name)
    stray = _strays(steps, usual) if regrid else np.zeros(len(slices), bool)
    grid = _build([slices[i] for i in order[~stray]], name, regrid=regrid)
    gaps = tuple((int(order[k]), float(steps[min(k, len(steps) - 1)])) for k in np.flatnonzero(stray))
    return replace(_with_strays(grid, stray), order=tuple(int(i) for i in order), left_out=gaps)


def project_positions(slices: Sequence[SliceHeader]) -> Tuple[FloatArray, FloatArray]:
    """(unit slice normal that points to the head, (n,) mm of each slice along it).

    z rises to the head whatever the direction in which rows and columns run.
    """
    orientation = slices[0].orientation
    normal = np.cross(orientation[:3], orientation[3:])
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)
    return normal, np.array([header.position for header in slices]) @ normal


def file_of(header: SliceHeader) -> str:
    """How messages name the file of a slice, with its frame where it has several."""
    return f"file {header.file:04d}" + ("" if header.frame is None else f" frame {header.frame + 1}")


def _build(slices: Sequence[SliceHeader], name: str, *, regrid: bool) -> SliceGrid:
    """:func:`build_grid` of slices in z order."""
    row, column = np.asarray(slices[0].orientation[:3]), np.asarray(slices[0].orientation[3:])
    upward, along = project_positions(slices)
    positions = np.array([header.position for header in slices])
    place, spacing, start, off_line = _places(along, slices, name, regrid)
    pixel_spacing = np.asarray(slices[0].pixel_spacing)
    middle = len(slices) // 2
    in_plane = np.stack([positions @ row / pixel_spacing[1], positions @ column / pixel_spacing[0]], axis=1)
    drift = in_plane - in_plane[middle]
    tilted = np.ptp(drift, axis=0).max() > MAX_DRIFT_PIXELS
    rows, columns = slices[0].rows, slices[0].columns
    if tilted and not regrid:
        raise errors.GantryTiltError(_describe_drift(name, positions, upward, drift) + _outlook(slices, name))
    if (np.abs(drift).max(axis=0) > MAX_SHIFT * np.array([columns, rows])).any():
        raise errors.GantryTiltError(
            _describe_drift(name, positions, upward, drift) + ". That is more than half of the image, beyond what "
            "--regrid shifts back."
        )
    count = int(np.floor(place[-1] + 0.5)) + 1
    mapping = SliceMapping.to_patient_axes(slices[0].orientation, (rows, columns), (pixel_spacing[0], pixel_spacing[1]))
    mapping = mapping.with_slices(_nearest_places(place, count), drift if tilted else None)
    height, width = mapping.stored_size
    if count > MAX_SLICES or max(height, width) > MAX_SIDE or count * height * width > MAX_VOXELS:
        wanted = f"{name} would need {count} slices of {height}x{width} pixels, {spacing:.3f} mm apart"
        bounds = f"{MAX_SLICES} slices of {MAX_SIDE} a side and {MAX_VOXELS} pixels in all"
        raise errors.OversizeError(f"{wanted}; the bounds are {bounds}")
    first_row, first_column = mapping.source_index(0.5, 0.5)
    base = middle if tilted else 0
    corner = positions[base] + (start - along[base]) * upward
    corner = corner + row * first_column * pixel_spacing[1] + column * first_row * pixel_spacing[0]
    along_y, along_x = (row, column) if mapping.turned else (column, row)
    flip_y, flip_x = mapping.flipped
    axes = np.stack([-along_x if flip_x else along_x, -along_y if flip_y else along_y, upward], axis=1)
    x_row, y_row, z_row = (triple(line) for line in axes + 0.0)  # no -0
    size = (count, height, width)
    geometry = Geometry(triple(corner), triple((spacing, *mapping.stored_spacing)), (x_row, y_row, z_row), size)
    return SliceGrid(geometry, (), place, mapping, _history(place, mapping, count), (), off_line)


def _usual_step(steps: FloatArray, files: Sequence[SliceHeader], name: str) -> float:
    """The step that most slices keep, the lower of two. Raises ``DuplicateSliceError``."""
    same = steps < SAME_POSITION_MM
    usual = statistics.median_low(steps[~same].tolist() or [0.0])
    if same.any():
        hint = (
            "Nothing says which is right: several phases may share the series; an import leaves one out with --exclude"
        )
        what = f"{name} has two slices at one position:"
        raise errors.DuplicateSliceError(f"{what} between {_listed(steps, usual, same, files)}. {hint}.")
    return usual


def _strays(steps: FloatArray, usual: float) -> BoolArray:
    """(n slices,) which are the first or last one and lie further off the others than a gap that is interpolated."""
    far = steps > (MAX_MISSING + 1 + NEAR) * usual
    stray = np.zeros(len(steps) + 1, dtype=bool)
    stray[0], stray[-1] = far[0], far[-1]
    enough = len(stray) - stray.sum() >= MIN_SLICES_BESIDE_STRAY
    return stray if enough else np.zeros_like(stray)


def _with_strays(grid: SliceGrid, stray: BoolArray) -> SliceGrid:
    """The grid of the other slices, and strays among them that are shown nowhere."""
    slices, place, shifts = np.full(len(stray), -1), np.full(len(stray), np.nan), np.zeros((len(stray), 2))
    slices[~stray], place[~stray] = grid.mapping.slices, grid.place
    if grid.mapping.shifts:
        shifts[~stray] = grid.mapping.shifts
    pairs = tuple((float(x), float(y)) for x, y in shifts) if grid.mapping.shifts else ()
    mapping = replace(grid.mapping, slices=tuple(int(z) for z in slices), shifts=pairs)
    return replace(grid, place=place, mapping=mapping)


def _places(
    along: FloatArray, files: Sequence[SliceHeader], name: str, regrid: bool
) -> Tuple[FloatArray, float, float, int]:
    """(place of each slice on the grid, spacing in mm, where place 0 lies, slices off the line by rounding)."""
    steps = np.diff(along)
    usual, spacing = _usual_step(steps, files, name), float(along[-1] - along[0]) / len(steps)
    wide, uneven = steps > GAP_FACTOR * usual, np.abs(steps - spacing) > SPACING_TOLERANCE * spacing
    if not uneven.any():
        return np.arange(len(along), dtype=np.float64), spacing, float(along[0]), 0
    whole = np.concatenate([[0.0], np.cumsum(np.rint(steps / usual))])
    slope, start = np.polyfit(whole, along, 1)
    off = np.abs(along - start - slope * whole) if (np.diff(whole) > 0).all() else np.full(len(along), np.inf)
    digit = _rounding(off, steps[~wide], slope, files)
    if 0 < digit <= (COARSEST_OF_REGRID_MM if regrid else COARSEST_DIGIT_MM) and not wide.any():
        return whole, float(slope), float(start), int((off > SAME_POSITION_MM).sum())
    if wide.any() and not regrid:
        what = f"{name} lacks slices between {_listed(steps, usual, wide, files)}"
        raise errors.SliceGapError(f"{what}. Add the missing files{_outlook(files, name)}")
    too_wide = steps > (MAX_MISSING + 1 + NEAR) * usual
    if too_wide.any():
        what = f"{name} lacks too many slices between {_listed(steps, usual, too_wide, files)}"
        raise errors.SliceGapError(f"{what}. Add the missing files: --regrid interpolates {MAX_MISSING} at most.")
    if not regrid:
        # List against the usual step, which most slices keep; the mean moves with the outliers.
        odd = np.abs(steps - usual) > SPACING_TOLERANCE * usual
        what = f"{name} is unevenly spaced (over 1 %) between"
        listed = _listed(steps, usual, odd if odd.any() else uneven, files)
        raise errors.SliceSpacingError(f"{what} {listed}{_outlook(files, name)}")
    if digit or (off <= SPACING_TOLERANCE * slope).all():
        return whole, float(slope), float(start), int((off > SAME_POSITION_MM).sum())
    return (along - along[0]) / usual, usual, float(along[0]), 0


def _rounding(off: FloatArray, steps: FloatArray, spacing: float, files: Sequence[SliceHeader]) -> float:
    """The last written digit in mm where positions lie on a line but for it, 0 where they do not.

    Rounding makes longer and shorter steps in turn. One step that differs is uneven spacing, however small.
    """
    digit = next((d for d in (1.0, 0.1, 0.01, 0.001) if all(_is_multiple(one.position[2], d) for one in files)), 0.0)
    in_turn = min((steps > spacing).sum(), (steps < spacing).sum()) > 1
    return digit if in_turn and (off <= ROUNDING * digit).all() else 0.0


def _is_multiple(value: float, digit: float) -> bool:
    return abs(value / digit - round(value / digit)) < 1e-4


def _nearest_places(place: FloatArray, count: int) -> List[int]:
    """The place on the grid at which each slice is shown: within NEAR of it and nearer than any other, or -1."""
    nearest = np.clip(np.rint(place).astype(int), 0, count - 1)
    distance = np.abs(place - nearest)
    shown = np.full(len(place), -1)
    for source in np.argsort(distance, kind="stable"):
        if distance[source] <= NEAR and nearest[source] not in shown:
            shown[source] = nearest[source]
    return [int(z) for z in shown]


def _history(place: FloatArray, mapping: SliceMapping, count: int) -> SliceHistory:
    shown = {z: source for source, z in enumerate(mapping.slices) if z >= 0}
    interpolated = tuple(z for z in range(count) if z not in shown)
    blended = tuple(z for z, source in sorted(shown.items()) if abs(place[source] - z) > 1e-6)
    moved = {source for source, shift in enumerate(mapping.shifts) if max(map(abs, shift)) > 1e-6}
    return SliceHistory(interpolated, blended, tuple(z for z, source in sorted(shown.items()) if source in moved))


def _listed(steps: FloatArray, usual: float, where: BoolArray, files: Sequence[SliceHeader]) -> str:
    """The pairs of neighbours at which ``where`` is true."""
    places = np.flatnonzero(where)
    sizes = [f"({steps[i]:.3f} mm instead of {usual:.3f} mm)" for i in places[:MAX_LISTED]]
    pairs = [f"{file_of(files[i])} and {file_of(files[i + 1])} {size}" for i, size in zip(places, sizes)]
    pairs += [f"{len(places) - MAX_LISTED} more"] * (len(places) > MAX_LISTED)
    return "; ".join(pairs)


def _outlook(files: Sequence[SliceHeader], name: str) -> str:
    """The end of a refusal: what an import with --regrid would make of the series."""
    try:
        grid = build_grid(files, name, regrid=True)
    except errors.DicomError as error:
        gap = isinstance(error, errors.SliceGapError)
        why = f"a gap of more than {MAX_MISSING} slices" if gap else "it"
        return f". --regrid refuses {why} too."
    done = [f"leaves {file_of(files[index])} out, {mm:.1f} mm off the others" for index, mm in grid.left_out]
    history = grid.history
    for verb, slices in (
        ("interpolates", history.interpolated),
        ("blends with a neighbour", history.blended),
        ("shifts back", history.shifted),
    ):
        if slices:
            done.append(f"{verb} {len(slices)} of {grid.geometry.size[0]} slices")
    between = grid.mapping.slices.count(-1) - len(grid.left_out)
    if between:
        done.append(f"shows {between} slices nowhere, for they lie between places of the usual spacing")
    if grid.off_line:
        done.append(f"puts {grid.off_line} slices on the line through all positions")
    return f". To go on, import with --regrid, which {', '.join(done)}."


def _describe_drift(name: str, positions: FloatArray, upward: FloatArray, drift: FloatArray) -> str:
    """A straight drift is a tilted gantry; any other means slices with different fields of view in one series."""
    way = positions[-1] - positions[0]
    angle = np.degrees(np.arccos(np.clip(way @ upward / np.linalg.norm(way), -1, 1)))
    line = np.linspace(0, 1, len(drift))[:, None] * (drift[-1] - drift[0]) + drift[0]
    largest = f"{np.ptp(drift, axis=0).max():.1f} pixels"
    if np.abs(drift - line).max() > MAX_DRIFT_PIXELS:
        what = f"its slices are shifted against each other in their plane by up to {largest}, not along one line"
        return f"{name}: {what}"
    return f"{name}: the gantry was tilted by {angle:.1f} degrees (the slices drift by {largest} over the stack)"
