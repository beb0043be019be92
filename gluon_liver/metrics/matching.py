"""Which detection finds which lesion: the greedy matching of the COCO evaluation.

Matching runs in descending score, so what a detection matches never depends on detections scored lower: one pass
serves every score threshold (precision, recall, average precision, FROC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import Array, BoolArray, FloatArray, IntArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.image_result import ImageResult, patient_ids

UNMATCHED = -1


def match_greedily(boxes: Array, scores: Array, gt_boxes: Array, iou_threshold: float) -> IntArray:
    """Match detections of one image and one class to its lesions as pycocotools does.

    In descending score (ties in the order given) each detection takes the still free lesion of highest IoU, if that
    IoU reaches the threshold; of lesions at equal IoU the last listed wins, as in ``COCOeval.evaluateImg``. Returns
    int64 (m,): the matched row of ``gt_boxes``, or ``UNMATCHED`` for a false positive.

    boxes: (m, 4) detections.
    scores: (m,).
    gt_boxes: (n, 4) lesions.
    iou_threshold: a detection at exactly this IoU matches.
    """
    return match_by_overlap(box_iou(boxes, gt_boxes), scores, iou_threshold)


def match_by_overlap(overlap: FloatArray, scores: Array, threshold: float) -> IntArray:
    """:func:`match_greedily` of any two things by their overlap (m, n), 0 or more, of detections and lesions."""
    found, lesions = overlap.shape
    matched = np.full(found, UNMATCHED, dtype=np.int64)
    if found == 0 or lesions == 0:
        return matched
    free = np.ones(lesions, dtype=bool)
    for detection in np.argsort(-np.asarray(scores), kind="stable"):
        candidates = np.where(free, overlap[detection], -1.0)
        best = lesions - 1 - int(np.argmax(candidates[::-1]))
        if candidates[best] >= threshold:
            matched[detection] = best
            free[best] = False
    return matched


@dataclass(frozen=True, eq=False)
class MatchRecords:
    """Every detection of one class (or of several, pooled) over an evaluation, with what a resampling needs.

    scores: (d,) float64, descending; ties in the order of image ids.
    hit: (d,) bool, True for a detection that lies on a lesion.
    patient: (d,) int64, row of the patient in the sorted list of patients.
    gt_count: (p,) int64, lesions of each patient.
    image_count: (p,) int64, evaluated images of each patient, background included.
    """

    scores: FloatArray
    hit: BoolArray
    patient: IntArray
    gt_count: IntArray
    image_count: IntArray

    def at_score(self, threshold: float) -> MatchRecords:
        """The detections at ``threshold`` and above."""
        keep = self.scores >= threshold
        return MatchRecords(self.scores[keep], self.hit[keep], self.patient[keep], self.gt_count, self.image_count)


def match_image(result: ImageResult, label: int, iou_threshold: float) -> Tuple[FloatArray, BoolArray, int]:
    """Scores of an image's detections of one class, which of them hit, and how many lesions of the class there are."""
    chosen = result.labels == label
    gt_boxes = result.gt_boxes[result.gt_labels == label]
    matched = match_greedily(result.boxes[chosen], result.scores[chosen], gt_boxes, iou_threshold)
    return result.scores[chosen], matched != UNMATCHED, len(gt_boxes)


def match_class(results: Sequence[ImageResult], label: int, *, iou_threshold: float = 0.5) -> MatchRecords:
    """Match the detections of one class over images sorted by id (see ``check_results``)."""
    row_of = {patient: row for row, patient in enumerate(patient_ids(results))}
    gt_count, image_count = np.zeros((2, len(row_of)), dtype=np.int64)
    parts: List[Tuple[FloatArray, BoolArray, IntArray]] = [(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int64))]
    for result in results:
        row = row_of[result.patient]
        scores, hits, lesions = match_image(result, label, iou_threshold)
        image_count[row] += 1
        gt_count[row] += lesions
        parts.append((scores, hits, np.full(len(hits), row, dtype=np.int64)))
    return in_descending_score(parts, gt_count, image_count)


def pool_classes(records: Sequence[MatchRecords]) -> MatchRecords:
    """One set of records over one class or more of the same images; a hit still needs the right class."""
    parts = [(record.scores, record.hit, record.patient) for record in records]
    first, *_ = records
    return in_descending_score(parts, np.sum([record.gt_count for record in records], axis=0), first.image_count)


def in_descending_score(
    parts: Sequence[Tuple[FloatArray, BoolArray, IntArray]], gt_count: IntArray, image_count: IntArray
) -> MatchRecords:
    """Records of (scores, hit, patient) of several images or classes."""
    scores, hit, patient = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(-scores, kind="stable")
    return MatchRecords(scores[order], hit[order], patient[order], gt_count, image_count)


def class_hits(
    detections: Detections, gt_boxes: FloatArray, gt_labels: IntArray, *, iou_threshold: float = 0.5
) -> BoolArray:
    """Which detections of an image lie on an object of their class, one each: bool (m,)."""
    overlap = box_iou(detections.boxes, gt_boxes)
    hits: BoolArray = match_classes(overlap, detections, gt_labels, iou_threshold=iou_threshold) != UNMATCHED
    return hits


def match_classes(
    overlap: FloatArray, detections: Detections, gt_labels: IntArray, *, iou_threshold: float
) -> IntArray:
    """:func:`match_greedily` of all classes of an image, each by itself, by the IoU (m, n) of its boxes."""
    same = detections.labels[:, None] == gt_labels[None, :]
    return match_by_overlap(np.where(same, overlap, 0.0), detections.scores, iou_threshold)
