"""The abdomen without lesions: body wall, skeleton, liver and the organs around it.

Sizes are those of an adult lying on the back: liver on the patient's right (low x), spine at the back (high y), aorta
to the left of the midline in front of it, cava to the right.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.phantoms.shapes import Ellipsoid, Plane, Texture, Window, smooth_cut, smooth_union
from gluon_liver.structures.arrays import Array

SPINE_Y = 55.0
RIB_PITCH_MM = 27.0
VERTEBRA_PITCH_MM = 33.0


class Liver:
    """Right lobe, its inferior part and left lobe, smoothly joined; cut by spine, hilum, kidney, fissure."""

    def __init__(self, rng: np.random.Generator, scale: float):
        def jitter(values: Sequence[float], share: float = 0.05) -> List[float]:
            return [scale * value * rng.uniform(1.0 - share, 1.0 + share) for value in values]

        self.right = Ellipsoid(jitter((-72.0, -4.0, 0.0)), jitter((66.0, 80.0, 74.0)), rng.uniform(-0.08, 0.08))
        self.inferior = Ellipsoid(jitter((-84.0, 12.0, -38.0)), jitter((48.0, 58.0, 62.0)), rng.uniform(-0.1, 0.1))
        self.left = Ellipsoid(jitter((-2.0, -52.0, 12.0)), jitter((72.0, 35.0, 58.0)), rng.uniform(0.0, 0.2))
        self.midline = Ellipsoid(jitter((22.0, 36.0, 0.0)), jitter((54.0, 54.0, 400.0)))
        self.hilum = Ellipsoid(jitter((-30.0, 0.0, -48.0)), jitter((34.0, 30.0, 40.0)))
        self.kidney_bed = Ellipsoid(jitter((-62.0, 68.0, -62.0)), jitter((38.0, 38.0, 52.0)))
        self.fissure = Ellipsoid(jitter((-18.0, -84.0, -14.0)), (2.2, 34.0 * scale, 34.0 * scale), 0.15)
        y, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-1.0, 1.0, 15), np.linspace(-1.0, 1.0, 15)))
        disc = np.stack([-self.fissure.sin * y, self.fissure.cos * y, z], axis=1)[y**2 + z**2 <= 1.0]
        # too thin for a search of the surface of a sphere to hit it
        self.fissure_points = np.asarray(self.fissure.centre) + disc * self.fissure.half[1]
        self.tools = ((self.midline, 16.0), (self.hilum, 14.0), (self.kidney_bed, 12.0), (self.fissure, 3.0))
        self.surface = Texture(rng, 75.0 * scale)
        self.grain = Texture(rng, 14.0, waves=24)
        self.lows = np.array([-165.0, -110.0, -110.0]) * scale
        self.highs = np.array([90.0, 100.0, 85.0]) * scale

    def window(self, plane: Plane, z: float, shift: Array) -> Optional[Window]:
        """Where the plane at ``z`` may show the organ, moved by ``shift`` (x, y, z) mm; None where it cannot."""
        if not self.lows[2] < z < self.highs[2]:
            return None
        return plane.window(self.lows + shift, self.highs + shift)

    def distance(self, x: Array, y: Array, z: Union[float, Array], surface: Array) -> Array:
        """mm, negative inside. ``surface``: ``self.surface`` at the points, which makes it uneven."""
        shape = smooth_union(self.right.distance(x, y, z), self.inferior.distance(x, y, z), 20.0)
        shape = smooth_union(shape, self.left.distance(x, y, z), 26.0)
        shape = shape + np.float32(2.0) * surface
        for tool, width in self.tools:
            # farther away than its rounding, a tool changes nothing
            if np.abs(z - tool.centre[2]).min() < tool.half[2] + width:
                shape = smooth_cut(shape, tool.distance(x, y, z), width)
        return shape

    def distance_at(self, points: Array) -> Array:
        """The same at ``points`` (n, 3) mm."""
        x, y, z = (points[:, axis].astype(np.float32) for axis in range(3))
        return self.distance(x, y, z, self.surface.at(points))


class Abdomen:
    """Everything a study shows around the lesions; one object per patient."""

    def __init__(self, rng: np.random.Generator):
        self.scale = scale = rng.uniform(0.93, 1.05)
        self.half_width = 168.0 * scale * rng.uniform(0.97, 1.05)
        self.half_depth = 114.0 * scale * rng.uniform(0.97, 1.05)
        self.fat_mm = rng.uniform(9.0, 19.0)
        self.muscle_mm = rng.uniform(7.0, 10.0)
        self.liver = Liver(rng, scale)
        self.spine_offset = rng.uniform(0.0, VERTEBRA_PITCH_MM)
        self.rib_offset = rng.uniform(0.0, RIB_PITCH_MM)

        def at(*values: float) -> List[float]:
            return [scale * value * rng.uniform(0.97, 1.03) for value in values]

        self.spleen = Ellipsoid(at(106.0, 30.0, 12.0), at(28.0, 46.0, 52.0), rng.uniform(-0.35, -0.1))
        self.spleen_bed = Ellipsoid(at(72.0, 14.0, 0.0), at(28.0, 44.0, 60.0), -0.2)
        self.stomach = Ellipsoid(at(66.0, -38.0, 4.0), at(40.0, 38.0, 60.0), rng.uniform(0.1, 0.5))
        self.stomach_level = self.stomach.centre[1] - rng.uniform(4.0, 16.0) * scale
        self.colon = Ellipsoid(at(70.0, -50.0, -78.0), at(52.0, 26.0, 32.0), rng.uniform(-0.2, 0.2))
        self.pancreas = Ellipsoid(at(22.0, -14.0, -44.0), at(46.0, 11.0, 18.0), -0.35)
        self.kidneys = [
            Ellipsoid(at(-60.0, 60.0, -66.0), at(26.0, 30.0, 52.0), 0.5),
            Ellipsoid(at(64.0, 58.0, -46.0), at(26.0, 30.0, 54.0), -0.5),
        ]
        self.gallbladder: Optional[Ellipsoid] = None
        if rng.random() < 0.6:
            self.gallbladder = Ellipsoid(at(-42.0, -46.0, -52.0), at(14.0, 24.0, 26.0), rng.uniform(-0.4, 0.4))
        self.dome = Ellipsoid((0.0, 0.0, 6.0 * scale), (self.half_width - 12.0, self.half_depth - 10.0, 82.0 * scale))
        self.aorta_centre, self.aorta_half = at(13.0, 24.0), at(10.5) * 2
        self.cava_centre, self.cava_half = at(-20.0, 22.0), at(12.5, 9.0)

    def wall_distances(self, plane: Plane) -> Tuple[Array, Array, Array]:
        """Distances (mm) of a plane's pixels to the skin and to both sides of the muscle wall."""

        def flattened(inset: float) -> Array:
            a, b = self.half_width - inset, self.half_depth - inset
            u, v = np.abs(plane.x / np.float32(a)), np.abs(plane.y / np.float32(b))
            norm = (u**2.4 + v**2.4) ** np.float32(1.0 / 2.4)
            return (norm - np.float32(1.0)) * np.float32(0.5 * (a + b))

        return flattened(0.0), flattened(self.fat_mm), flattened(self.fat_mm + self.muscle_mm)

    def ribs(self, z: float) -> List[Ellipsoid]:
        """Ribs that the plane cuts. They run down and forward, so they wander along the wall with z."""
        inset = self.fat_mm + 0.6 * self.muscle_mm
        a, b = self.half_width - inset, self.half_depth - inset
        ribs = []
        for number in range(-8, 9):
            drop = number * RIB_PITCH_MM + self.rib_offset - z
            angle = np.deg2rad(70.0) - drop / 62.0
            if not np.deg2rad(-52.0) < angle < np.deg2rad(72.0):
                continue
            for side in (-1.0, 1.0):
                turn = np.arctan2(b * np.cos(angle), -a * np.sin(angle)) * side
                norm = (abs(np.cos(angle)) ** 2.4 + abs(np.sin(angle)) ** 2.4) ** (1.0 / 2.4)
                centre = (side * a * np.cos(angle) / norm, b * np.sin(angle) / norm, z)
                ribs.append(Ellipsoid(centre, (8.5, 4.2, 50.0), turn))
        return ribs

    def great_vessels(self, z: float) -> List[Tuple[str, Ellipsoid]]:
        """Cava and aorta, which run along z, where the plane cuts them."""
        sizes = ("cava", self.cava_centre, self.cava_half), ("aorta", self.aorta_centre, self.aorta_half)
        return [(name, Ellipsoid((*centre, z), (*half, 1.0))) for name, centre, half in sizes]

    def vertebra(self, z: float) -> bool:
        """Whether the plane cuts a vertebral body (True) or a disc."""
        return (z + self.spine_offset) % VERTEBRA_PITCH_MM > 6.0
