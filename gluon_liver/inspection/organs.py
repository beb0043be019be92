"""Aorta and liver of prepared studies, on a slice every few centimetres: what tells phases and intensities."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

import cv2
import numpy as np

from gluon_liver.data.study import Study
from gluon_liver.prepare.look.organs import Organs, aorta_of, find_organs
from gluon_liver.structures.arrays import Array, FloatArray

LEVEL_MM, MAX_LEVELS, MIN_LEVELS, SIDE = 30.0, 24, 3, 320


class PhaseOrgans(NamedTuple):
    """Of one phase: median HU of the aorta and the liver, None where neither is found, and HU inside the liver."""

    aorta: Optional[float]
    liver: Optional[float]
    liver_hu: FloatArray


def levels_of(study: Study) -> List[int]:
    """Slices about :data:`LEVEL_MM` apart, of a short stack three."""
    slices, dz = study.hu.shape[1], study.geometry.spacing[0]
    count = int(np.clip(slices * dz // LEVEL_MM, MIN_LEVELS, MAX_LEVELS))
    return sorted({int(place) for place in (np.arange(min(count, slices)) + 0.5) * slices / min(count, slices)})


def organs_of(study: Study) -> Dict[str, PhaseOrgans]:
    """The organs of every phase that a study has: all phases are looked at together, and nothing is learned.

    Empty where pixels are not square to a tenth.
    """
    _, dy, dx = study.geometry.spacing
    if abs(dy - dx) > 0.1 * dx:
        return {}
    height, width = study.hu.shape[2:]
    factor = max(1.0, max(height, width) / SIDE)
    size = round(width / factor), round(height / factor)
    pictures: List[Array] = []
    places, names = [], []
    for place in levels_of(study):
        for index, phase in enumerate(study.phases):
            if study.present[index, place]:
                hu = np.asarray(study.hu[index, place], np.float32)
                pictures.append(cv2.resize(hu, size, interpolation=cv2.INTER_AREA) if factor > 1 else hu)
                places.append(place)
                names.append(phase)
    found = find_organs(pictures, places, dx * factor) if pictures else []
    result = {}
    for phase in dict.fromkeys(names):
        own = [(picture, one) for picture, one, name in zip(pictures, found, names) if name == phase]
        result[phase] = _together([one for _, one in own], [picture for picture, _ in own])
    return result


def _together(found: List[Organs], pictures: List[Array]) -> PhaseOrgans:
    seen = [one for one in found if one.liver is not None]
    liver = max(seen, key=lambda one: one.liver_area).liver if seen else None
    inside = [picture[one.liver_mask] for picture, one in zip(pictures, found) if one.liver_mask is not None]
    return PhaseOrgans(aorta_of(found), liver, np.concatenate(inside) if inside else np.zeros(0, np.float32))
