"""Sections of lesions and of steep vessels, and what one slice and nine slices tell about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Iterator, List, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.phantoms.ct.attenuation import PHASES
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.study import PhantomStudy, _random_patient, make_ct_study
from gluon_liver.phantoms.ct.vessels import random_vessels

from .learner import held_out_area

SLAB = 4  # slices to either side
RADII_MM = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0])
SMOOTH_MM, SEARCH_MM = 1.5, 5.0


@dataclass(frozen=True)
class Spot:
    """A section. place: (slice, row, column). label: class whose look it has, "" for a vein."""

    study: int
    tube: bool
    label: str
    ambiguous: bool
    place: Tuple[int, float, float]
    diameter_mm: float
    one: np.ndarray
    slab: np.ndarray


def spots(config: CTPhantomConfig, studies: int, *, seed: int = 0, every: int = 2) -> List[Spot]:
    """Sections of ``studies`` studies on every few slices; organs do not move between the phases."""
    config, found = replace(config, breathing_mm=0.0, background_fraction=0.0, two_study_fraction=0.0), []
    for index in range(studies):
        study = make_ct_study(config, seed=seed, index=index)
        smooth = [_smoothed(study, phase) for phase in PHASES]
        for tube, label, ambiguous, section in _objects(study, config, seed):
            for k in range(SLAB, study.geometry.size[0] - SLAB):
                x, y, diameter = section(_height(study, k))
                if (
                    (k + index) % every == 0
                    and diameter > 0.0
                    and (np.pi * diameter**2 / 4.0 >= _least_area(study, config) or not label)
                ):
                    row, column = _pixel(study, x, y)
                    one = np.concatenate([rings(study, study.hu[phase][k], row, column) for phase in PHASES])
                    slab = np.concatenate([_followed(study, volume, k, row, column, diameter) for volume in smooth])
                    found.append(Spot(index, tube, label, ambiguous, (k, row, column), diameter, one, slab))
    return found


def rings(study: PhantomStudy, image: np.ndarray, row: float, column: float) -> np.ndarray:
    """Means and SDs over rings, and means over the four quarters of the rings."""
    reach = int(RADII_MM[-1] / study.geometry.spacing[1]) + 1
    top, left = int(round(row)) - reach, int(round(column)) - reach
    part = image[max(top, 0) : top + 2 * reach + 1, max(left, 0) : left + 2 * reach + 1].astype(float)
    dy, dx = np.indices(part.shape, dtype=float)
    dy, dx = (
        (dy + max(top, 0) - row) * study.geometry.spacing[1],
        (dx + max(left, 0) - column) * study.geometry.spacing[1],
    )
    ring, quarter = np.searchsorted(RADII_MM, np.hypot(dy, dx), side="right") - 1, 2 * (dy > 0) + (dx > 0)
    values: List[float] = []
    for number in range(len(RADII_MM) - 1):
        quarters = [part[(ring == number) & (quarter == k)] for k in range(4)]
        here = np.concatenate(quarters)
        # a ring may fall between coarse pixels
        values += [here.mean(), here.std()] if here.size else [0.0, 0.0]
        if number >= 2:
            values += sorted(one.mean() if one.size else 0.0 for one in quarters)
    return np.array(values)


def tubes_area(
    found: Sequence[Spot], limits: Tuple[float, float]
) -> Tuple[Tuple[int, int], Tuple[float, float], Tuple[float, float]]:
    """(lesion sections, tube sections), then area and its error of one slice, and of nine: which one is a tube?

    limits: of the sections' diameters in mm.
    """
    chosen = [spot for spot in found if limits[0] <= spot.diameter_mm < limits[1]]
    truth, groups = (np.array([getattr(spot, name) for spot in chosen]) for name in ("tube", "study"))
    one = np.array([spot.one for spot in chosen])
    both = np.concatenate([one, np.array([spot.slab for spot in chosen])], axis=1)
    counts = int((~truth).sum()), int(truth.sum())
    return counts, held_out_area(one, truth, groups), held_out_area(both, truth, groups)


def classes_area(found: Sequence[Spot], phase: str) -> Tuple[float, float]:
    """Area and its error: is a section a hemangioma's or an HCC's, from one phase alone?"""
    chosen = [spot for spot in found if not spot.tube and spot.label != "cyst"]
    width = len(chosen[0].one) // len(PHASES)
    first = width * PHASES.index(phase)
    features = np.array([spot.one[first : first + width] for spot in chosen])
    truth = np.array([spot.label == "hcc" for spot in chosen])
    return held_out_area(features, truth, np.array([spot.study for spot in chosen]))


def size_area(config: CTPhantomConfig, label: str, other: str, *, patients: int = 200) -> Tuple[float, float]:
    """Area and its error: is a lesion of one class or the other, from its diameter alone?"""
    rows = []
    for number in range(patients):
        for (_, diameter), (name, _) in _random_patient(config, 0, number).lesions:
            if name in (label, other):
                rows.append((diameter, name == label, number))
    diameters, truth, groups = (np.array(column) for column in zip(*rows))
    return held_out_area(diameters[:, None], truth, groups)


def _objects(
    study: PhantomStudy, config: CTPhantomConfig, seed: int
) -> Iterator[Tuple[bool, str, bool, Callable[[float], Tuple[float, float, float]]]]:
    """Whether a tube, class, whether ambiguous, and z -> (x, y, diameter of the section)."""
    for lesion in study.lesions:
        x, y, z = lesion.centre_mm

        def ball(height: float, x=x, y=y, z=z, whole=lesion.diameter_mm) -> Tuple[float, float, float]:
            return x, y, float(np.sqrt(max(0.0, whole**2 - 4.0 * (height - z) ** 2)))

        yield False, lesion.label, lesion.ambiguous, ball
    for tube in study.steep_vessels:

        def through(height: float, tube=tube) -> Tuple[float, float, float]:
            x, y = tube.at(height)
            return float(x), float(y), tube.diameter_mm

        section = tube.section
        yield True, section.label, section.ambiguous, through
    if config.steep_vessel_mm is None:
        for points, radii in _veins(config, seed, study):

            def vein(height: float, points=points, radii=radii) -> Tuple[float, float, float]:
                order = np.argsort(points[:, 2])
                z = points[order, 2]
                if not z[0] < height < z[-1]:
                    return 0.0, 0.0, 0.0
                x, y, radius = (np.interp(height, z, values[order]) for values in (points[:, 0], points[:, 1], radii))
                return float(x), float(y), 2.0 * float(radius)

            yield True, "", False, vein


def _veins(config: CTPhantomConfig, seed: int, study: PhantomStudy) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Points and radii of the steep veins of a study, which come last among the vessels of their kind."""
    patient = _random_patient(config, seed, study.patient)

    def drawn(steep: int):
        own = np.random.default_rng(np.random.SeedSequence([seed, 1, study.patient, patient.lesion_seed]))
        return random_vessels(own, patient.abdomen, steep)

    without, vessels = drawn(0), drawn(patient.steep)
    for kind in ("portal", "hepatic"):
        tubes = vessels[kind]
        for first in range(len(without[kind].first), len(tubes.first), 5):
            pieces = slice(first, first + 5)
            points = np.concatenate([tubes.starts[pieces], tubes.ends[first + 4 : first + 5]])
            yield points, np.concatenate([tubes.first[pieces], tubes.last[first + 4 : first + 5]])


def _followed(
    study: PhantomStudy, volume: np.ndarray, index: int, row: float, column: float, diameter_mm: float
) -> np.ndarray:
    """Of the slices around a section: how far it has moved, how alike it is there, and how it differs in the middle."""
    pixel = study.geometry.spacing[1]
    reach, search = int(np.ceil((0.5 * diameter_mm + 4.0) / pixel)), int(np.ceil(SEARCH_MM / pixel))
    top, left = int(round(row)), int(round(column))
    here = volume[index, top - reach : top + reach + 1, left - reach : left + reach + 1]
    values: List[float] = []
    for k in range(index - SLAB, index + SLAB + 1):
        far = reach + search
        around = volume[k, top - far : top + far + 1, left - far : left + far + 1]
        if k == index or around.shape != (2 * far + 1, 2 * far + 1):
            values += [0.0] * 5
            continue
        alike = cv2.matchTemplate(around, here, cv2.TM_CCOEFF_NORMED)
        dy, dx = np.unravel_index(alike.argmax(), alike.shape)
        moved = around[dy : dy + 2 * reach + 1, dx : dx + 2 * reach + 1] - here
        core = reach - max(1, int(0.25 * diameter_mm / pixel)), reach + max(1, int(0.25 * diameter_mm / pixel)) + 1
        middle = moved[core[0] : core[1], core[0] : core[1]].mean()
        values += [float(alike.max()), float(alike[search, search]), float(np.hypot(dy - search, dx - search))]
        values += [float(middle), float(np.abs(moved).mean())]
    return np.array(values)


def _smoothed(study: PhantomStudy, phase: str) -> np.ndarray:
    spread = SMOOTH_MM / study.geometry.spacing[1]
    planes = [
        cv2.GaussianBlur(np.clip(plane, -50, 250).astype(np.float32), (0, 0), spread) for plane in study.hu[phase]
    ]
    return np.stack(planes)


def _height(study: PhantomStudy, index: int) -> float:
    return study.geometry.origin[2] - study.world_offset_mm[2] + index * study.geometry.spacing[0]


def _pixel(study: PhantomStudy, x: float, y: float) -> Tuple[float, float]:
    """(row, column) of patient mm."""
    column, row = (
        (value + offset - origin) / study.geometry.spacing[1]
        for value, offset, origin in zip((x, y), study.world_offset_mm, study.geometry.origin)
    )
    return row, column


def _least_area(study: PhantomStudy, config: CTPhantomConfig) -> float:
    """mm2 of the smallest section that has a box."""
    return config.min_box_pixels * study.geometry.spacing[1] ** 2
