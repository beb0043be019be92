"""Boxes of neighbouring slices joined into lesions with a size in mm: pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.geometry import Geometry


@dataclass(frozen=True)
class SliceBox:
    """One box of one slice; corners in stored-image pixels, class index, score 0 to 1."""

    slice: int
    box: np.ndarray
    label: int
    score: float


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


def describe_lesion(lesion: Sequence[SliceBox], *, geometry: Geometry, classes: Sequence[str]) -> Dict[str, Any]:
    """Class, score, extent and place of one lesion.

    The class is the one with the largest sum of scores over the slices, the score that class's largest. Sizes are
    mm: ``in_plane`` the longer side of the largest box, ``through_plane`` the slices it is seen on times their
    spacing. The centre is in the patient's LPS frame, mm.
    """
    votes = {label: sum(box.score for box in lesion if box.label == label) for label in {box.label for box in lesion}}
    label = max(sorted(votes), key=lambda key: votes[key])
    dz, dy, dx = geometry.spacing
    sides = np.array([[(b.box[2] - b.box[0]) * dx, (b.box[3] - b.box[1]) * dy] for b in lesion])
    low, high = lesion[0].slice, lesion[-1].slice
    middle = max(lesion, key=lambda b: float(np.prod(b.box[2:] - b.box[:2])))
    # an edge coordinate e lies half a pixel before voxel index e
    centre = [(low + high) / 2, middle.box[[1, 3]].mean() - 0.5, middle.box[[0, 2]].mean() - 0.5]
    return {
        "class": classes[label],
        "score": round(max(b.score for b in lesion if b.label == label), 4),
        "size_mm": {
            "in_plane": round(float(sides.max()), 1),
            "through_plane": round((high - low + 1) * dz, 1),
        },
        "centre_lps_mm": [round(float(value), 1) for value in geometry.index_to_world(np.array(centre))],
        "first_slice": low,
        "last_slice": high,
        "boxes": [
            {
                "slice": b.slice,
                "box_xyxy_px": [round(float(edge), 1) for edge in b.box],
                "class": classes[b.label],
                "score": round(b.score, 4),
            }
            for b in lesion
        ],
    }


def _without_duplicates(boxes: List[SliceBox], iou: float) -> List[SliceBox]:
    kept: List[SliceBox] = []
    for box in sorted(boxes, key=lambda item: -item.score):
        if not kept or box_iou(box.box[None], np.stack([other.box for other in kept])).max() < iou:
            kept.append(box)
    return kept


def _link(boxes: List[SliceBox], lesions: List[List[SliceBox]], iou: float) -> List[List[SliceBox]]:
    """Append boxes to the lesions they continue; returns the lesions that the others begin."""
    if not boxes or not lesions:
        return [[box] for box in boxes]
    overlap = box_iou(np.stack([box.box for box in boxes]), np.stack([lesion[-1].box for lesion in lesions]))
    free = set(range(len(boxes)))
    while free and overlap.max() >= iou:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        lesions[column].append(boxes[row])
        free.discard(int(row))
        overlap[row], overlap[:, column] = -1, -1
    return [[boxes[row]] for row in sorted(free)]
