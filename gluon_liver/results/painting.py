"""Boxes as masks of pixels."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from gluon_liver.structures.arrays import Array, BoolArray

from .found import ELLIPSOIDS


def painted(box: Array, size: Tuple[int, int], shape: str) -> Tuple[Tuple[slice, slice], BoolArray]:
    """Where a box lies among ``size`` (rows, columns) pixels, and which pixels of that part it marks.

    box: edges x1, y1, x2, y2, (0, 0) the outer corner of the first pixel. A pixel is marked whose centre lies in the
    box or, of :data:`ELLIPSOIDS`, in the ellipse that touches its four sides; at least the one that holds its middle.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    rows, columns = _span(y1, y2, size[0]), _span(x1, x2, size[1])
    ys, xs = np.arange(rows.start, rows.stop) + 0.5, np.arange(columns.start, columns.stop) + 0.5
    if shape == ELLIPSOIDS:
        far = ((ys - (y1 + y2) / 2) / max((y2 - y1) / 2, 1e-6)) ** 2
        off = ((xs - (x1 + x2) / 2) / max((x2 - x1) / 2, 1e-6)) ** 2
        marked: BoolArray = far[:, None] + off[None, :] <= 1
    else:
        marked = ((ys >= y1) & (ys < y2))[:, None] & ((xs >= x1) & (xs < x2))[None, :]
    middle = _pixel((y1 + y2) / 2, size[0]) - rows.start, _pixel((x1 + x2) / 2, size[1]) - columns.start
    marked[middle] = True
    return (rows, columns), marked


def _pixel(edge: float, count: int) -> int:
    return int(np.clip(np.floor(edge), 0, count - 1))


def _span(low: float, high: float, count: int) -> slice:
    """The pixels that the edges touch, one at least."""
    first = _pixel(low, count)
    return slice(first, max(first, _pixel(high, count)) + 1)
