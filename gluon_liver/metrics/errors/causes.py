"""Why a detection is wrong, and why an object was not found: one cause each, as TIDE (Bolya et al., ECCV 2020) parts
them, with CT's neighbouring slices beside.

Which detections are right is the matching of precision and recall (:mod:`..matching`). Of all others the first cause
that holds, in the order of :data:`DETECTION_CAUSES`, is the cause; so no detection has two, and each has one.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from gluon_liver.metrics.matching import UNMATCHED, match_classes
from gluon_liver.structures.arrays import BoolArray, FloatArray, IntArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import ImageResult
from gluon_liver.structures.lesions import linked_boxes

TOUCH_IOU = 0.1  # TIDE's t_b: boxes that overlap by less have nothing to do with each other

RIGHT, FOUND = "right", "found"
WRONG_CLASS, BADLY_PLACED, BOTH = "wrong class", "badly placed", "wrong class, badly placed"
DUPLICATE, NEIGHBOUR, BACKGROUND = "duplicate", "neighbour slice", "background"
LOW_SCORE, MISSED = "low score", "missed"
DETECTION_CAUSES: Dict[str, str] = {  # in words, with the overlap of a hit and of a touch
    RIGHT: "on an object of its class (IoU {hit:g} or more) that no better detection found",
    WRONG_CLASS: "on an object of another class (IoU {hit:g} or more)",
    BADLY_PLACED: "overlaps an object of its class, but by IoU {touch:g} to {hit:g} alone",
    DUPLICATE: "on an object of its class (IoU {hit:g} or more) that a better detection found already",
    BOTH: "overlaps an object of another class, and by IoU {touch:g} to {hit:g} alone",
    NEIGHBOUR: "nothing here, but it goes on where a lesion lies on the slice above or below",
    BACKGROUND: "nothing there: it overlaps no object by IoU {touch:g} or more",
}
OBJECT_CAUSES: Dict[str, str] = {
    FOUND: "a detection of its class lies on it (IoU {hit:g} or more)",
    WRONG_CLASS: "a detection of another class lies on it (IoU {hit:g} or more), none of its own",
    BADLY_PLACED: "a detection of its class overlaps it, but by IoU {touch:g} to {hit:g} alone",
    LOW_SCORE: "a detection of its class lies on it, with a score below {score:g}",
    BOTH: "a detection of another class overlaps it, and by IoU {touch:g} to {hit:g} alone",
    MISSED: "nothing there: no detection that belongs to no other object overlaps it by IoU {touch:g} or more",
}


class Verdict(NamedTuple):
    """Why a detection is what it is, or an object.

    row: of the image's detections, or of its objects. score: of the detection, and of an object of the one that the
    cause rests on, None where there is none. iou: of both, for a neighbour slice with the lesion there; None where
    there is nothing to overlap. other: the class of the object that the cause rests on, of an object of the detection.
    """

    row: int
    cause: str
    score: Optional[float]
    iou: Optional[float]
    other: Optional[int]


class Judged(NamedTuple):
    """One image: its detections at the score threshold, in their order, and its objects."""

    detections: List[Verdict]
    objects: List[Verdict]


def judge(
    result: ImageResult,
    *,
    beside: Optional[Sequence[ImageResult]] = None,
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
) -> Judged:
    """The cause of every detection with a score of ``score_threshold`` or more, and of every object of an image.

    beside: the neighbouring slices (those that were scored); None of images that are no slices of a volume.
    """
    overlap = box_iou(result.boxes, result.gt_boxes)
    matched = match_classes(overlap, result.detections, result.gt_labels, iou_threshold=iou_threshold)
    kept = result.scores >= score_threshold
    scene = _Scene(result, overlap, matched, kept, iou_threshold)
    near = [other.gt_boxes for other in beside or ()]
    neighbours = np.concatenate([np.zeros((0, 4), np.float32), *near])
    labels = np.concatenate([np.zeros(0, np.int32), *(other.gt_labels for other in beside or ())])
    detections = [scene.of_detection(row, neighbours, labels) for row in np.flatnonzero(kept)]
    return Judged(detections, [scene.of_object(row) for row in range(len(result.gt_boxes))])


class _Scene(NamedTuple):
    """overlap: (m, n). matched: (m,) object of each detection, whatever its score. kept: (m,) at the threshold."""

    result: ImageResult
    overlap: FloatArray
    matched: IntArray
    kept: BoolArray
    iou_threshold: float

    def of_detection(self, row: int, neighbours: FloatArray, neighbour_labels: IntArray) -> Verdict:
        result, score = self.result, float(self.result.scores[row])
        if self.matched[row] != UNMATCHED:
            return self._on(row, RIGHT, int(self.matched[row]))
        same = result.gt_labels == result.labels[row]
        own, other = (_best(np.where(which, self.overlap[row], -1.0)) for which in (same, ~same))
        for cause, best, least in (
            (WRONG_CLASS, other, self.iou_threshold),
            (DUPLICATE, own, self.iou_threshold),
            (BADLY_PLACED, own, TOUCH_IOU),
            (BOTH, other, TOUCH_IOU),
        ):
            if best.iou >= least:
                return self._on(row, cause, best.row)
        common, linked = linked_boxes(result.boxes[row], neighbours)
        beside = _best(np.where(linked[0], common[0], -1.0))
        if beside.iou > 0:
            return Verdict(row, NEIGHBOUR, score, beside.iou, int(neighbour_labels[beside.row]))
        iou = float(self.overlap[row].max()) if len(result.gt_boxes) else None
        return Verdict(row, BACKGROUND, score, iou, None)

    def _on(self, row: int, cause: str, object_row: int) -> Verdict:
        iou, label = float(self.overlap[row, object_row]), int(self.result.gt_labels[object_row])
        return Verdict(row, cause, float(self.result.scores[row]), iou, label)

    def of_object(self, row: int) -> Verdict:
        # a detection that found an object is that object's, whatever else it overlaps
        free = self.kept & (self.matched == UNMATCHED)
        same = self.result.labels == self.result.gt_labels[row]
        finder = np.flatnonzero(self.matched == row)
        own, other = (_best(np.where(which & free, self.overlap[:, row], -1.0)) for which in (same, ~same))
        if len(finder) and self.kept[finder[0]]:
            return self._by(row, FOUND, int(finder[0]))
        if other.iou >= self.iou_threshold:
            return self._by(row, WRONG_CLASS, other.row)
        if own.iou >= TOUCH_IOU:
            return self._by(row, BADLY_PLACED, own.row)
        if len(finder):
            return self._by(row, LOW_SCORE, int(finder[0]))
        if other.iou >= TOUCH_IOU:
            return self._by(row, BOTH, other.row)
        return Verdict(row, MISSED, None, None, None)

    def _by(self, row: int, cause: str, detection: int) -> Verdict:
        result = self.result
        score, iou = float(result.scores[detection]), float(self.overlap[detection, row])
        return Verdict(row, cause, score, iou, int(result.labels[detection]))


class _Best(NamedTuple):
    row: int
    iou: float


def _best(overlaps: FloatArray) -> _Best:
    """The largest of them, -1 where there is none."""
    row = int(np.argmax(overlaps)) if len(overlaps) else -1
    return _Best(row, float(overlaps[row]) if len(overlaps) else -1.0)
