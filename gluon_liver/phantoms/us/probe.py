"""The convex probe: its fan in the frame, its pose in the liver, its sweep, and the motion that it makes tissue show.

Plane coordinates are mm in the frame of the probe: x to the right of the picture, y away from the skin (0 in the
middle of the probe's face), z across the picture. The liver frame has the same axes at pose zero. Pixels are edge
coordinates as for boxes: the centre of pixel (row i, column j) is (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

import numpy as np

from gluon_liver.phantoms.shapes import Offset
from gluon_liver.structures.arrays import Array

from .config import USPhantomConfig

MARGIN = 0.02  # of the frame's side, left and right of the fan
TOP = 0.11  # rows above the fan, for text


@dataclass(frozen=True)
class Fan:
    """The picture of a convex probe.

    radius_mm: of the probe's face, about the apex at (0, -radius_mm). half_angle: radians. depth_mm: from the face.
    size: side of the frame in pixels.
    """

    radius_mm: float
    half_angle: float
    depth_mm: float
    size: int

    @property
    def width_mm(self) -> float:
        return 2.0 * (self.radius_mm + self.depth_mm) * np.sin(self.half_angle)

    @property
    def top_mm(self) -> float:
        """y of the face's outer corners, the highest points of the picture."""
        return self.radius_mm * (np.cos(self.half_angle) - 1.0)

    @property
    def pixel_mm(self) -> float:
        across = self.width_mm / (self.size * (1.0 - 2.0 * MARGIN))
        return max(across, (self.depth_mm - self.top_mm) / (self.size * (1.0 - 2.0 * TOP)))

    @property
    def region(self) -> Tuple[int, int, int, int]:
        """(x1, y1, x2, y2) pixels around the fan, x2 and y2 exclusive."""
        left, top = self.to_pixels(-0.5 * self.width_mm, self.top_mm)
        right, bottom = self.to_pixels(0.5 * self.width_mm, self.depth_mm)
        return int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))

    def to_pixels(self, x: Any, y: Any) -> Tuple[Any, Any]:
        """Plane mm -> (column, row) edge coordinates."""
        return x / self.pixel_mm + 0.5 * self.size, (y - self.top_mm) / self.pixel_mm + round(TOP * self.size)

    def to_plane(self, column: Any, row: Any) -> Tuple[Any, Any]:
        """(column, row) edge coordinates -> plane mm."""
        return (column - 0.5 * self.size) * self.pixel_mm, (row - round(TOP * self.size)) * self.pixel_mm + self.top_mm

    def grid(self) -> Tuple[Array, Array]:
        """Plane mm of the pixel centres: x (1, size), y (size, 1), float32."""
        centres = np.arange(self.size) + 0.5
        x, y = self.to_plane(centres, centres)
        return x[None].astype(np.float32), y[:, None].astype(np.float32)

    def polar(self, x: Array, y: Array) -> Tuple[Array, Array]:
        """Plane mm -> (range from the face in mm, angle in radians)."""
        return np.hypot(x, y + self.radius_mm) - self.radius_mm, np.arctan2(x, y + self.radius_mm)

    def contains(self, x: Array, y: Array) -> Array:
        """Whether plane points lie in the picture."""
        distance, angle = self.polar(x, y)
        return (distance >= 0) & (distance <= self.depth_mm) & (np.abs(angle) <= self.half_angle)


@dataclass(frozen=True)
class Pose:
    """Where the probe is in the liver: its face's middle, (3,) mm, and (3, 3), rows of the probe's x, y and z axes."""

    position: Array
    axes: Array

    @classmethod
    def of(cls, position: Offset, turns: Offset = (0.0, 0.0, 0.0)) -> Pose:
        """turns: radians about the picture's x (tilt across it), y (twist) and z (rock within it), in that order."""
        (ca, cb, cc), (sa, sb, sc) = np.cos(turns), np.sin(turns)
        about_x = np.array([[1, 0, 0], [0, ca, sa], [0, -sa, ca]])
        about_y = np.array([[cb, 0, -sb], [0, 1, 0], [sb, 0, cb]])
        about_z = np.array([[cc, sc, 0], [-sc, cc, 0], [0, 0, 1]])
        # einsum: a BLAS product of another number of threads may differ in the last bit
        axes = np.einsum("ij,jk,kl->il", about_z, about_y, about_x)
        return cls(np.asarray(position, np.float64), axes)

    def to_liver(self, x: Any, y: Any, z: Any = 0.0) -> Tuple[Array, Array, Array]:
        """Plane mm (arrays that broadcast) -> liver mm, one array a coordinate."""
        a, p = self.axes, self.position
        first, second, third = (p[i] + x * a[0, i] + y * a[1, i] + z * a[2, i] for i in range(3))
        return first, second, third

    def to_probe(self, x: Any, y: Any, z: Any) -> Tuple[Array, Array, Array]:
        """Liver mm -> plane mm, the last coordinate across the picture."""
        a, (px, py, pz) = self.axes, self.position
        dx, dy, dz = x - px, y - py, z - pz
        first, second, third = (dx * a[i, 0] + dy * a[i, 1] + dz * a[i, 2] for i in range(3))
        return first, second, third


@dataclass(frozen=True)
class TissueMotion:
    """Where tissue seen in the previous frame lies in the current one.

    flow: float32 (2, size, size), (dx, dy) in pixels for each pixel centre of the PREVIOUS frame; 0 where not valid.
    valid: bool (size, size), in the fan of both frames.
    elevation_mm: float32 (size, size), how far the tissue has left the picture's plane; the flow is that of its
    projection.
    """

    flow: Array
    valid: Array
    elevation_mm: Array


def tissue_motion(fan: Fan, previous: Pose, current: Pose) -> TissueMotion:
    """The exact motion of rigid tissue between two poses of the probe."""
    centres = np.arange(fan.size) + 0.5
    column, row = np.meshgrid(centres, centres)
    x, y = fan.to_plane(column, row)
    moved_x, moved_y, across = current.to_probe(*previous.to_liver(x, y))
    valid = fan.contains(x, y) & fan.contains(moved_x, moved_y)
    new_column, new_row = fan.to_pixels(moved_x, moved_y)
    flow = np.stack([new_column - column, new_row - row]) * valid
    return TissueMotion(flow.astype(np.float32), valid, (across * valid).astype(np.float32))


def random_sweep(
    rng: np.random.Generator, config: USPhantomConfig, frames: int, middle: Array, turns: Array
) -> List[Pose]:
    """Smooth motion about a pose: every coordinate swings by itself and never changes faster than ``config`` says.

    A hand moves to and fro, so the sweep stays in reach however long it is; frame k does not depend on ``frames``.
    """
    fastest = [config.in_plane_mm, 0.3 * config.in_plane_mm, config.elevation_mm] + [np.deg2rad(config.turn_deg)] * 3
    period = rng.uniform(*config.period_frames, 6)
    swing = np.array(fastest) * rng.uniform(0.4, 1.0, 6) * period / (2.0 * np.pi)
    start = rng.uniform(0.0, 2.0 * np.pi, 6)
    axes, poses = Pose.of(middle, turns).axes, []
    for index in range(frames):
        change = swing * np.sin(start + 2.0 * np.pi * index / period)
        poses.append(Pose.of(middle + np.einsum("ij,i->j", axes, change[:3]), turns + change[3:]))
    return poses
