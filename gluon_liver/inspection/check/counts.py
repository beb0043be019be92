"""Classes and splits without images, boxes drawn twice, and sizes that no lesion has."""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, Iterator, List, Sequence

import numpy as np

from gluon_liver.data.coco import Label
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.inspection.lesions import DrawnLesion, drawn_lesions
from gluon_liver.structures.boxes import box_iou

from .findings import NOTE, PROBLEM, WARNING, Finding

TWICE_IOU = 0.9
SIDES_PX, WHOLE = 2.0, 0.95  # the shortest side of a box, and the share of both sides of an image
LESION_MM = (3.0, 250.0)
THIN_MM, LONE_MM = 3.0, 3  # slices this close; a lesion on one of them, so many times as wide as they are apart


def check_counts(dataset: Dataset) -> Iterator[Finding]:
    """Splits and classes in which nothing is drawn."""
    there = {name: dataset.labels_of(name) for name in ("train", "val", "test")}
    again = "import with other --split-fractions or --seed, or part them in splits.json"
    if sum(len(dataset.splits.of(name)) for name in there) == 1:
        again = "one patient cannot be parted; detect and data view need no split"
    for name, severity in (("train", PROBLEM), ("test", WARNING), ("val", NOTE)):
        if not any(len(label.boxes) for label in there[name]):
            what = f"the {name} split has {'no box' if there[name] else 'no image'}"
            advice = {"train": "nothing can be learned", "test": "nothing can be scored"}.get(name, "no validation")
            yield Finding(severity, "splits", [name], what, f"{advice}: {again}")
    for kind, name in enumerate(dataset.classes):
        absent = [split for split in ("train", "test") if there[split] and not _has(there[split], kind)]
        if not _has(dataset.labels, kind):
            yield Finding(
                WARNING, "classes", [name], f"the class {name} has no box", "of label files --classes leaves it out"
            )
        elif absent:
            what = f"the class {name} has no box in {' and '.join(absent)}"
            yield Finding(WARNING, "classes", [name], what, "it cannot be learned or scored there: split again")
    if dataset.changed_labels():
        advice = f"doctor --data {dataset.folder} --accept-labels takes them"
        yield Finding(NOTE, "labels", [], dataset.changed_labels(), advice)


def _has(labels: Sequence[Label], kind: int) -> bool:
    return any((label.labels == kind).any() for label in labels)


def check_boxes(dataset: Dataset) -> Iterator[Finding]:
    """Boxes that are there twice, and boxes of a size that none has, in pixels."""
    found: Dict[str, List[str]] = defaultdict(list)
    for label in dataset.labels:
        overlap = np.triu(box_iou(label.boxes, label.boxes), 1)
        for one, other in zip(*np.nonzero(overlap >= TWICE_IOU)):
            found["same" if label.labels[one] == label.labels[other] else "other"].append(label.title)
        sides = label.boxes[:, 2:] - label.boxes[:, :2]
        found["small"] += [label.title] * int((sides.min(axis=1, initial=np.inf) < SIDES_PX).sum())
        whole = (sides >= WHOLE * np.array([label.width, label.height])).all(axis=1)
        found["whole"] += [label.title] * int(whole.sum())
    texts = {
        "same": ("boxes overlap another of their class almost wholly: drawn twice?", "leave one of them"),
        "other": ("boxes overlap one of another class almost wholly", "decide which class it is"),
        "small": (f"boxes have a side below {SIDES_PX:g} pixels", "a network cannot see them: remove or redraw them"),
        "whole": ("boxes are as large as their image", "are these masks of the image or the organ?"),
    }
    for key, places in found.items():
        if places:
            what, advice = texts[key]
            yield Finding(WARNING, "boxes", places, f"{len(places)} {what}", advice)


def check_lesions(dataset: CTDataset) -> Iterator[Finding]:
    """Lesions of a size that none has in mm, and those on one slice of a thin-slice study."""
    found: Dict[str, List[str]] = defaultdict(list)
    for info in dataset.cases:
        dz, seen = dataset.record(info.case).geometry.spacing[0], dataset.labels_by_slice(info.case)
        for lesion in drawn_lesions(dataset, info.case):
            place = f"{info.case} slice {lesion.first_slice}"
            width = lesion.size_mm[0]
            if not LESION_MM[0] <= width <= LESION_MM[1]:
                found["size"].append(f"{place}: {width:.0f} mm")
            if dz <= THIN_MM and _lone(lesion, dz):
                beside = {lesion.first_slice - 1, lesion.first_slice + 1}
                found["lone" if beside & set(seen) else "unseen"].append(place)
    if found["size"]:
        what = f"{len(found['size'])} lesions are below {LESION_MM[0]:g} or above {LESION_MM[1]:g} mm"
        yield Finding(WARNING, "sizes", found["size"], what, "is the spacing right, and is it a lesion?")
    if found["lone"]:
        what = f"{len(found['lone'])} lesions are on one slice alone, with labelled slices of the same study beside it"
        advice = f"slices are {THIN_MM:g} mm apart or less: it should be on several; the others count as background"
        yield Finding(WARNING, "one slice", found["lone"], what, advice)
    if found["unseen"]:
        what = f"{len(found['unseen'])} lesions are drawn on one slice of thin ones; the slices beside are not labelled"
        yield Finding(NOTE, "one slice", found["unseen"], what, "those slices are neither trained on nor scored")


def _lone(lesion: DrawnLesion, dz: float) -> bool:
    return lesion.slices == 1 and lesion.size_mm[0] >= LONE_MM * dz
