"""Boxes of neighbouring slices joined into lesions with a size in mm: pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from .arrays import FloatArray
from .boxes import box_iou
from .detections import Detections
from .geometry import Geometry


@dataclass(frozen=True, eq=False)
class SliceBox:
    """One box of one slice; box: (4,) float32 corners x1, y1, x2, y2 in stored-image pixels; score 0 to 1."""

    slice: int
    box: FloatArray
    class_name: str
    score: float

    def to_json(self) -> Dict[str, Any]:
        """An entry under ``boxes`` of lesions.json, rounded."""
        edges = [round(float(edge), 1) for edge in self.box]
        return {"slice": self.slice, "box_xyxy_px": edges, "class": self.class_name, "score": round(self.score, 4)}


class LesionSize(NamedTuple):
    """mm: the longer side of the largest box, and the slices that the lesion spans times their spacing."""

    in_plane: float
    through_plane: float


@dataclass(frozen=True, eq=False)
class Lesion:
    """Boxes of neighbouring slices that show one thing.

    class_name: the class with the largest sum of scores over the slices.
    score: the largest score of that class, 0 to 1.
    size_mm: :class:`LesionSize`.
    centre_lps_mm: (x, y, z) in the patient's LPS frame, mm.
    first_slice, last_slice: both included, counted from 0 at the feet.
    boxes: one a slice at most, slices rising.
    """

    class_name: str
    score: float
    size_mm: LesionSize
    centre_lps_mm: Tuple[float, float, float]
    first_slice: int
    last_slice: int
    boxes: Tuple[SliceBox, ...]

    def to_json(self) -> Dict[str, Any]:
        """An entry of lesions.json: scores with four digits, mm and pixels with one."""
        return {
            "class": self.class_name,
            "score": round(self.score, 4),
            "size_mm": {name: round(size, 1) for name, size in self.size_mm._asdict().items()},
            "centre_lps_mm": [round(value, 1) for value in self.centre_lps_mm],
            "first_slice": self.first_slice,
            "last_slice": self.last_slice,
            "boxes": [box.to_json() for box in self.boxes],
        }


def find_lesions(
    detections: Sequence[Detections], *, geometry: Geometry, classes: Sequence[str], score_threshold: float
) -> List[Lesion]:
    """The lesions of a study from the detections of all its slices, the best score first.

    Detections below ``score_threshold`` are left out.
    """
    boxes = [
        SliceBox(index, box, classes[label], float(score))
        for index, one in enumerate(of_slice.at_score(score_threshold) for of_slice in detections)
        for box, score, label in zip(one.boxes, one.scores, one.labels)
    ]
    lesions = [describe_lesion(lesion, geometry=geometry, classes=classes) for lesion in join_slices(boxes)]
    # lesions whose scores read alike stay in the order of their slices
    return sorted(lesions, key=lambda lesion: -round(lesion.score, 4))


def join_slices(
    boxes: Sequence[SliceBox], *, link_iou: float = 0.3, duplicate_iou: float = 0.5, max_gap: int = 1
) -> List[List[SliceBox]]:
    """Group boxes into lesions, slice by slice from the feet up.

    In each slice, of boxes that overlap by ``duplicate_iou`` or more the best is kept, whatever the classes. A box
    then joins the lesion whose latest box it overlaps most, by ``link_iou`` or more, if at most ``max_gap`` slices
    without a box lie between; each lesion takes one box a slice. Other boxes begin a lesion.
    """
    lesions: List[List[SliceBox]] = []
    for index in sorted({box.slice for box in boxes}):
        here = _without_duplicates([box for box in boxes if box.slice == index], duplicate_iou)
        open_lesions = [lesion for lesion in lesions if index - lesion[-1].slice <= max_gap + 1]
        lesions.extend(_link(here, open_lesions, link_iou))
    return lesions


def describe_lesion(lesion: Sequence[SliceBox], *, geometry: Geometry, classes: Sequence[str]) -> Lesion:
    """Class, score, extent and place of boxes that :func:`join_slices` joined; ties go to the first of the classes."""
    name = max(classes, key=lambda key: sum(box.score for box in lesion if box.class_name == key))
    score = max(b.score for b in lesion if b.class_name == name)
    dz, dy, dx = geometry.spacing
    sides = np.array([[(b.box[2] - b.box[0]) * dx, (b.box[3] - b.box[1]) * dy] for b in lesion])
    low, high = lesion[0].slice, lesion[-1].slice
    middle = max(lesion, key=lambda b: float(np.prod(b.box[2:] - b.box[:2])))
    # an edge coordinate e lies half a pixel before voxel index e
    centre = [(low + high) / 2, middle.box[[1, 3]].mean() - 0.5, middle.box[[0, 2]].mean() - 0.5]
    x, y, z = geometry.index_to_world(np.array(centre)).tolist()
    size = LesionSize(float(sides.max()), (high - low + 1) * dz)
    return Lesion(name, score, size, (x, y, z), low, high, tuple(lesion))


def _without_duplicates(boxes: List[SliceBox], iou: float) -> List[SliceBox]:
    kept: List[SliceBox] = []
    for box in sorted(boxes, key=lambda item: -item.score):
        if box_iou(box.box, np.array([other.box for other in kept])).max(initial=-1) < iou:
            kept.append(box)
    return kept


def _link(boxes: List[SliceBox], lesions: List[List[SliceBox]], iou: float) -> List[List[SliceBox]]:
    """Append boxes to the lesions they continue; returns the lesions that the others begin."""
    overlap = box_iou(np.array([box.box for box in boxes]), np.array([lesion[-1].box for lesion in lesions]))
    free = set(range(len(boxes)))
    while overlap.max(initial=-1) >= iou:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        lesions[column].append(boxes[row])
        free.discard(int(row))
        overlap[row], overlap[:, column] = -1, -1
    return [[boxes[row]] for row in sorted(free)]
