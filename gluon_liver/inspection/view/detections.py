"""Detections that `evaluate` or `detect` wrote, of one case, to be laid over its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build
from gluon_liver.structures.detections import SCORE_THRESHOLD, CocoDetection
from gluon_liver.structures.enumerations import first_of

from .source import Shown

FILE = "detections.json"
MOST_CLASSES = 1000  # of a file without names of classes


class Found(NamedTuple):
    """One detected box: where, of which class, corners in stored pixels, score."""

    place: int
    label: int
    box: Tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Overlay:
    """boxes: of the case. classes: names by label. threshold: where a page begins. notes: what was left out."""

    boxes: List[Found]
    classes: Tuple[str, ...]
    threshold: float = SCORE_THRESHOLD
    notes: List[str] = field(default_factory=list)


def read_overlay(path: Path, shown: Shown) -> Overlay:
    """The detections of ``shown`` in a run's or detect's detections.json, or in the folder that holds it.

    Entries of other cases are left out and counted. Raises :class:`InputError` for a file that is none, one of another
    case, and for entries that mean no slice, class or box of this one.
    """
    path = path / FILE if path.is_dir() else path
    if path.name in ("results.json", "lesions.json") and (path.parent / FILE).is_file():
        raise InputError(f"{path} holds no boxes of single images: give {path.parent / FILE}")
    entries = read_json(path, remedy="give detections.json of `evaluate` or `detect`, or its folder")
    if not isinstance(entries, list):
        raise InputError(f"{path} holds no COCO results, which are a list: give detections.json of evaluate or detect")
    beside = _beside(path, shown)
    named = beside.get("classes")
    classes = tuple(map(str, named)) if isinstance(named, list) and named else shown.classes
    if shown.classes and classes != shown.classes:
        theirs, ours = ", ".join(classes), ", ".join(shown.classes)
        raise InputError(f"{path.parent}/lesions.json has the classes {theirs}; these data have {ours}")
    if not classes:
        ids = [e.get("category_id") for e in entries if isinstance(e, dict)]
        most = max([one for one in ids if isinstance(one, int) and one <= MOST_CLASSES], default=1)
        classes = tuple(f"class {number + 1}" for number in range(most))
    places = {label.image_id: place for place, label in shown.labels.items()}
    others, left, boxes = set(shown.other_images), 0, []
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        row = build(CocoDetection, entry, where=where)
        place = _place(entry, row, places, others, whole=bool(beside), where=where)
        if place is None:
            left += 1
            continue
        boxes.append(_checked(row, place, shown, classes, where))
    notes = [f"{left} detections of other cases are not shown"] if left else []
    threshold: Any = beside.get("score_threshold")
    known = isinstance(threshold, (int, float)) and 0 <= threshold <= 1
    return Overlay(boxes, classes, float(threshold) if known else SCORE_THRESHOLD, notes)


def _beside(path: Path, shown: Shown) -> Mapping[str, Any]:
    """lesions.json that `detect` writes beside its detections, {} where there is none; of another case refused."""
    if not (path.parent / "lesions.json").is_file():
        return {}
    lesions = read_json(path.parent / "lesions.json")
    if not isinstance(lesions, dict):
        return {}
    if shown.labels and lesions.get("case") != shown.case:
        raise InputError(f"{path} is of the case {lesions.get('case')}, not of {shown.case}")
    if lesions.get("slices", len(shown.places)) != len(shown.places):
        raise InputError(f"{path} is of a study of {lesions['slices']} slices; this one has {len(shown.places)}")
    return lesions


def _place(
    entry: Mapping[str, Any],
    row: CocoDetection,
    places: Mapping[int, int],
    others: Set[int],
    *,
    whole: bool,
    where: str,
) -> Optional[int]:
    """The slice or frame of an entry, None for one of another case. whole: `detect` wrote it, which names slices."""
    if whole and isinstance(entry.get("slice"), int):
        return int(entry["slice"])
    if row.image_id in places:
        return places[row.image_id]
    if row.image_id in others:
        return None
    ids = f"this case has the images {first_of(sorted(places), 5)}" if places else "this case has no labelled image"
    raise InputError(f"{where}: image_id {row.image_id} is no image of these data; {ids}")


def _checked(row: CocoDetection, place: int, shown: Shown, classes: Sequence[str], where: str) -> Found:
    height, width = shown.size
    if not 0 <= place < len(shown.places):
        raise InputError(f"{where}: slice {place} is outside the study of {len(shown.places)} slices")
    if not 1 <= row.category_id <= len(classes):
        raise InputError(f"{where}: no class has the category_id {row.category_id}; there are {len(classes)}")
    numbers = np.array([*row.bbox, row.score], np.float64)
    if not np.isfinite(numbers).all() or not 0 <= row.score <= 1 or min(row.bbox[2:]) < 0:
        raise InputError(f"{where}: bbox {list(row.bbox)} and score {row.score} are no box with a score from 0 to 1")
    x, y, w, h = row.bbox
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise InputError(f"{where}: bbox {list(row.bbox)} lies outside the image of {width}x{height} pixels")
    return Found(place, row.category_id - 1, (x, y, x + w, y + h), row.score)
