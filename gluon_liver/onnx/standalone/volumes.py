"""Volumes in HU with their place in the patient, and phases on the grid of the reference phase."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from .pixels import resized, to_grey
from .refusals import Unusable

AIR_HU = -1024
NIFTI, ARRAY = "NIfTI", "array"  # in place of a FrameOfReferenceUID


class Volume(NamedTuple):
    """HU int16 (z, y, x), z to the head, rows to the back, columns to the left, as near as quarter turns come to it.

    origin, steps: voxel (z, y, x) lies at origin + (z, y, x) @ steps, LPS mm. frame: FrameOfReferenceUID. turned,
    flip_y, flip_x: what led from the pixels of a source to these; None for an array, which is as it came. series,
    patient: SeriesInstanceUID and PatientID, where they are known.
    """

    hu: np.ndarray
    origin: np.ndarray
    steps: np.ndarray
    frame: str = ""
    turn: Optional[Tuple[bool, bool, bool]] = None
    series: str = ""
    patient: str = ""

    def index_of(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in mm -> indices (z, y, x), fractions."""
        return (points - self.origin) @ np.linalg.inv(self.steps)

    def source_box(self, box: np.ndarray) -> List[float]:
        """Corners in the pixels of the source."""
        _, height, width = self.hu.shape
        turned, flip_y, flip_x = self.turn or (False, False, False)
        x, y = box[[0, 2]].astype(np.float64), box[[1, 3]].astype(np.float64)
        x, y = width - x if flip_x else x, height - y if flip_y else y
        x, y = (y, x) if turned else (x, y)
        corners = np.array([x.min(), y.min(), x.max(), y.max()], np.float32)
        return [round(float(one), 2) for one in corners]


def oriented(voxels: np.ndarray, origin: np.ndarray, steps: np.ndarray, frame: str = "") -> Volume:
    """Voxels along axes with ``steps`` (3, 3), one a row, in mm -> the volume."""
    lengths = np.linalg.norm(steps, axis=1)
    if not (np.isfinite(steps).all() and np.isfinite(origin).all() and lengths.min() > 0):
        raise Unusable("its axes have no length, or numbers that are not finite")
    units = steps / lengths[:, None]
    if np.abs(units @ units.T - np.eye(3)).max() > 1e-3:
        raise Unusable("its axes are not at right angles (a tilted gantry?): resample it")
    across = max((0, 1, 2), key=lambda axis: abs(units[axis, 2]) - 1e-6 * axis)
    order = [across, *(axis for axis in range(3) if axis != across)]
    voxels, steps, units = voxels.transpose(order), steps[order], units[order]
    along_y, along_x = units[1], units[2]
    turned = bool(abs(along_x[1]) + abs(along_y[0]) > abs(along_x[0]) + abs(along_y[1]) + 1e-6)
    if turned:
        voxels, steps, units = voxels.transpose(0, 2, 1), steps[[0, 2, 1]], units[[0, 2, 1]]
    check_squares(np.linalg.norm(steps[1:], axis=1))
    flips = [bool(units[axis, at] < 0) for axis, at in ((0, 2), (1, 1), (2, 0))]
    for axis, flip in enumerate(flips):
        if flip:
            origin = origin + steps[axis] * (voxels.shape[axis] - 1)
            steps = np.where(np.arange(3)[:, None] == axis, -steps, steps)
            voxels = np.flip(voxels, axis)
    return Volume(np.ascontiguousarray(voxels), origin, steps, frame, (turned, flips[1], flips[2]))


def check_squares(sides: np.ndarray) -> None:
    if sides.max() / sides.min() - 1 > 0.01:
        raise Unusable("its pixels are {:.3f} x {:.3f} mm, no squares: import it with gluon_liver".format(*sides))


def to_hu(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def with_air(volume: Volume, accepted: bool) -> Volume:
    """Checked to hold HU. Arrays and NIfTI come from anywhere: pictures windowed before, or without their intercept."""
    if not np.isfinite(volume.hu).all():
        raise Unusable("it holds values that are not finite")
    if volume.hu.min() > -500 and not accepted:
        raise Unusable(f"its lowest value is {volume.hu.min():g}: HU have air at -1000 (--no-air takes it as it is)")
    return volume._replace(hu=to_hu(volume.hu))


def on_grid(moving: Volume, fixed: Volume) -> Tuple[np.ndarray, np.ndarray]:
    """A phase on the grid of the reference phase, int16 HU, and which slices (z,) it has: linear, air outside."""
    shape = fixed.hu.shape
    if not fixed.frame or moving.frame != fixed.frame:
        raise Unusable("nothing says that it shares a frame of reference with the reference phase")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    if (
        moving.hu.shape == shape
        and np.abs(moving.index_of(fixed.origin + corners @ fixed.steps) - corners).max() <= 1e-3
    ):
        return moving.hu, np.ones(shape[0], bool)
    if fixed.frame == ARRAY:
        raise Unusable(f"it is {moving.hu.shape}, the reference phase {shape}, or its spacing is another one")
    middle = np.array([(z, (shape[1] - 1) / 2, (shape[2] - 1) / 2) for z in range(shape[0])])
    height = moving.index_of(fixed.origin + middle @ fixed.steps)[:, 0]
    present = (height > -0.499) & (height < len(moving.hu) - 0.501)
    if not present.any():
        raise Unusable("no slice of it overlaps the reference phase")
    hu, met = np.full(shape, AIR_HU, np.int16), False
    last = np.array(moving.hu.shape) - 1
    plane = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij"), -1) @ fixed.steps[1:]
    for z in np.flatnonzero(present):
        index = moving.index_of(fixed.origin + z * fixed.steps[0] + plane)
        inside = ((index >= -0.5) & (index < last + 0.5)).all(-1)
        index = np.clip(index, 0, last)
        low = np.minimum(np.floor(index).astype(int), np.maximum(last - 1, 0))
        share, value = index - low, 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.where(corner, share, 1 - share).prod(-1)
            value = value + weight * moving.hu[tuple(np.moveaxis(np.minimum(low + corner, last), -1, 0))]
        hu[z] = np.where(inside, np.rint(np.float32(value)), AIR_HU)
        met = met or bool(inside.any())
    if not met:
        raise Unusable("no pixel of it overlaps the reference phase: it lies beside it")
    return hu, present


def stacks(hu: np.ndarray, present: np.ndarray, dz: float, given: Dict[str, Any]) -> Iterator[Any]:
    """(image (P, 1, D, S, S) uint8, present (P,), scale) of every slice; hu, present: (P, Z, ...), reference first."""
    grey: Dict[Tuple[int, float], Tuple[np.ndarray, float]] = {}  # of what neighbouring stacks share

    def plane(phase: int, place: float) -> Tuple[np.ndarray, float]:
        if (phase, place) not in grey:
            low, share = int(place), np.float32(place % 1)
            values = hu[phase, low]
            if share:
                below, above = hu[phase, low : low + 2].astype(np.float32)
                values = np.rint(below + share * (above - below)).astype(np.int16)
            grey[phase, place] = resized(to_grey(values, given), given["size"])
        return grey[phase, place]

    depth, step = given["slices"], (given["slice_step_mm"] or dz) / dz
    for z in range(hu.shape[1]):
        image, scale = [], 1.0
        for phase, there in enumerate(present[:, z]):
            shown = phase if there and not given["repeat_reference"] else 0
            first, last = np.flatnonzero(present[shown])[[0, -1]]
            offsets = [0] * depth if given["repeat_centre"] else range(-(depth // 2), depth // 2 + 1)
            for offset in offsets:
                place = min(max(z - first + step * offset, 0.0), float(last - first))
                place = float(round(place)) if abs(place - round(place)) < 0.01 else place
                one, scale = plane(shown, first + place)
                image.append(one)
        yield np.reshape(image, (len(present), 1, depth, *image[0].shape)), present[:, z], scale
        for key in [one for one in grey if one[1] < z - step * (depth // 2) - 1]:
            del grey[key]
