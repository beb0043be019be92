"""The lesions that were drawn in prepared CT or MRI data, each with its patient, split and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.splits import SPLIT_NAMES
from gluon_liver.structures.lesions import SliceBox, in_plane_mm, join_drawn


@dataclass(frozen=True, eq=False)
class DrawnLesion:
    """Boxes of one lesion, slices rising.

    split: "train", "val" or "test", None of a patient whom splits.json does not name. size_mm: the longest side of its
    boxes, and its slices times their spacing.
    """

    case: str
    patient: str
    split: Optional[str]
    class_name: str
    boxes: Tuple[SliceBox, ...]
    size_mm: Tuple[float, float]

    @property
    def first_slice(self) -> int:
        return self.boxes[0].slice

    @property
    def last_slice(self) -> int:
        return self.boxes[-1].slice


def split_of_units(dataset: Dataset) -> Dict[str, str]:
    """Name in splits.json -> its split."""
    return {unit: name for name in SPLIT_NAMES for unit in dataset.splits.of(name)}


def drawn_lesions(dataset: CTDataset, case: str) -> List[DrawnLesion]:
    """The lesions of one study: boxes with one lesion number where the labels have such, else joined as `evaluate`
    joins them."""
    info, spacing = dataset.info(case), dataset.record(case).geometry.spacing
    labels = dataset.labels_by_slice(case)
    loose: List[SliceBox] = []
    numbered: Dict[Tuple[int, str], List[SliceBox]] = {}
    for place in sorted(labels):
        label = labels[place]
        numbers = getattr(label, "lesions", ())
        for index, (box, kind) in enumerate(zip(label.boxes, label.labels)):
            one = SliceBox(place, box, dataset.classes[kind], 1.0)
            if len(numbers):
                numbered.setdefault((int(numbers[index]), one.class_name), []).append(one)
            else:
                loose.append(one)
    joined = [*numbered.values(), *join_drawn(loose, spacing=spacing, seen=list(labels))]
    split = split_of_units(dataset).get(info.patient)
    result = []
    for boxes in sorted(joined, key=lambda some: some[0].slice):
        height = (boxes[-1].slice - boxes[0].slice + 1) * spacing[0]
        size = in_plane_mm(boxes, spacing), height
        result.append(DrawnLesion(case, info.patient, split, boxes[0].class_name, tuple(boxes), size))
    return result
