"""Whether scores are the probability of being right (reliability diagram, expected calibration error)."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from gluon_liver.metrics.matching import class_hits
from gluon_liver.structures.image_result import ImageResult

BINS = 10


def calibration(results: Sequence[ImageResult], *, iou_threshold: float = 0.5, bins: int = BINS) -> Dict[str, Any]:
    """{"bins": [{"low", "high", "n", "mean_score", "precision"}], "ece", "note"} of all detections, of any score.

    Bins are equally wide, from ``low`` to below ``high`` (the last with 1); without a detection their "mean_score" and
    "precision" are None. ece: the mean distance of both, each bin counting as its detections (Naeini et al., AAAI
    2015); None without any detection. Right is a detection as in precision and recall.
    """
    scores = np.concatenate([np.zeros(0), *(result.scores for result in results)])
    hits = [
        class_hits(result.detections, result.gt_boxes, result.gt_labels, iou_threshold=iou_threshold)
        for result in results
    ]
    right = np.concatenate([np.zeros(0, bool), *hits])
    # rounded as detections.json writes scores, so that a file of detections gives the same bins
    place = np.clip(np.floor(scores.round(5) * bins + 1e-9).astype(int), 0, bins - 1)
    n, sums, rights = (np.bincount(place, weights, minlength=bins) for weights in (None, scores, right.astype(float)))
    rows = []
    for row in range(bins):
        known = bool(n[row])
        mean, precision = (float(total[row] / n[row]) if known else None for total in (sums, rights))
        bounds = {"low": row / bins, "high": (row + 1) / bins, "n": int(n[row])}
        rows.append({**bounds, "mean_score": mean, "precision": precision})
    ece = float(np.abs(sums - rights).sum() / len(scores)) if len(scores) else None
    lowest = f", of scores from {scores.min():.2f} on" if len(scores) else ""
    note = f"all {len(scores)} detections{lowest}; right: IoU {iou_threshold:g} or more with an object of their class "
    note += "that no better one found; ECE: mean distance of score and precision, each bin by its detections"
    return {"bins": rows, "ece": ece, "note": note}
