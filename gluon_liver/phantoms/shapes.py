"""Analytic shapes, painted plane by plane with soft edges.

Coordinates are patient millimetres: x to the patient's left, y to the back, z to the head, origin on the body axis. A
shape gives a signed distance in mm (negative inside); ``coverage`` turns it into the share of a pixel that it covers.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.structures.arrays import Array

Window = Tuple[slice, slice]
Offset = Union[Sequence[float], Array]  # mm along x, y (and z)
Chain = Tuple[Array, Array]  # points (n, 3) mm, radii (n,) mm


class Plane:
    """The pixel grid of one axial plane.

    x (1, columns) and y (rows, 1): float32 mm of the pixel centres. ``edge_mm``: the width of an edge, one
    pixel but at least 1.2 mm, the resolution of a body kernel.
    """

    def __init__(self, matrix: int, pixel_mm: float):
        axis = ((np.arange(matrix) - (matrix - 1) / 2.0) * pixel_mm).astype(np.float32)
        self.matrix, self.pixel_mm = matrix, pixel_mm
        self.x, self.y = axis[None, :], axis[:, None]
        self.edge_mm = max(pixel_mm, 1.2)

    def window(self, low: Offset, high: Offset) -> Optional[Window]:
        """Rows and columns that touch the box from ``low`` to ``high`` grown by the edge, or None outside the plane."""
        half = (self.matrix - 1) / 2.0
        limits = []
        for axis in (1, 0):
            first = max(0, int(np.floor((low[axis] - self.edge_mm) / self.pixel_mm + half)))
            last = min(self.matrix, int(np.ceil((high[axis] + self.edge_mm) / self.pixel_mm + half)) + 1)
            if first >= last:
                return None
            limits.append(slice(first, last))
        return limits[0], limits[1]

    def axes(self, window: Window, shift: Offset = (0.0, 0.0)) -> Tuple[Array, Array]:
        """x (1, n) and y (m, 1) of a window, seen from an organ that has moved by ``shift`` (x, y) mm."""
        return self.x[:, window[1]] - np.float32(shift[0]), self.y[window[0]] - np.float32(shift[1])

    def coverage(self, distance: Array) -> Array:
        """Share of each pixel inside a shape, 0 to 1, exactly 0.5 where ``distance`` (mm) is 0."""
        return unit(np.float32(0.5) - distance / np.float32(self.edge_mm))


def unit(values: Array) -> Array:
    """``values`` limited to 0 .. 1 (np.clip costs three times as much on small arrays)."""
    return np.minimum(np.maximum(values, np.float32(0.0)), np.float32(1.0))


def paint(image: Array, window: Window, coverage: Array, hu: Union[float, np.floating[Any], Array]) -> None:
    """Blend ``hu`` (number or array of the window's shape) into ``image`` in place."""
    view = image[window]
    view += coverage * (hu - view)


class Ellipsoid:
    """An ellipsoid, turned in the plane. half: semi-axes in mm. angle: radians, from x towards y."""

    def __init__(self, centre: Sequence[float], half: Sequence[float], angle: float = 0.0):
        self.centre = tuple(float(value) for value in centre)
        self.half = tuple(float(value) for value in half)
        self.cos, self.sin = float(np.cos(angle)), float(np.sin(angle))
        a, b = self.half[:2]
        self.reach = np.hypot((a * self.cos, a * self.sin), (b * self.sin, b * self.cos))

    def distance(self, x: Array, y: Array, z: Union[float, Array]) -> Array:
        """First-order distance k (k - 1) / |grad|: exact at the surface, right in sign everywhere."""
        dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        u = dx * np.float32(self.cos) + dy * np.float32(self.sin)
        v = dy * np.float32(self.cos) - dx * np.float32(self.sin)
        a, b, c = (np.float32(value) for value in self.half)
        w = (z - self.centre[2]) / c
        u, v, w = u / a, v / b, np.float32(1.0) * w
        level = u * u + v * v + w * w
        slope = (u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2
        norm = np.sqrt(level)
        return norm * (norm - np.float32(1.0)) / np.sqrt(slope + np.float32(1e-12))

    def window(self, plane: Plane, z: float, shift: Offset = (0.0, 0.0)) -> Optional[Window]:
        """Where the plane at ``z`` may show the shape, moved by ``shift`` (x, y) mm; None where it cannot."""
        rest = 1.0 - ((z - self.centre[2]) / self.half[2]) ** 2
        if rest <= 0.0:
            return None
        centre, reach = np.add(self.centre[:2], shift[:2]), self.reach * np.sqrt(rest)
        return plane.window(centre - reach, centre + reach)


class Tubes:
    """Capsules: from ``starts`` to ``ends`` (n, 3) mm, with radii ``first`` to ``last`` (n,) mm."""

    def __init__(self, chains: Sequence[Chain]):
        points = [np.asarray(points, np.float64) for points, _ in chains]
        radii = [np.asarray(radii, np.float64) for _, radii in chains]
        self.starts, self.first = (np.concatenate([values[:-1] for values in group]) for group in (points, radii))
        self.ends, self.last = (np.concatenate([values[1:] for values in group]) for group in (points, radii))
        largest = np.maximum(self.first, self.last)[:, None]
        self.lows = np.minimum(self.starts, self.ends) - largest
        self.highs = np.maximum(self.starts, self.ends) + largest

    def cut_by(self, z: float) -> Array:
        """Indices of the capsules that a plane at ``z`` may cut."""
        return np.flatnonzero((self.lows[:, 2] <= z) & (z <= self.highs[:, 2]))

    def distance(self, index: int, x: Array, y: Array, z: float) -> Array:
        """Signed distance (mm) to the lateral surface of one capsule."""
        start, way = self.starts[index], self.ends[index] - self.starts[index]
        wx, wy, wz = (np.float32(value) for value in way)
        dx, dy, dz = x - np.float32(start[0]), y - np.float32(start[1]), np.float32(z - start[2])
        along = unit((dx * wx + dy * wy + dz * wz) / np.float32(way @ way + 1e-9))
        ex, ey, ez = dx - along * wx, dy - along * wy, dz - along * wz
        radius = np.float32(self.first[index]) + along * np.float32(self.last[index] - self.first[index])
        return np.sqrt(ex * ex + ey * ey + ez * ez) - radius


def smooth_union(first: Array, second: Array, width_mm: float) -> Array:
    """Union of two distance fields whose crease is rounded over ``width_mm`` (polynomial smooth minimum)."""
    width = np.float32(width_mm)
    blend = unit(np.float32(0.5) + np.float32(0.5 / width_mm) * (second - first))
    return second + blend * (first - second) - width * blend * (np.float32(1.0) - blend)


def smooth_cut(shape: Array, tool: Array, width_mm: float) -> Array:
    """``shape`` without ``tool``, with a rounded edge."""
    return -smooth_union(-shape, tool, width_mm)


class Texture:
    """A smooth random field of mean 0 and SD 1: waves of about ``wavelength_mm`` in random directions."""

    def __init__(self, rng: np.random.Generator, wavelength_mm: float, *, waves: int = 16):
        direction = rng.standard_normal((waves, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = wavelength_mm * rng.uniform(0.7, 1.5, (waves, 1))
        self.wave = (2.0 * np.pi * direction / length).astype(np.float32)
        self.offset = rng.uniform(0.0, 2.0 * np.pi, waves).astype(np.float32)

    def on_plane(self, x: Array, y: Array, z: float) -> Array:
        """Values at x (1, n), y (m, 1) and one z: float32 (m, n).

        cos(ax + b) = cos(ax) cos(b) - sin(ax) sin(b) makes it a product of two thin matrices. einsum instead
        of a BLAS product keeps the bytes independent of the number of threads.
        """
        across = self.wave[:, :1] * x
        down = self.wave[:, 1] * y + (self.wave[:, 2] * np.float32(z) + self.offset)
        left = np.concatenate([np.cos(down), -np.sin(down)], axis=1)
        right = np.concatenate([np.cos(across), np.sin(across)], axis=0)
        scale = np.float32(np.sqrt(2.0 / len(self.offset)))
        return np.einsum("yk,kx->yx", left, right) * scale

    def at(self, points: Array) -> Array:
        """Values at ``points`` (n, 3) mm: float32 (n,)."""
        phase = (points.astype(np.float32)[:, None, :] * self.wave).sum(axis=2) + self.offset
        return np.cos(phase).sum(axis=1) * np.float32(np.sqrt(2.0 / len(self.offset)))


def bend(points: Sequence[Offset], radii: Tuple[float, float], *, pieces: int = 5) -> Chain:
    """A chain along the quadratic curve of a start, a control point and an end, tapering."""
    start, control, end = (np.asarray(point, np.float64) for point in points)
    t = np.linspace(0.0, 1.0, pieces + 1)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return curve, np.linspace(radii[0], radii[1], pieces + 1)
