"""The liver under the probe: parenchyma, vessels, tumors, the surface behind it, a rib; all analytic and rigid.

Coordinates are those of the liver frame in mm (see :mod:`.probe`): the probe's face lies near y = 0. Echo is the
amplitude of a scatterer relative to parenchyma; loss is what a mm of tissue takes of the amplitude behind it (1/mm,
beyond that of parenchyma; below zero: enhancement behind fluid).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Iterator, List, Tuple

import numpy as np

from gluon_liver.phantoms.shapes import Chain, Texture, Tubes, bend
from gluon_liver.structures.arrays import Array

from .config import USPhantomConfig

KINDS = ("hypoechoic", "hyperechoic", "halo")
# kind -> echo of the inside, echo of the rim, loss
TUMOR_LOOK = {"hypoechoic": (0.33, 0.33, -0.002), "hyperechoic": (2.8, 2.4, 0.006), "halo": (1.3, 0.15, 0.003)}
RIM_MM, WALL_MM, SURFACE_MM = 2.2, 0.9, 1.2
# kind of vessel -> echo and loss of its wall: portal veins have bright ones, hepatic veins hardly any
WALLS = {"portal": (3.2, 0.10), "hepatic": (1.35, 0.02)}
LUMEN_ECHO, RIB_ECHO, SURFACE_ECHO, BEHIND_ECHO = 0.035, 7.0, 6.0, 0.5
LOSS = {"lumen": -0.006, "rib": 2.5, "surface": 0.15, "behind": 0.03}
# purposes of random numbers, so that no draw moves another
_SHAPES, _KINDS, _VESSELS, _BACKGROUND, _TEXTURE = range(5)


@dataclass(frozen=True)
class Tumor:
    """An ellipsoid about ``centre`` (3,) mm.

    half: semi-axes, (3,) mm, along the rows of ``axes`` (3, 3). kind: how it looks.
    """

    centre: Array
    half: Array
    axes: Array
    kind: str

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance in mm: its zero is exact."""
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        # the small numbers make the middle, where there is no gradient, as deep as the longest axis
        level, slope = 1e-12, 1e-12 / self.half.max() ** 2
        for axis, half in zip(self.axes, self.half):
            along = (dx * axis[0] + dy * axis[1] + dz * axis[2]) / half
            level, slope = level + along * along, slope + (along / half) ** 2
        norm = np.sqrt(level)
        return norm * (norm - 1.0) / np.sqrt(slope)


@dataclass(frozen=True)
class Liver:
    """Everything that scatters. surface: (centre (3,), half (3,)) of the organ's ellipsoid."""

    tumors: Tuple[Tumor, ...] = ()
    portal: List[Chain] = field(default_factory=list)
    hepatic: List[Chain] = field(default_factory=list)
    ribs: List[Chain] = field(default_factory=list)
    surface: Tuple[Tuple[float, ...], Tuple[float, ...]] = ((0.0, 20.0, 0.0), (500.0, 500.0, 500.0))
    textures: Tuple[Texture, ...] = ()

    def surface_distance(self, x: Array, y: Array, z: Array) -> Array:
        """Signed mm to the organ's surface, negative inside."""
        centre, half = self.surface
        return Tumor(np.array(centre), np.array(half), np.eye(3), "").distance(x, y, z)


def random_liver(seed: int, patient: int, config: USPhantomConfig) -> Liver:
    """The liver of one patient, from (seed, patient) alone."""

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([seed, 1, patient, purpose]))

    rng = stream(_SHAPES)
    shapes: List[Tuple[Array, Array, Array]] = []
    wanted = int(rng.integers(config.tumors[0], config.tumors[1] + 1))
    for _ in range(50 * wanted):
        centre, half, axes = _random_shape(rng, config)
        apart = (np.linalg.norm(centre - other) > half.max() + size.max() + 3.0 for other, size, _ in shapes)
        if len(shapes) < wanted and all(apart):
            shapes.append((centre, half, axes))
    if rng.random() < config.background_fraction:
        shapes = []
    # the look has a stream of its own: it tells nothing of size and place
    looks = stream(_KINDS)
    tumors = tuple(Tumor(*shape, KINDS[int(looks.integers(len(KINDS)))]) for shape in shapes)
    rng = stream(_VESSELS)
    portal: List[Chain] = []
    hepatic: List[Chain] = []
    for index in range(int(rng.integers(config.vessels[0], config.vessels[1] + 1))):
        (portal if index % 2 else hepatic).extend(_random_tree(rng))
    rng = stream(_BACKGROUND)
    ribs = []
    if rng.random() < config.rib_fraction:
        x, y = rng.uniform(10.0, 25.0) * rng.choice((-1.0, 1.0)), rng.uniform(4.0, 8.0)
        ribs.append(bend(((x - 6.0, y, -60.0), (x, y, 0.0), (x + 6.0, y, 60.0)), (4.0, 4.0)))
    deep = rng.uniform(75.0, 115.0)
    surface = (rng.uniform(-25.0, 25.0), 20.0, rng.uniform(-20.0, 20.0)), (rng.uniform(110.0, 150.0), deep, 120.0)
    rng = stream(_TEXTURE)
    return Liver(tumors, portal, hepatic, ribs, surface, (Texture(rng, 25.0), Texture(rng, 5.0)))


def _random_shape(rng: np.random.Generator, config: USPhantomConfig) -> Tuple[Array, Array, Array]:
    """Centre, semi-axes and axes of a tumor."""
    diameter = np.exp(rng.uniform(*np.log(config.tumor_mm)))
    shape = np.exp(rng.normal(0.0, 0.15, 3))
    half = 0.5 * diameter * shape / np.cbrt(np.prod(shape))
    depth = rng.uniform(0.25, 0.75) * config.depth_mm[0]
    reach = 0.7 * (config.radius_mm[0] + depth) * np.sin(np.deg2rad(config.half_angle_deg[0]))
    centre = np.array([rng.uniform(-reach, reach), depth, rng.uniform(-8.0, 8.0)])
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return centre, half, axes


def _random_tree(rng: np.random.Generator) -> List[Chain]:
    """A trunk through the middle of the sweep and up to two branches."""
    centre = np.array([rng.uniform(-55.0, 55.0), rng.uniform(18.0, 95.0), rng.uniform(-10.0, 10.0)])
    way = rng.standard_normal(3)
    way *= rng.uniform(22.0, 45.0) / np.linalg.norm(way)
    radius = rng.uniform(2.0, 5.5)
    trunk = bend((centre - way, centre + rng.uniform(-8.0, 8.0, 3), centre + way), (radius, 0.6 * radius))
    tree = [trunk]
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(1, len(trunk[0]) - 1))
        side = way + rng.standard_normal(3) * np.linalg.norm(way)
        side *= rng.uniform(15.0, 35.0) / np.linalg.norm(side)
        start, size = trunk[0][place], 0.75 * trunk[1][place]
        ends = start + 0.5 * side + rng.uniform(-3.0, 3.0, 3), start + side
        tree.append(bend((start,) + ends, (size, 0.6 * size), pieces=3))
    return tree


def scatterer_echo(liver: Liver, points: Array) -> Array:
    """Echo of scatterers at ``points`` (3, n) mm, which rise in z: float32 (n,)."""
    x, y, z = points
    echo = np.ones(x.size, np.float32)
    for texture, strength in zip(liver.textures, (0.12, 0.10)):
        echo *= 1.0 + np.float32(strength) * _texture_at(texture, points)
    # walls first: where vessels meet, the lumen is open
    for grow, kind in itertools.product((WALL_MM, 0.0), ("hepatic", "portal")):
        for part, distance in _near_tubes(getattr(liver, kind), points, grow):
            echo[part[distance < grow]] = WALLS[kind][0] if grow else LUMEN_ECHO
    surface = liver.surface_distance(x, y, z)
    echo[surface > 0] = BEHIND_ECHO
    echo[np.abs(surface) < 0.5 * SURFACE_MM] = SURFACE_ECHO
    for tumor in liver.tumors:
        near = [np.abs(along - middle) < tumor.half.max() for along, middle in zip(points, tumor.centre)]
        part = np.flatnonzero(np.logical_and.reduce(near))
        distance = tumor.distance(x[part], y[part], z[part])
        inside, rim, _ = TUMOR_LOOK[tumor.kind]
        spots = np.ones(part.size, np.float32)
        if liver.textures:
            spots += np.float32(0.25) * _texture_at(liver.textures[1], points[:, part])
        here = distance < 0
        echo[part[here]] = (np.where(distance > -RIM_MM, rim, inside) * spots)[here]
    for part, distance in _near_tubes(liver.ribs, points, 0.0):
        echo[part[distance < 0]] = RIB_ECHO
    return np.maximum(echo, np.float32(0.0))


def _near_tubes(chains: List[Chain], points: Array, grow: float) -> Iterator[Tuple[Array, Array]]:
    """(indices of points, distance in mm) of the points around each capsule; ``points`` rise in z."""
    if not chains:
        return
    x, y, z = points
    tubes = Tubes(chains)
    for index, (low, high) in enumerate(zip(tubes.lows - grow, tubes.highs + grow)):
        first, last = np.searchsorted(z, (low[2], high[2]))
        near = (x[first:last] > low[0]) & (x[first:last] < high[0])
        near &= (y[first:last] > low[1]) & (y[first:last] < high[1])
        part = first + np.flatnonzero(near)
        yield part, tubes.distance(index, x[part], y[part], z[part])


def _texture_at(texture: Texture, points: Array) -> Array:
    """Texture.at without its (n, waves, 3) array, which a million scatterers would make large."""
    total = np.zeros(points.shape[1], np.float32)
    for wave, offset in zip(texture.wave[:8], texture.offset):
        total += np.cos(points[0] * wave[0] + points[1] * wave[1] + points[2] * wave[2] + offset)
    return total * np.float32(0.5)
