"""Vessels across the slices whose sections are those of lesions.

One slice of such a tube is drawn as a slice of a lesion is: class, size, CT numbers in every phase, outline, edges and
partial volume come from the same distributions, and the same code paints them. What tells the two apart lies in the
neighbouring slices alone: a tube carries its section on, aslant, while a lesion's grows, shrinks and ends. (Dilated
bile ducts beside cysts and vessels beside enhancing lesions are the reader's everyday; no vessel looks like an HCC
in all phases, but a phantom that leaves a class without its double would give that class away on one slice.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import Array

from . import attenuation as hu
from .anatomy import Abdomen
from .config import CLASSES, CTPhantomConfig
from .lesions import LESION_GAP_MM, LIVER_MARGIN_MM, SMALLEST_MM, Lesion, Site, random_lesion, random_size

TILT_DEG = (8.0, 25.0)
TRIES, SECTION_TRIES = 60, 5000
LEAST_REACH_MM = 20.0  # a tube must stay inside the liver at least so far up and down, or over the whole study


@dataclass(frozen=True)
class SteepVessel:
    """A straight tube through all slices.

    section: the lesion whose section it carries, centred on the tube's axis. height_mm: of that section above the
    lesion's centre. slope: (x, y) mm that the axis moves sideways in a mm along z. diameter_mm: of the section.
    """

    section: Lesion
    height_mm: float
    slope: Tuple[float, float]
    diameter_mm: float

    def at(self, z: float) -> Array:
        """(x, y) of the axis, mm in the patient frame."""
        x, y, centre_z = self.section.centre_mm
        return np.array([x, y]) + (z - centre_z) * np.asarray(self.slope)


def random_steep_vessels(
    rng: np.random.Generator,
    abdomen: Abdomen,
    config: CTPhantomConfig,
    tissue: hu.Attenuation,
    count: int,
    only: Optional[str],
    lesions: Sequence[Site],
    height: Tuple[float, float],
) -> List[SteepVessel]:
    """Up to ``count`` tubes inside the liver that touch no lesion and no other tube; what fits nowhere is left out.

    only: the class that all of a patient's lesions share. height: middle of the study and how far from it lesions may
    reach, mm.
    """
    tubes: List[SteepVessel] = []
    for _ in range(count):
        drawn = _random_section(rng, config, only, 2.0 * height[1])
        if drawn is None:
            continue
        label, ambiguous, whole, cut, diameter = drawn
        tilt, turn = np.tan(np.deg2rad(rng.uniform(*TILT_DEG))), rng.uniform(0.0, 2.0 * np.pi)
        slope = np.array([tilt * np.cos(turn), tilt * np.sin(turn)])
        place = _random_place(rng, abdomen, slope, 0.6 * diameter, lesions, tubes, height)
        if place is not None:
            section = random_lesion(rng, (place, whole), label, ambiguous, tissue, config.irregularity)
            tubes.append(SteepVessel(section, cut, (float(slope[0]), float(slope[1])), diameter))
    return tubes


def _random_section(
    rng: np.random.Generator, config: CTPhantomConfig, only: Optional[str], room_mm: float
) -> Optional[Tuple[str, bool, float, float, float]]:
    """Class, whether ambiguous, diameter of the lesion, height and diameter of its section: as slices show lesions.

    A lesion is on as many slices as it is tall, so a tall one is drawn as many times as often. None where hardly any
    lesion of the patient's has such a section.
    """
    assert config.steep_vessel_mm is not None
    narrowest, widest = config.steep_vessel_mm
    weights = np.asarray(config.class_weights, np.float64)
    largest = max(config.diameters_of(label)[1] for label in CLASSES)
    for _ in range(SECTION_TRIES):
        label = only or CLASSES[int(rng.choice(3, p=weights / weights.sum()))]
        ambiguous = bool(rng.random() < config.ambiguous_fraction)
        whole = config.diameter(label, ambiguous, random_size(rng))
        while 1.2 * whole > room_mm and whole >= SMALLEST_MM:
            whole *= 0.8  # as lesions shrink that do not fit
        height = 0.5 * largest * rng.uniform(-1.0, 1.0)
        section = np.sqrt(max(0.0, whole**2 - 4.0 * height**2))
        if whole >= SMALLEST_MM and narrowest <= section <= widest:
            return label, ambiguous and label != "cyst", whole, float(height), float(section)
    return None


def _random_place(
    rng: np.random.Generator,
    abdomen: Abdomen,
    slope: Array,
    radius: float,
    lesions: Sequence[Site],
    tubes: Sequence[SteepVessel],
    height: Tuple[float, float],
) -> Optional[Array]:
    """A point (3,) mm of the axis of a tube that lies inside the liver and apart from everything; None without one."""
    liver, (middle, reach) = abdomen.liver, height
    turn = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    ring = (radius + LIVER_MARGIN_MM) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    inside = middle + np.linspace(-1.0, 1.0, 7) * min(reach, LEAST_REACH_MM)
    through = middle + np.linspace(-1.0, 1.0, 25) * reach
    low, high = liver.lows.copy() + radius, liver.highs.copy() - radius
    low[2], high[2] = middle - 1.0, middle + 1.0
    for place in rng.uniform(low, high, (TRIES, 3)):
        way = place[:2] + (through[:, None] - place[2]) * slope
        axis = np.concatenate([way, through[:, None]], axis=1)
        near = [(axis - centre, 0.6 * diameter + LESION_GAP_MM) for centre, diameter in lesions]
        near += [(way - [other.at(z) for z in through], 0.6 * other.diameter_mm + LESION_GAP_MM) for other in tubes]
        near += [(way - abdomen.cava_centre, 14.0)]
        if all(np.linalg.norm(gaps, axis=1).min() > radius + least for gaps, least in near):
            centres = place[:2] + (inside[:, None] - place[2]) * slope
            edge = (centres[:, None] + ring[None]).reshape(-1, 2)
            walls = np.concatenate([edge, np.repeat(inside, len(ring))[:, None]], axis=1)
            fissure = np.linalg.norm(liver.fissure_points[:, None] - np.c_[centres, inside][None], axis=2).min()
            if fissure > radius + 5.0 and liver.distance_at(walls).max() < 0.0:
                return np.asarray(place)
    return None
