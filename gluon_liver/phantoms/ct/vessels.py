"""Vessels of the liver: portal and hepatic venous trees, arteries, and tubes that cross the slices steeply.

A steep tube cut across is a round spot of the size of a small lesion: darker than the unenhanced liver,
bright or dark in the arterial phase (portal or hepatic vein), bright in the delayed one. Only the
neighbouring slices tell them apart.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.phantoms.shapes import Chain, Tubes, bend
from gluon_liver.structures.arrays import Array

from .anatomy import Abdomen

Vessels = Dict[str, Tubes]

HILUM = (-30.0, -4.0, -16.0)
PORTAL_BRANCHES = (
    # control point, end, radii: right trunk and its sectors, left trunk and its sectors
    ((-52.0, -2.0, -12.0), (-76.0, 2.0, -6.0), (6.0, 5.0)),
    ((-86.0, -22.0, 0.0), (-96.0, -48.0, 34.0), (4.4, 1.8)),
    ((-84.0, -24.0, -22.0), (-92.0, -46.0, -52.0), (4.2, 1.8)),
    ((-96.0, 22.0, 2.0), (-112.0, 40.0, 32.0), (4.4, 1.8)),
    ((-94.0, 22.0, -24.0), (-104.0, 34.0, -58.0), (4.2, 1.8)),
    ((-22.0, -22.0, -4.0), (-12.0, -40.0, 6.0), (5.2, 4.0)),
    ((8.0, -48.0, 12.0), (34.0, -56.0, 26.0), (3.6, 1.6)),
    ((-6.0, -56.0, -4.0), (4.0, -62.0, -24.0), (3.4, 1.6)),
)
PORTAL_ROOTS = (-1, 0, 0, 0, 0, -1, 5, 5)
CONFLUENCE = (-20.0, 18.0, 46.0)
HEPATIC_BRANCHES = (
    ((-66.0, 20.0, 34.0), (-108.0, 14.0, -30.0), (5.6, 1.8)),
    ((-44.0, -20.0, 30.0), (-58.0, -44.0, -30.0), (5.4, 1.8)),
    ((-8.0, -22.0, 40.0), (20.0, -54.0, 6.0), (4.8, 1.6)),
    ((-60.0, 42.0, 28.0), (-92.0, 50.0, 0.0), (3.6, 1.6)),
)


def random_vessels(rng: np.random.Generator, abdomen: Abdomen, steep: int) -> Vessels:
    """Capsules by kind: "portal", "hepatic", "artery" inside the liver and the portal "trunk" outside it too.

    steep: how many additional tubes run through the liver within 25 degrees of the z axis.
    """
    scale = abdomen.scale

    def place(point: Sequence[float], spread: float = 5.0) -> Array:
        return np.asarray(point) * scale + rng.uniform(-spread, spread, 3)

    hilum = place(HILUM, 2.0)
    ends: List[Array] = []
    portal: List[Chain] = []
    arteries: List[Chain] = []
    for (control, end, radii), root in zip(PORTAL_BRANCHES, PORTAL_ROOTS):
        start = hilum if root < 0 else ends[root]
        middle, tip = place(control), place(end, 10.0)
        ends.append(tip)
        portal.append(bend((start, middle, tip), radii))
        portal += _twigs(rng, portal[-1])
        if root < 0:
            beside = np.array([3.0, -7.0, 2.0])
            arteries.append(bend((start + beside, middle + beside, tip + beside), (2.4, 1.5)))
    confluence = place(CONFLUENCE, 2.0)
    hepatic: List[Chain] = []
    for control, end, radii in HEPATIC_BRANCHES:
        hepatic.append(bend((confluence, place(control), place(end, 10.0)), radii))
        hepatic += _twigs(rng, hepatic[-1])
    for kind, tube in _steep_tubes(rng, abdomen, steep):
        (portal if kind == "portal" else hepatic).append(tube)
    trunk = [bend((place((-4.0, -2.0, -110.0)), place((-12.0, 0.0, -60.0)), hilum), (7.0, 6.2))]
    chains = {"hepatic": hepatic, "portal": portal, "artery": arteries, "trunk": trunk}
    return {kind: Tubes(parts) for kind, parts in chains.items()}


def _twigs(rng: np.random.Generator, parent: Chain) -> List[Chain]:
    twigs = []
    for index in (2, 4):
        start, radius = parent[0][index], 0.7 * parent[1][index]
        if radius < 1.1:
            continue
        way = rng.standard_normal(3)
        way *= rng.uniform(22.0, 36.0) / np.linalg.norm(way)
        twigs.append(bend((start, start + 0.5 * way + rng.uniform(-4.0, 4.0, 3), start + way), (radius, 0.9), pieces=3))
    return twigs


def _steep_tubes(rng: np.random.Generator, abdomen: Abdomen, count: int) -> List[Tuple[str, Chain]]:
    liver = abdomen.liver
    tubes: List[Tuple[str, Chain]] = []
    for _ in range(count):
        for _attempt in range(50):
            centre = rng.uniform(0.7 * liver.lows, 0.7 * liver.highs)
            if liver.distance_at(centre[None])[0] < -14.0:
                break
        tilt, turn = np.deg2rad(rng.uniform(0.0, 25.0)), rng.uniform(0.0, 2.0 * np.pi)
        way = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
        length = rng.uniform(25.0, 45.0)
        bow = np.append(rng.uniform(-5.0, 5.0, 2), 0.0)
        radius = rng.uniform(2.2, 4.6)
        tube = bend((centre - length * way, centre + bow, centre + length * way), (radius, 0.6 * radius))
        tubes.append((("portal", "hepatic")[int(rng.integers(2))], tube))
    return tubes
