"""What results.json says of where a detector fails."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from gluon_liver.metrics.bootstrap import bootstrap_weights
from gluon_liver.metrics.ct_summary import INTERVAL
from gluon_liver.structures.arrays import FloatArray
from gluon_liver.structures.image_result import ImageResult, patient_ids

from .calibration import calibration
from .causes import DETECTION_CAUSES, FOUND, NEIGHBOUR, OBJECT_CAUSES, RIGHT, TOUCH_IOU, Judged, Verdict, judge
from .confusion import confusion_matrix
from .recall import Objects, recall_groups, sensitivities
from .where import Where


def judge_all(
    results: Sequence[ImageResult], where: Sequence[Where], *, score_threshold: float = 0.5, iou_threshold: float = 0.5
) -> List[Judged]:
    """:func:`judge` of all images; slices of a study are judged beside those next to them."""
    at = {(one.case, one.place): result for one, result in zip(where, results)}
    judged = []
    for one, result in zip(where, results):
        near = [at.get((one.case, one.place + step)) for step in (-1, 1)]
        beside = None if one.spacing is None else [other for other in near if other is not None]
        judged.append(judge(result, beside=beside, score_threshold=score_threshold, iou_threshold=iou_threshold))
    return judged


def error_summary(
    results: Sequence[ImageResult],
    where: Sequence[Where],
    *,
    classes: Sequence[str],
    size_edges: Sequence[float],
    judged: Optional[Sequence[Judged]] = None,
    lesions: Optional[Dict[str, Any]] = None,
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
    replicates: int = 1000,
    seed: int = 0,
) -> Dict[str, Any]:
    """{"counts", "errors", "recall", "sensitivity", "calibration"} as plain JSON values.

    where: of each image. size_edges: of the groups of sizes, in mm where there are spacings, else in pixels. lesions:
    of :func:`..lesion_summary.lesion_summary`, for studies. judged: of :func:`judge_all` with these thresholds, where
    it is known.
    """
    thresholds = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
    judged = judge_all(results, where, **thresholds) if judged is None else judged
    unit = "mm" if any(one.spacing for one in where) else "pixels"
    weights = bootstrap_weights(len(patient_ids(results)), replicates=replicates, seed=seed)
    objects = objects_of(results, where, judged)
    groups = recall_groups(objects, classes, weights, edges=size_edges, unit=unit)
    note = f"[low, high]: 95 % {INTERVAL}; none with one patient"
    hit = f"; lesions are found where {lesions['settings']['hit_words']}" if lesions else ""
    return {
        "counts": counts_of(results, where, classes, lesions),
        "errors": {
            "score_threshold": score_threshold,
            "iou": iou_threshold,
            "size_unit": unit,
            "confusion": confusion_matrix(results, classes, **thresholds),
            "detections": _count([one.detections for one in judged], _causes(where)),
            "objects": _count([one.objects for one in judged], list(OBJECT_CAUSES)),
            "meaning": _meaning(where, score_threshold, iou_threshold),
            "items": error_items(results, where, judged, classes),
        },
        "recall": {**groups, "note": f"boxes at score {score_threshold:g} or more, IoU {iou_threshold:g}; {note}"},
        "sensitivity": {**sensitivities(objects, weights, lesions=lesions), "note": note + hit},
        "calibration": calibration(results, iou_threshold=iou_threshold),
    }


def counts_of(
    results: Sequence[ImageResult], where: Sequence[Where], classes: Sequence[str], lesions: Optional[Dict[str, Any]]
) -> Dict[str, Any]:
    """Patients, cases (studies or scenes), images, images with objects, lesions and boxes; the same of each class.

    Of a class those count that have one of it. lesions: as of :func:`error_summary`; None counts none.
    """
    joined: Dict[str, int] = {} if lesions is None else lesions["lesions"]

    def count(rows: Sequence[int], boxes: int, number: Optional[int], with_objects: int) -> Dict[str, Any]:
        patients, cases = {results[row].patient for row in rows}, {where[row].case for row in rows}
        counts = {"patients": len(patients), "cases": len(cases), "images": len(rows)}
        return {**counts, "images_with_objects": with_objects, "lesions": number, "boxes": boxes}

    by_class = {}
    for label, name in enumerate(classes):
        rows = [row for row, result in enumerate(results) if (result.gt_labels == label).any()]
        boxes = sum(int((results[row].gt_labels == label).sum()) for row in rows)
        by_class[name] = count(rows, boxes, joined.get(name), len(rows))
    boxes = sum(len(result.gt_labels) for result in results)
    with_objects = sum(len(result.gt_labels) > 0 for result in results)
    total = None if lesions is None else sum(joined.values())
    return {**count(range(len(results)), boxes, total, with_objects), "by_class": by_class}


def objects_of(results: Sequence[ImageResult], where: Sequence[Where], judged: Sequence[Judged]) -> Objects:
    """All annotated boxes, and which of them are found."""
    patient_row = {patient: row for row, patient in enumerate(patient_ids(results))}
    case_row: Dict[str, int] = defaultdict(lambda: len(case_row))
    columns: List[List[Any]] = [[] for _ in range(7)]
    for image, (result, one, verdicts) in enumerate(zip(results, where, judged)):
        for row, verdict in enumerate(verdicts.objects):
            spacing = round(one.spacing[0], 2) if one.spacing else np.nan
            of_image = image, case_row[one.case], patient_row[result.patient]
            box = int(result.gt_labels[row]), size_of(result.gt_boxes[row], one), spacing, verdict.cause == FOUND
            for column, value in zip(columns, (*of_image, *box)):
                column.append(value)
    kinds = (np.int64,) * 4 + (np.float64,) * 2 + (bool,)
    return Objects(*(np.array(column, kind) for column, kind in zip(columns, kinds)))


def size_of(box: FloatArray, where: Where) -> float:
    """The longest side in mm, or in pixels where nothing tells these."""
    _, dy, dx = where.spacing or (1.0, 1.0, 1.0)
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return round(max((x2 - x1) * dx, (y2 - y1) * dy), 2)


def error_items(
    results: Sequence[ImageResult], where: Sequence[Where], judged: Sequence[Judged], classes: Sequence[str]
) -> List[Dict[str, Any]]:
    """What is not right, the worst first: detections by falling score, then objects by falling size."""
    items = []
    for result, one, verdicts in zip(results, where, judged):
        wrong = [("detection", verdict) for verdict in verdicts.detections if verdict.cause != RIGHT]
        wrong += [("object", verdict) for verdict in verdicts.objects if verdict.cause != FOUND]
        items += [item_of(result, one, kind, verdict, classes) for kind, verdict in wrong]
    return sorted(items, key=worst_first)


def item_of(result: ImageResult, where: Where, kind: str, verdict: Verdict, classes: Sequence[str]) -> Dict[str, Any]:
    """An entry of :func:`error_items`. kind: "detection" or "object"."""
    boxes, labels = (result.boxes, result.labels) if kind == "detection" else (result.gt_boxes, result.gt_labels)
    box = boxes[verdict.row]
    return {
        "image_id": result.image_id,
        "case": where.case,
        "place": int(where.place),
        "patient": result.patient,
        "kind": kind,
        "class": classes[labels[verdict.row]],
        "cause": verdict.cause,
        "other": None if verdict.other is None else classes[verdict.other],
        "score": None if verdict.score is None else round(verdict.score, 5),
        "iou": None if verdict.iou is None else round(verdict.iou, 4),
        "size": size_of(box, where),
        "box": [round(float(edge), 2) for edge in box],
    }


def worst_first(item: Dict[str, Any]) -> Any:
    """The order of :func:`error_items`, whatever the order of the images."""
    found = item["kind"] == "detection"
    return not found, -item["score"] if found else -item["size"], item["case"], item["place"], item["box"]


def _causes(where: Sequence[Where]) -> List[str]:
    """Those of detections; only slices have neighbours."""
    return [cause for cause in DETECTION_CAUSES if cause != NEIGHBOUR or any(one.spacing for one in where)]


def _count(verdicts: Sequence[Sequence[Verdict]], causes: Sequence[str]) -> Dict[str, int]:
    counts = Counter(verdict.cause for some in verdicts for verdict in some)
    return {cause: counts[cause] for cause in causes}


def _meaning(where: Sequence[Where], score_threshold: float, iou_threshold: float) -> Dict[str, Dict[str, str]]:
    numbers = {"hit": iou_threshold, "touch": TOUCH_IOU, "score": score_threshold}
    return {
        "detections": {cause: DETECTION_CAUSES[cause].format(**numbers) for cause in _causes(where)},
        "objects": {cause: text.format(**numbers) for cause, text in OBJECT_CAUSES.items()},
    }
