"""Everything results.json says about one evaluation of a CT detector."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import FloatArray, IntArray
from gluon_liver.structures.class_names import why_no_classes
from gluon_liver.structures.image_result import ImageResult, check_results, patient_ids

from .accuracy import precision_recall_counts, precision_recall_curve, top1_counts
from .bootstrap import bootstrap_weights, ratio_with_interval, with_interval
from .coco import coco_average_precision, weighted_ap
from .froc import FP_RATES, froc_curve, froc_sensitivity
from .intervals import CONFIDENCE
from .matching import MatchRecords, match_class, pool_classes

INTERVAL = "Wilson score interval, widened by the spread of a bootstrap over patients"
_INTERVAL = ("value", "low", "high", "undefined")
_SETTINGS = ("score_threshold", "iou_threshold", "replicates", "seed", "confidence", "interval")
_ENTRIES = {  # of a summary: the name beside the classes, and the fields of each entry
    "top1": ("mixed", (*_INTERVAL, "right", "n")),
    "precision": ("all", (*_INTERVAL, "n")),
    "recall": ("all", (*_INTERVAL, "n")),
    "ap50": ("mean", _INTERVAL),
    "ap75": ("mean", ()),
    "ap": ("mean", ()),
    "froc": ("all", _INTERVAL),
}
_SUMMARY_KEYS: Dict[str, type] = dict.fromkeys(("images", "patients", "annotated_images"), int)
_SUMMARY_KEYS.update(dict.fromkeys(("boxes", "settings", *_ENTRIES), dict))


def ct_summary(
    results: Sequence[ImageResult],
    *,
    classes: Sequence[str],
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
    fp_rates: Sequence[float] = FP_RATES,
    replicates: int = 1000,
    seed: int = 0,
) -> Dict[str, Any]:
    """Top-1 accuracy, precision, recall, average precision and FROC with patient-level intervals.

    Values are fractions, 0 to 1; None where a metric is undefined, never NaN. Entries with an interval hold "value",
    "low", "high", "undefined" (replicates left out), usually "n", and "reason" where there is no interval. Raises
    :class:`InputError` when the results contradict themselves or the classes.

    results: one record a slice; slices without lesions belong in it, they can hold false positives.
    classes: names by label index.
    score_threshold: the working point of precision and recall (the only metrics that use it).
    iou_threshold: overlap of a hit, in all but ap, ap50 and ap75, whose overlaps are fixed.
    fp_rates: false positives an image, of FROC.
    replicates, seed: of the bootstrap; all metrics share its replicates.
    """
    _check_classes(classes)
    ordered = check_results(results, classes)
    patients = patient_ids(ordered)
    weights = bootstrap_weights(len(patients), replicates=replicates, seed=seed)
    records = _records(ordered, classes, iou_threshold)
    counts = {name: precision_recall_counts(record.at_score(score_threshold)) for name, record in records.items()}
    precision, recall = (
        {name: ratio_with_interval(both[which].right, both[which].n, weights) for name, both in counts.items()}
        for which in (0, 1)
    )
    settings = {"score_threshold": score_threshold, "iou_threshold": iou_threshold, "replicates": replicates}
    average = coco_average_precision(ordered, classes)
    return {
        "images": len(ordered),
        "patients": len(patients),
        "annotated_images": sum(len(result.gt_labels) > 0 for result in ordered),
        "boxes": {name: int(records[name].gt_count.sum()) for name in classes},
        "top1": _top1(ordered, classes, iou_threshold, weights),
        "precision": precision,
        "recall": recall,
        "ap50": _ap50(ordered, classes, average["ap50"], weights),
        "ap": average["ap"],
        "ap75": average["ap75"],
        "froc": {name: _froc(record, weights, fp_rates) for name, record in records.items()},
        "settings": {**settings, "seed": seed, "confidence": CONFIDENCE, "interval": INTERVAL},
    }


def ct_curves(results: Sequence[ImageResult], classes: Sequence[str], *, iou_threshold: float = 0.5) -> Dict[str, Any]:
    """The curves of an evaluation, thinned to their corners.

    Returns {"froc": {"all" and each class: {"fp", "sensitivity", "score"}}, "pr": {class: {"recall", "precision",
    "score"}}}, lists of equal length, empty for a class without lesions.
    """
    _check_classes(classes)
    records = _records(check_results(results, classes), classes, iou_threshold)
    return {
        "froc": {name: froc_curve(record) for name, record in records.items()},
        "pr": {name: precision_recall_curve(records[name]) for name in classes},
    }


def check_summary(summary: Dict[str, Any]) -> None:
    """Raise :class:`InputError` unless the dictionary (of a file, say) has the entries of :func:`ct_summary`."""
    if not isinstance(summary, dict):
        raise InputError(f"the summary is a {type(summary).__name__}, not the result of an evaluation")
    missing = [key for key, kind in _SUMMARY_KEYS.items() if not isinstance(summary.get(key), kind)]
    if not missing:
        missing = [f"settings.{key}" for key in _SETTINGS if key not in summary["settings"]]
        for key, (more, fields) in _ENTRIES.items():
            for name in [*summary["boxes"], more]:
                entry = summary[key].get(name)
                entries = entry.values() if key == "froc" and isinstance(entry, dict) else [entry]
                if name not in summary[key] or not all(_has(entry, fields) for entry in entries):
                    missing.append(f"{key}.{name}")
    if missing:
        raise InputError(f"the summary has no valid {', '.join(sorted(missing))}; evaluate again with this version")


def _has(entry: Any, fields: Tuple[str, ...]) -> bool:
    return not fields or isinstance(entry, dict) and all(field in entry for field in fields)


def _check_classes(classes: Sequence[str]) -> None:
    fault = why_no_classes(classes)
    if fault:
        raise InputError(f"classes are {list(classes)}: they must be {fault}")


def _records(ordered: Sequence[ImageResult], classes: Sequence[str], iou_threshold: float) -> Dict[str, MatchRecords]:
    """Match records of each class and, under "all", pooled."""
    records = {name: match_class(ordered, label, iou_threshold=iou_threshold) for label, name in enumerate(classes)}
    records["all"] = pool_classes(list(records.values()))
    return records


def _top1(
    ordered: Sequence[ImageResult], classes: Sequence[str], iou_threshold: float, weights: IntArray
) -> Dict[str, Any]:
    return {
        name: {**ratio_with_interval(counts.right, counts.n, weights), "right": int(counts.right.sum())}
        for name, counts in top1_counts(ordered, classes, iou_threshold=iou_threshold).items()
    }


def _ap50(
    ordered: Sequence[ImageResult], classes: Sequence[str], values: Dict[str, Any], weights: IntArray
) -> Dict[str, Any]:
    table: Dict[str, Any] = {}
    replicated: List[FloatArray] = []
    lesions = np.zeros(weights.shape[1], dtype=np.int64)
    for label, name in enumerate(classes):
        record = match_class(ordered, label, iou_threshold=0.5)
        of_class = weighted_ap(record, weights)
        table[name] = with_interval(values[name], of_class, record.gt_count)
        table[name]["n"] = int(record.gt_count.sum())
        lesions += record.gt_count
        if values[name] is not None:
            replicated.append(of_class)
    # A mean over fewer classes is another quantity: a replicate that misses one of them is undefined (NaN).
    mean = np.mean(replicated, axis=0) if replicated else np.full(len(weights), np.nan)
    table["mean"] = with_interval(values["mean"], mean, lesions)
    table["mean"]["n"] = sum(table[name]["n"] for name in classes)
    return table


def _froc(record: MatchRecords, weights: IntArray, rates: Sequence[float]) -> Dict[str, Any]:
    plain = froc_sensitivity(record, np.ones((1, weights.shape[1]), dtype=np.int64), rates)[0]
    columns = zip(rates, plain, froc_sensitivity(record, weights, rates).T)
    return {f"{rate:g}": with_interval(value, replicated, record.gt_count) for rate, value, replicated in columns}
