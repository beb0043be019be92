"""Free-response ROC: sensitivity against false positives an image."""

from __future__ import annotations

from typing import Dict, List, Sequence

import numpy as np

from gluon_liver.structures.arrays import FloatArray, IntArray

from .accuracy import corners, threshold_ends
from .bootstrap import divide_or_nan
from .matching import MatchRecords

FP_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # the customary seven, as in LUNA16
_REPLICATES_AT_ONCE = 50  # bounds the (replicates, detections) work arrays


def froc_sensitivity(records: MatchRecords, weights: IntArray, rates: Sequence[float] = FP_RATES) -> FloatArray:
    """Sensitivity at each of ``rates`` false positives an image, in each bootstrap replicate.

    Step convention: the largest sensitivity of any score threshold whose false positives an image do not exceed the
    rate; nothing is interpolated. Detections of one score enter together. Every evaluated image counts, those without
    lesions included. Returns float64 (replicates, rates), NaN where the replicate holds no lesion.

    records: matched detections of one class, or pooled.
    weights: (replicates, patients) int64, how often each patient counts; ones give the plain value.
    """
    ends = threshold_ends(records.scores)
    images = weights @ records.image_count
    lesions = weights @ records.gt_count
    reached = np.zeros((len(weights), len(rates)))
    for start in range(0, len(weights), _REPLICATES_AT_ONCE):
        rows = slice(start, start + _REPLICATES_AT_ONCE)
        weight = weights[rows][:, records.patient]
        hits = np.cumsum(weight * records.hit, axis=1)[:, ends]
        false_positives = np.cumsum(weight * ~records.hit, axis=1)[:, ends]
        # The first column is a threshold above all scores: nothing is hit.
        hits = np.concatenate([np.zeros((len(weight), 1), hits.dtype), hits], axis=1)
        for column, rate in enumerate(rates):
            within = (false_positives <= rate * images[rows, None]).sum(axis=1)
            reached[rows, column] = hits[np.arange(len(weight)), within]
    return divide_or_nan(reached, lesions[:, None])


def froc_curve(records: MatchRecords) -> Dict[str, List[float]]:
    """The whole step curve: each sensitivity reached, at the fewest false positives an image it takes.

    Lists of equal length under "fp", "sensitivity", both rising, and "score", the threshold of the point. The last
    point is that of all detections. Empty lists when there is no lesion or no detection.
    """
    lesions = int(records.gt_count.sum())
    if lesions == 0:
        return {"fp": [], "sensitivity": [], "score": []}
    ends, hits = corners(records)
    false_positives = (ends + 1 - hits) / records.image_count.sum()
    curve = {"fp": false_positives, "sensitivity": hits / lesions, "score": records.scores[ends]}
    return {name: values.tolist() for name, values in curve.items()}
