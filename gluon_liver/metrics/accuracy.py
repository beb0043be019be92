"""Top-1 accuracy, precision and recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import FloatArray, IntArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import ImageResult, patient_ids

from .matching import MatchRecords

MIXED = "mixed"


@dataclass(frozen=True, eq=False)
class Counts:
    """Right answers and opportunities of each patient, in the order of :func:`patient_ids`: (p,) int64 each."""

    right: IntArray
    n: IntArray

    @property
    def value(self) -> Optional[float]:
        """Right answers over opportunities, None when there were none."""
        n = int(self.n.sum())
        return int(self.right.sum()) / n if n else None


def top1_is_right(result: ImageResult, *, iou_threshold: float = 0.5) -> bool:
    """Whether the best-scoring ROI over all classes overlaps a lesion of its class by ``iou_threshold``.

    The paper: "we took the ROI with the highest probability as the output of the model" (Classification Recognition).
    Of ROIs tied for the best score the first listed is the output; without any ROI the answer is wrong.
    """
    if len(result.scores) == 0:
        return False
    best = int(np.argmax(result.scores))
    lesions = result.gt_boxes[result.gt_labels == result.labels[best]]
    return bool((box_iou(result.boxes[best], lesions) >= iou_threshold).any())


def top1_counts(
    results: Sequence[ImageResult], classes: Sequence[str], *, iou_threshold: float = 0.5
) -> Dict[str, Counts]:
    """Top-1 counts over annotated slices: {class: counts, ..., "mixed": counts}.

    A slice whose lesions are all of one class counts for that class. A slice with lesions of several classes cannot be
    right for all of them with a single output, so such slices are counted apart. Those without lesions are not counted.
    """
    row_of = {patient: row for row, patient in enumerate(patient_ids(results))}
    right = np.zeros((len(classes) + 1, len(row_of)), dtype=np.int64)
    n = np.zeros_like(right)
    for result in results:
        present = set(result.gt_labels.tolist())
        if present:
            place = present.pop() if len(present) == 1 else len(classes), row_of[result.patient]
            n[place] += 1
            right[place] += top1_is_right(result, iou_threshold=iou_threshold)
    return {name: Counts(right[group], n[group]) for group, name in enumerate([*classes, MIXED])}


def precision_recall_counts(records: MatchRecords) -> Tuple[Counts, Counts]:
    """Counts behind precision (hits over detections) and recall (hits over lesions) of the given records."""
    patients = len(records.gt_count)
    hits = np.bincount(records.patient[records.hit], minlength=patients)
    detections = np.bincount(records.patient, minlength=patients)
    return Counts(hits, detections), Counts(hits, records.gt_count)


def precision_recall_curve(records: MatchRecords) -> Dict[str, List[float]]:
    """Precision over recall as the score threshold falls, one point for each recall reached, recall rising.

    Lists of equal length under "recall", "precision" and "score", the threshold of the point; empty when there is no
    lesion. Tied scores form one point (a threshold cannot part them). Points that add false positives only are left
    out, save the last.
    """
    lesions = int(records.gt_count.sum())
    if lesions == 0:
        return {"recall": [], "precision": [], "score": []}
    ends, hits = corners(records)
    curve = {"recall": hits / lesions, "precision": hits / (ends + 1), "score": records.scores[ends]}
    return {name: values.tolist() for name, values in curve.items()}


def corners(records: MatchRecords) -> Tuple[IntArray, IntArray]:
    """Where a curve over thresholds bends: rows at which a new hit is reached, and the last; hits down to each."""
    ends = threshold_ends(records.scores)
    hits = np.cumsum(records.hit, dtype=np.int64)[ends]
    bends = np.diff(hits, prepend=0) > 0
    bends[-1:] = True
    return ends[bends], hits[bends]


def threshold_ends(scores: FloatArray) -> IntArray:
    """Last index of each run of equal, descending scores: the cuts that a score threshold can make."""
    return np.flatnonzero(np.append(np.diff(scores) != 0, len(scores) > 0))
