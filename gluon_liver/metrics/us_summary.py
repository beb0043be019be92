"""Everything results.json says about one evaluation of an ultrasound detector."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.class_names import why_no_classes
from gluon_liver.structures.detections import SCORE_THRESHOLD
from gluon_liver.structures.image_result import ImageResult, check_results, patient_ids

from .bootstrap import bootstrap_weights, ratio_with_interval
from .coco import coco_average_precision
from .figures import box_lesions
from .sensitivity import IOU_THRESHOLD, SceneCount, mean_and_sd, scene_counts
from .sizes import BINS_PIXELS, size_bounds

AP_KEYS = ("ap", "ap50", "ap75")
_KEYS: Dict[str, type] = dict.fromkeys(("images", "patients", "annotated_images"), int)
_KEYS.update({"scenes": list, "truth": str}, **dict.fromkeys(("boxes", "sensitivity", "settings", *AP_KEYS), dict))
_SETTINGS: Dict[str, Any] = {"score_threshold": (int, float), "iou_threshold": (int, float), "sd": str}


def us_summary(
    results: Sequence[ImageResult],
    *,
    scenes: Mapping[int, str],
    classes: Sequence[str],
    score_threshold: float = SCORE_THRESHOLD,
    iou_threshold: float = IOU_THRESHOLD,
) -> Dict[str, Any]:
    """COCO average precision and the sensitivities a scene: what the paper's Tables 1 and 2 need.

    Values are fractions, 0 to 1; None where a metric is undefined, never NaN. Raises :class:`InputError` when the
    results contradict themselves, the classes or the scenes. Returns {"images", "patients", "annotated_images": counts,
    "boxes": {class: count}, "scenes": [{"scene", "images"}], "truth": SHA-256 (hex) over scenes and annotated boxes,
    "ap" (IoU 0.50:0.95), "ap50", "ap75": {class or "mean": value}, "sensitivity": {class: {"mean", "sd" (sample SD over
    scenes), "n" (scenes with a box of the class), "scenes": [{"scene", "found", "n", "sensitivity"}]}},
    "by_size": [{"from_px", "to_px" (of the longer side; None at the end), "sensitivity": {class: {"value", "low",
    "high" (95 %, over patients), "n" (boxes)}}}], "settings"}.

    results: one record a frame; frames without boxes belong in it, they can hold false positives.
    scenes: scene name by image id, of exactly these frames.
    classes: names by label index.
    score_threshold, iou_threshold: of the sensitivities. Average precision uses every detection and its own overlaps.
    """
    fault = why_no_classes(classes)
    if fault:
        raise InputError(f"classes are {list(classes)}: they must be {fault}")
    ordered = check_results(results, classes)
    settings: Dict[str, Any] = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
    counts = scene_counts(ordered, scenes=scenes, classes=classes, **settings)
    frames = Counter(scenes[result.image_id] for result in ordered)
    return {
        "images": len(ordered),
        "patients": len(patient_ids(ordered)),
        "annotated_images": sum(len(result.gt_labels) > 0 for result in ordered),
        "boxes": {name: sum(count.n for count in counts[name]) for name in classes},
        "scenes": [{"scene": scene, "images": frames[scene]} for scene in sorted(frames)],
        "truth": _truth(ordered, scenes),
        **coco_average_precision(ordered, classes),
        "sensitivity": {name: _sensitivity(counts[name]) for name in classes},
        "by_size": _by_size(ordered, classes, score_threshold, iou_threshold),
        "settings": {**settings, "sd": "sample SD over scenes (n - 1)"},
    }


def sensitivities(summary: Dict[str, Any], name: str) -> Dict[str, float]:
    """Sensitivity of one class by scene, from its counts."""
    return {row["scene"]: row["found"] / row["n"] for row in summary["sensitivity"][name]["scenes"]}


def check_us_summary(summary: Dict[str, Any]) -> None:
    """Raise :class:`InputError` unless the dictionary (of a file, say) has the entries of :func:`us_summary`."""
    if not isinstance(summary, dict):
        raise InputError(f"the summary is a {type(summary).__name__}, not the result of an evaluation")
    missing = [key for key, kind in _KEYS.items() if not isinstance(summary.get(key), kind)]
    if not missing:
        settings = summary["settings"]
        missing += [f"settings.{key}" for key, kind in _SETTINGS.items() if not isinstance(settings.get(key), kind)]
        scenes = [row.get("scene") if isinstance(row, dict) else None for row in summary["scenes"]]
        if not all(isinstance(scene, str) for scene in scenes) or not all("images" in row for row in summary["scenes"]):
            missing.append("scenes")
        for name, boxes in summary["boxes"].items():
            missing += [f"{key}.{name}" for key in AP_KEYS if not _is_value(summary[key], name)]
            if not _is_sensitivity(summary["sensitivity"].get(name), boxes, scenes):
                missing.append(f"sensitivity.{name}")
        missing += [f"{key}.mean" for key in AP_KEYS if not _is_value(summary[key], "mean")]
    if missing:
        raise InputError(f"the summary has no valid {', '.join(sorted(missing))}; evaluate again with this version")


def _sensitivity(counts: Sequence[SceneCount]) -> Dict[str, Any]:
    mean, sd = mean_and_sd(counts)
    rows = [{**dataclasses.asdict(count), "sensitivity": count.sensitivity} for count in counts]
    return {"mean": mean, "sd": sd, "n": len(rows), "scenes": rows}


def _by_size(
    ordered: Sequence[ImageResult], classes: Sequence[str], score_threshold: float, iou_threshold: float
) -> List[Dict[str, Any]]:
    """Boxes found by their longer side, each box of each frame counting the same."""
    patients = patient_ids(ordered)
    where = [("", one.image_id) for one in ordered]
    boxes = box_lesions(ordered, where, patients, score_threshold=score_threshold, iou_threshold=iou_threshold)
    weights = bootstrap_weights(len(patients))
    rows = []
    for low, high in size_bounds(BINS_PIXELS):
        here = (boxes.size >= low) & (boxes.size < high)
        shares = {name: boxes.share(here & (boxes.label == label)) for label, name in enumerate(classes)}
        entries = {
            name: ratio_with_interval(share.numerator, share.denominator, weights) for name, share in shares.items()
        }
        rows.append({"from_px": low, "to_px": high if high < np.inf else None, "sensitivity": entries})
    return rows


def _truth(ordered: Sequence[ImageResult], scenes: Mapping[int, str]) -> str:
    """Equal for two evaluations of the same annotation, whatever was detected."""
    annotated = [[scenes[one.image_id], one.image_id, one.gt_labels.tolist(), one.gt_boxes.tolist()] for one in ordered]
    return hashlib.sha256(json.dumps(annotated).encode("ascii")).hexdigest()


def _is_value(entry: Dict[str, Any], name: str) -> bool:
    value = entry.get(name)
    return name in entry and (value is None or _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_sensitivity(entry: Any, boxes: Any, scenes: Sequence[Any]) -> bool:
    """Whether a class's sensitivities are there, of evaluated scenes, with counts that add up to its boxes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("scenes"), list):
        return False
    rows = entry["scenes"]
    for row in rows:
        if not isinstance(row, dict) or row.get("scene") not in scenes:
            return False
        if not all(type(row.get(key)) is int for key in ("found", "n")) or not 0 <= row["found"] <= row["n"] > 0:
            return False
    return (
        len({row["scene"] for row in rows}) == len(rows) == entry.get("n")
        and sum(row["n"] for row in rows) == boxes
        and (_is_number(entry.get("mean")) if rows else entry.get("mean", 0) is None)
        and (_is_number(entry.get("sd")) if len(rows) > 1 else entry.get("sd", 0) is None)
    )
