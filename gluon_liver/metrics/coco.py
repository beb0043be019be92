"""Average precision: pycocotools for the reported value, weighted records for its bootstrap.

No limit is put on detections an image (COCO's customary limit is 100; the detectors here give fewer).
"""

from __future__ import annotations

import contextlib
import io
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from gluon_liver.structures.arrays import FloatArray, IntArray
from gluon_liver.structures.image_result import ImageResult

from .bootstrap import divide_or_nan
from .matching import MatchRecords

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_REPLICATES_AT_ONCE = 50  # bounds the (replicates, detections) work arrays


def coco_average_precision(
    results: Sequence[ImageResult], classes: Sequence[str]
) -> Dict[str, Dict[str, Optional[float]]]:
    """Average precision by pycocotools: {"ap" | "ap50" | "ap75": {class: value, ..., "mean": value}}.

    "ap" is at IoU 0.50:0.95, "ap50" at 0.5 and "ap75" at 0.75. A class without lesions is None (pycocotools says -1)
    and does not enter the mean.
    """
    chosen = {"ap": slice(None), "ap50": slice(0, 1), "ap75": slice(5, 6)}
    if not results:
        return {name: {key: None for key in [*classes, "mean"]} for name in chosen}
    precision = _coco_precision(results, len(classes))
    table: Dict[str, Dict[str, Optional[float]]] = {}
    for name, thresholds in chosen.items():
        of_class = [precision[thresholds, :, label, 0, 0] for label in range(len(classes))]
        values = [None if (points < 0).any() else float(points.mean()) for points in of_class]
        defined = [value for value in values if value is not None]
        table[name] = {**dict(zip(classes, values)), "mean": float(np.mean(defined)) if defined else None}
    return table


def weighted_ap(records: MatchRecords, weights: IntArray) -> FloatArray:
    """101-point interpolated average precision in each bootstrap replicate.

    With all weights 1 this is pycocotools' AP at the IoU the records were matched at. A copy of a detection right
    behind the original cannot change the interpolated precision, so integer weights equal evaluating the copies.
    Returns float64 (replicates,), NaN where the replicate holds no lesion of the class.

    records: matched detections of one class.
    weights: (replicates, patients) int64, how often each patient counts.
    """
    starts = range(0, len(weights), _REPLICATES_AT_ONCE)
    blocks = [_average_precision(records, weights[start : start + _REPLICATES_AT_ONCE]) for start in starts]
    return np.concatenate([np.zeros(0), *blocks])


def _average_precision(records: MatchRecords, weights: IntArray) -> FloatArray:
    # Precision is highest, for the recall it belongs to, right at a hit: the envelope needs the hits only.
    at_hit = np.flatnonzero(records.hit)
    weight = weights[:, records.patient].astype(np.float64)  # (r, d)
    ranks = np.cumsum(weight, axis=1)[:, at_hit]
    hits = np.cumsum(weight[:, at_hit], axis=1)
    precision = np.divide(hits, ranks + np.spacing(1), where=ranks > 0, out=np.zeros_like(hits))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    lesions = weights @ records.gt_count
    recall = divide_or_nan(hits, lesions[:, None])
    average = np.full(len(weights), np.nan)
    for row in np.flatnonzero(lesions > 0):
        index = np.searchsorted(recall[row], RECALL_POINTS, side="left")
        reached = index < len(at_hit)
        average[row] = envelope[row, index[reached]].sum() / len(RECALL_POINTS)
    return average


def _coco_precision(results: Sequence[ImageResult], classes: int) -> FloatArray:
    """pycocotools' precision[IoU, recall point, class, area range, detection limit]; -1 where undefined."""
    truth = [(one.image_id, row) for one in results for row in zip(one.gt_boxes, one.gt_labels, one.gt_labels)]
    detections = [(one.image_id, row) for one in results for row in zip(one.boxes, one.labels, one.scores)]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress by print
        evaluation = COCOeval(_index(results, classes, truth), _index(results, classes, detections), iouType="bbox")
        params = evaluation.params
        params.iouThrs, params.recThrs = IOU_THRESHOLDS, RECALL_POINTS
        params.maxDets = [max(1, max(len(result.boxes) for result in results))]
        params.areaRng, params.areaRngLbl = [[0, float("inf")]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision: FloatArray = evaluation.eval["precision"]
    return precision


def _index(results: Sequence[ImageResult], classes: int, boxes: Sequence[Tuple[int, Any]]) -> COCO:
    """The (image id, (box, label, score)) as pycocotools reads them; of the ground truth it reads no score."""
    coco = COCO()  # built by hand because COCO.loadRes fails on an empty list of detections
    images, categories = [{"id": one.image_id} for one in results], [{"id": label + 1} for label in range(classes)]
    annotations: List[Dict[str, Any]] = []
    for number, (image_id, (box, label, score)) in enumerate(boxes, 1):  # 0 means "unmatched" there
        x1, y1, x2, y2 = (float(value) for value in box)
        place = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
        whose = {"id": number, "image_id": image_id, "category_id": int(label) + 1}
        annotations.append({**whose, **place, "score": float(score)})
    coco.dataset = {"images": images, "categories": categories, "annotations": annotations}
    coco.createIndex()
    return coco
