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
    """Boxes of one lesion, slices rising; a lesion that labels number may have several in a slice.

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
    def slices(self) -> int:
        """On how many slices it has a box."""
        return len({box.slice for box in self.boxes})

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
    boxes = [
        SliceBox(place, box, dataset.classes[kind], 1.0, labels[place].lesion_of(row))
        for place in sorted(labels)
        for row, (box, kind) in enumerate(zip(labels[place].boxes, labels[place].labels))
    ]
    split = split_of_units(dataset).get(info.patient)
    result = []
    for lesion in join_drawn(boxes, spacing=spacing, seen=list(labels)):
        height = (lesion[-1].slice - lesion[0].slice + 1) * spacing[0]
        size = in_plane_mm(lesion, spacing), height
        result.append(DrawnLesion(case, info.patient, split, lesion[0].class_name, tuple(lesion), size))
    return result
