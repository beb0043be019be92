"""Which class was taken for which, background too."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from gluon_liver.metrics.matching import UNMATCHED, match_by_overlap, match_classes
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import ImageResult

BACKGROUND = "background"


def confusion_matrix(
    results: Sequence[ImageResult], classes: Sequence[str], *, score_threshold: float = 0.5, iou_threshold: float = 0.5
) -> Dict[str, Any]:
    """{"names": [*classes, "background"], "rows": "truth", "counts": [[int]]}: rows truth, columns predicted.

    Each object stands in one cell of its row, each detection with a score of ``score_threshold`` or more in one of its
    column, and on the diagonal what is right. What is not right is matched whatever the classes, best first; objects
    that no detection is left for are predicted background, detections that no object is left for lie on background.
    """
    background = len(classes)
    counts = np.zeros((background + 1, background + 1), np.int64)
    for result in results:
        found = result.detections.at_score(score_threshold)
        overlap = box_iou(found.boxes, result.gt_boxes)
        matched = match_classes(overlap, found, result.gt_labels, iou_threshold=iou_threshold)
        free = ~np.isin(np.arange(len(result.gt_labels)), matched)
        wrong = np.flatnonzero(matched == UNMATCHED)
        matched[wrong] = match_by_overlap(np.where(free, overlap[wrong], 0.0), found.scores[wrong], iou_threshold)
        on = matched != UNMATCHED
        truth = np.full(len(matched), background)
        truth[on] = result.gt_labels[matched[on]]
        np.add.at(counts, (truth, found.labels), 1)
        missed = ~np.isin(np.arange(len(result.gt_labels)), matched)
        np.add.at(counts[:, background], result.gt_labels[missed], 1)
    return {"names": [*classes, BACKGROUND], "rows": "truth", "counts": counts.tolist()}
