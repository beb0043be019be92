"""Slices and pixels of a series as its files have them <-> slices and pixels of the stored grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Sequence, Tuple

import numpy as np

from .arrays import Array, FloatArray, IntArray

SQUARE_TOLERANCE = 0.01  # sides of a pixel that differ by less count as equal
Row = Tuple[float, float, float]


@dataclass(frozen=True)
class SliceMapping:
    """Where the slices and pixels of a series went on the stored grid, and the way back.

    Source slices are counted from 0 at the feet over the whole series, stored slices over the grid. Points of a slice
    are edges (x, y) as those of boxes: x along the columns, y along the rows, (0, 0) the outer corner of the first
    pixel.

    source_size, stored_size: (rows, columns).
    source_spacing: (dy, dx) mm of the source's pixels.
    matrix: ((a, b, c), (d, e, f)): the source's (x, y) lies at (a x + b y + c, d x + e y + f) of the stored slice. It
        turns and flips by quarter turns and scales each axis.
    slices: of each source slice the stored slice that shows it, -1 where there is none.
    shifts: of each source slice the stored pixels (dx, dy) by which it was moved in its plane; empty where none was.
    """

    source_size: Tuple[int, int]
    stored_size: Tuple[int, int]
    source_spacing: Tuple[float, float]
    matrix: Tuple[Row, Row]
    slices: Tuple[int, ...]
    shifts: Tuple[Tuple[float, float], ...] = ()

    @classmethod
    def to_patient_axes(
        cls, orientation: Sequence[float], size: Tuple[int, int], spacing: Tuple[float, float]
    ) -> SliceMapping:
        """Columns towards the patient's left and rows to the back, as near as quarter turns and flips come to it.

        Pixels become squares with the shorter of their sides. orientation: six cosines, row direction, then column
        direction; size: (rows, columns); spacing: (dy, dx) mm. No slice is placed yet.
        """
        row, column = np.asarray(orientation[:3], np.float64), np.asarray(orientation[3:], np.float64)
        # at 45 degrees rounding must not decide
        turned = abs(row[1]) + abs(column[0]) > abs(row[0]) + abs(column[1]) + 1e-6
        along_x, along_y = (column, row) if turned else (row, column)
        (height, width), (dy, dx) = (size[::-1], spacing[::-1]) if turned else (size, spacing)
        side = min(dy, dx)
        square = max(dy, dx) / side - 1 <= SQUARE_TOLERANCE
        scale_x, scale_y = (1.0, 1.0) if square else (dx / side, dy / side)
        line_x = (-scale_x, width * scale_x) if along_x[0] < 0 else (scale_x, 0.0)
        line_y = (-scale_y, height * scale_y) if along_y[1] < 0 else (scale_y, 0.0)
        (ax, bx), (ay, by) = line_x, line_y
        matrix = ((0.0, ax, bx), (ay, 0.0, by)) if turned else ((ax, 0.0, bx), (0.0, ay, by))
        stored_size = int(np.ceil(height * scale_y - 0.01)), int(np.ceil(width * scale_x - 0.01))
        dy, dx = map(float, spacing)
        return cls((size[0], size[1]), stored_size, (dy, dx), matrix, ())

    def with_slices(self, slices: Sequence[int], shifts: Optional[Array] = None) -> SliceMapping:
        """The same with places of slices; ``shifts`` (n, 2) are in pixels of the source."""
        pairs = np.zeros((0, 2)) if shifts is None or not shifts.any() else shifts @ self._turn.T
        moved = tuple((float(x), float(y)) for x, y in pairs)
        return replace(self, slices=tuple(int(z) for z in slices), shifts=moved)

    @property
    def turned(self) -> bool:
        """Whether rows of the source are columns of the stored slice."""
        return self.matrix[0][0] == 0

    @property
    def flipped(self) -> Tuple[bool, bool]:
        """Whether the stored rows and the stored columns run against those of the source."""
        (a, b, _), (d, e, _) = self.matrix
        return d + e < 0, a + b < 0

    @property
    def scale(self) -> Tuple[float, float]:
        """Stored rows and columns for each row and column that lies along them in the source."""
        (a, b, _), (d, e, _) = self.matrix
        return abs(d + e), abs(a + b)

    @property
    def stored_spacing(self) -> Tuple[float, float]:
        """(dy, dx) mm of the stored pixels."""
        dy, dx = self.source_spacing[:: -1 if self.turned else 1]
        return (dy, dx) if self.scale == (1.0, 1.0) else (min(dy, dx), min(dy, dx))

    def shift_of(self, source_slice: int) -> FloatArray:
        """Stored pixels (dx, dy) by which a source slice was moved."""
        return np.array(self.shifts[source_slice] if self.shifts else (0.0, 0.0))

    def to_stored(self, boxes: Array, source_slice: int) -> FloatArray:
        """Boxes (n, 4) x1, y1, x2, y2 in pixels of a source slice -> in stored pixels, which may lie outside."""
        return _sorted_corners(_points(boxes) @ self._turn.T + self._offset + self.shift_of(source_slice))

    def to_source(self, boxes: Array, stored_slice: int) -> Tuple[Optional[int], FloatArray]:
        """(source slice, boxes (n, 4) in its pixels) of boxes of a stored slice.

        The slice is None where the stored slice was interpolated; the boxes then lie as in the nearest one.
        """
        slices: IntArray = np.array(self.slices, dtype=np.int64)
        there = np.flatnonzero(slices >= 0)
        nearest = int(there[np.abs(slices[there] - stored_slice).argmin()]) if len(there) else 0
        back = self.to_source_slice(boxes, nearest if len(there) else None)
        return (nearest if len(there) and slices[nearest] == stored_slice else None), back

    def to_source_slice(self, boxes: Array, source_slice: Optional[int]) -> FloatArray:
        """Boxes (n, 4) in stored pixels -> in pixels of a source slice; None is one that was not moved."""
        shift = np.zeros(2) if source_slice is None else self.shift_of(source_slice)
        return _sorted_corners((_points(boxes) - self._offset - shift) @ np.linalg.inv(self._turn).T)

    def source_index(self, x: float, y: float) -> Tuple[float, float]:
        """(row, column), fractions, of the source pixel whose centre lies at a stored edge point, without shifts."""
        point = np.linalg.inv(self._turn) @ (np.array([x, y]) - self._offset)
        return float(point[1] - 0.5), float(point[0] - 0.5)

    @property
    def _turn(self) -> FloatArray:
        return np.array(self.matrix)[:, :2]

    @property
    def _offset(self) -> FloatArray:
        return np.array(self.matrix)[:, 2]


@dataclass(frozen=True)
class SliceHistory:
    """What was done to the slices of a phase on their way to the stored grid, by stored slices.

    interpolated: near which no slice of the series lies: invented between its neighbours.
    blended: mixed of two slices, one of them within a quarter of the spacing.
    shifted: moved in their planes to undo a gantry tilt.
    resampled: whether the whole phase was put on the grid of the reference phase by interpolation.
    """

    interpolated: Tuple[int, ...] = ()
    blended: Tuple[int, ...] = ()
    shifted: Tuple[int, ...] = ()
    resampled: bool = False


def _points(boxes: Array) -> FloatArray:
    """(n, 4) -> (n, 2 corners, 2)"""
    points: FloatArray = np.asarray(boxes, dtype=np.float64).reshape(-1, 2, 2)
    return points


def _sorted_corners(points: FloatArray) -> FloatArray:
    """(n, 2 corners, 2) -> (n, 4), the lower corner first."""
    corners: FloatArray = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)
    return corners
