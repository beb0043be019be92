"""Which lesions are found as the FROC of DeepLesion counts them: no detection on a lesion is a false positive.

As ``FROC`` in ``rcnn/utils/evaluation.py`` of 3DCE's code (lesion_detector_3DCE of github.com/rsummers11/CADLab), which
papers on DeepLesion score with. COCO's matching (:mod:`.matching`) counts a second detection of a lesion as false.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.structures.arrays import BoolArray, FloatArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import ImageResult, patient_ids

from .bootstrap import bootstrap_weights, with_interval
from .froc import froc_sensitivity
from .matching import MatchRecords, in_descending_score


def cover_class(results: Sequence[ImageResult], label: int, *, iou_threshold: float = 0.5) -> MatchRecords:
    """Detections of one class over images sorted by id, for :func:`.froc.froc_sensitivity`.

    In descending score a detection finds every lesion that it overlaps by ``iou_threshold`` or more. A lesion that it
    is the first to find is a hit, so that one detection may be several; where all that it overlaps were found before,
    it does not count; where it overlaps none, it is a false positive.
    """
    row_of = {patient: row for row, patient in enumerate(patient_ids(results))}
    gt_count, image_count = np.zeros((2, len(row_of)), dtype=np.int64)
    scores: List[FloatArray] = [np.zeros(0)]
    hits: List[BoolArray] = [np.zeros(0, bool)]
    rows: List[int] = []
    for result in results:
        row, chosen, lesions = row_of[result.patient], result.labels == label, result.gt_labels == label
        image_count[row] += 1
        gt_count[row] += lesions.sum()
        overlaps = box_iou(result.boxes[chosen], result.gt_boxes[lesions]) >= iou_threshold
        found = np.zeros(overlaps.shape[1], bool)
        for place in np.argsort(-result.scores[chosen], kind="stable"):
            first = int((overlaps[place] & ~found).sum())
            found |= overlaps[place]
            count = first if overlaps[place].any() else 1
            scores.append(np.full(count, result.scores[chosen][place]))
            hits.append(np.full(count, first > 0))
            rows += [row] * count
    parts = [(np.concatenate(scores), np.concatenate(hits), np.array(rows, dtype=np.int64))]
    return in_descending_score(parts, gt_count, image_count)


def covering_summary(
    results: Sequence[ImageResult], *, fp_rates: Sequence[float], replicates: int = 1000, seed: int = 0
) -> Dict[str, Any]:
    """{"images", "boxes", "froc": {rate: entry with an interval over patients}} of results of one class."""
    ordered = sorted(results, key=lambda result: result.image_id)
    records = cover_class(ordered, 0)
    patients = len(records.gt_count)
    weights = bootstrap_weights(patients, replicates=replicates, seed=seed)
    plain = froc_sensitivity(records, np.ones((1, patients), dtype=np.int64), fp_rates)[0]
    columns = zip(fp_rates, plain, froc_sensitivity(records, weights, fp_rates).T)
    froc = {f"{rate:g}": with_interval(value, replicated, records.gt_count) for rate, value, replicated in columns}
    return {"images": len(ordered), "boxes": int(records.gt_count.sum()), "froc": froc}
