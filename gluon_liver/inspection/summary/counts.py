"""How many patients, lesions and images data have, per split and class: the CT paper's Table 1, of any data."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set

import numpy as np

from gluon_liver.data.coco import Label
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.splits import SPLIT_NAMES
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_labels import USLabel, scenes_of
from gluon_liver.inspection.lesions import DrawnLesion, drawn_lesions, split_of_units

PERCENTILES = {"min": 0, "p25": 25, "median": 50, "p75": 75, "max": 100}
NO_SPLIT = "unassigned"  # of what splits.json does not name


def spread_of(values: Iterable[float]) -> Dict[str, Any]:
    """Count, minimum, quartiles, maximum; the count alone where there is none."""
    numbers = np.array(list(values), np.float64)
    if not len(numbers):
        return {"n": 0}
    named = {name: round(float(np.percentile(numbers, share)), 3) for name, share in PERCENTILES.items()}
    return {"n": len(numbers), **named}


def count_ct(dataset: CTDataset) -> Dict[str, Any]:
    """Patients, lesions, images and boxes per split and class; sizes in mm; spacing; phases of the studies."""
    lesions = [one for info in dataset.cases for one in drawn_lesions(dataset, info.case)]
    records = [dataset.record(info.case) for info in dataset.cases]
    shapes = Counter(f"{record.geometry.size[2]}x{record.geometry.size[1]}" for record in records)
    return {
        "splits": _splits(dataset, lesions),
        "lesion_mm": _sizes(dataset.classes, lesions, 0),
        "lesion_height_mm": _sizes(dataset.classes, lesions, 1),
        "lesion_slices": _spreads(dataset.classes, ((one.class_name, one.slices) for one in lesions)),
        "spacing_mm": {
            "between_slices": spread_of(record.geometry.spacing[0] for record in records),
            "pixels": spread_of(record.geometry.spacing[2] for record in records),
        },
        "slices": spread_of(record.geometry.size[0] for record in records),
        "matrix": dict(shapes.most_common()),
        "phases": _phases(dataset),
        "sizes": [
            {"class": one.class_name, "split": one.split or NO_SPLIT, "mm": round(one.size_mm[0], 2)} for one in lesions
        ],
    }


def count_us(dataset: USDataset) -> Dict[str, Any]:
    """Recordings, scenes, frames and boxes per split and class; sizes of boxes in pixels."""
    sides = [
        (dataset.classes[kind], float(max(box[2] - box[0], box[3] - box[1])))
        for label in dataset.labels
        for box, kind in zip(label.boxes, label.labels)
    ]
    splits = split_of_units(dataset)
    of_box = [splits.get(dataset.unit_of(label), NO_SPLIT) for label in dataset.labels for _ in label.boxes]
    shapes = Counter(f"{info.width}x{info.height}" for info in dataset.cases)
    rates = Counter(f"{info.frames_per_second:g}" for info in dataset.cases if info.frames_per_second)
    return {
        "splits": _splits(dataset, None),
        "box_px": _spreads(dataset.classes, sides),
        "frames_of_scenes": spread_of(len(scene.frames) for scene in scenes_of(dataset.labels)),
        "matrix": dict(shapes.most_common()),
        "frames_per_second": dict(rates.most_common()),
        "sizes": [{"class": name, "split": split, "px": round(px, 1)} for (name, px), split in zip(sides, of_box)],
    }


def _splits(dataset: Dataset, lesions: Optional[Sequence[DrawnLesion]]) -> Dict[str, Any]:
    """Counts of each split that names somebody, and of what no split names, where there is such."""
    splits = split_of_units(dataset)
    labels: Dict[str, List[Label]] = defaultdict(list)
    for label in dataset.labels:
        labels[splits.get(dataset.unit_of(label), NO_SPLIT)].append(label)
    cases: Dict[str, Set[str]] = defaultdict(set)
    for info in dataset.cases:
        for unit in dataset.units_of(info) or {info.patient}:
            cases[splits.get(unit, NO_SPLIT)].add(info.case)
    there = [name for name in (*SPLIT_NAMES, NO_SPLIT) if labels[name] or cases[name]]
    of_split = {name: [one for one in lesions or () if (one.split or NO_SPLIT) == name] for name in there}
    own = {name: None if lesions is None else of_split[name] for name in there}
    return {name: _split(dataset, cases[name], labels[name], own[name]) for name in there}


def _split(
    dataset: Dataset, cases: Set[str], labels: Sequence[Label], lesions: Optional[Sequence[DrawnLesion]]
) -> Dict[str, Any]:
    patients = {dataset.info(case).patient for case in cases}
    with_box = {dataset.info(label.case).patient for label in labels if len(label.boxes)}
    result: Dict[str, Any] = {
        "patients": len(patients),
        "patients_without_box": len(patients - with_box),
        "studies": len(cases),
        "images": len(labels),
        "images_with_box": sum(len(label.boxes) > 0 for label in labels),
        "images_background": sum(len(label.boxes) == 0 for label in labels),
        "boxes": sum(len(label.boxes) for label in labels),
    }
    if lesions is not None:
        result["lesions"] = len(lesions)
    if isinstance(dataset, USDataset):
        result["scenes"] = _scenes(labels)
    result["classes"] = {}
    for kind, name in enumerate(dataset.classes):
        own = [label for label in labels if (label.labels == kind).any()]
        counts = {
            "patients": len({dataset.info(label.case).patient for label in own}),
            "images": len(own),
            "boxes": sum(int((label.labels == kind).sum()) for label in own),
        }
        if lesions is not None:
            counts["lesions"] = sum(one.class_name == name for one in lesions)
        if isinstance(dataset, USDataset):
            counts["scenes"] = _scenes(own)
        result["classes"][name] = counts
    return result


def _scenes(labels: Sequence[Label]) -> int:
    return len({(label.case, label.scene) for label in labels if isinstance(label, USLabel)})


def _sizes(classes: Sequence[str], lesions: Sequence[DrawnLesion], which: int) -> Dict[str, Any]:
    return _spreads(classes, ((one.class_name, one.size_mm[which]) for one in lesions))


def _spreads(classes: Sequence[str], values: Iterable[Any]) -> Dict[str, Any]:
    """Spreads of (class, value) by class, and of all."""
    of_class: Dict[str, List[float]] = {name: [] for name in classes}
    for name, value in values:
        of_class[name].append(value)
    every = [value for some in of_class.values() for value in some]
    return {**{name: spread_of(some) for name, some in of_class.items()}, "all": spread_of(every)}


def _phases(dataset: CTDataset) -> Dict[str, Any]:
    """Studies that have a phase, those that have it on a part of their slices, and which phases come together."""
    whole, partly, together = Counter(), Counter(), Counter()  # type: Counter[str], Counter[str], Counter[str]
    for info in dataset.cases:
        record = dataset.record(info.case)
        there = [phase for phase, present in zip(record.phases, record.present) if present.any()]
        whole.update(there)
        partly.update(
            phase for phase, present in zip(record.phases, record.present) if present.any() and not present.all()
        )
        together[" + ".join(there)] += 1
    each = {phase: {"studies": whole[phase], "studies_with_gaps": partly[phase]} for phase in dataset.phases}
    return {"reference": dataset.reference_phase, "each": each, "together": dict(together.most_common())}
