"""Labels: boxes and classes per slice, COCO JSON on disk with study, phase and slice for each image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Iterable, List, Sequence, Tuple

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import at_least, build, required

from .coco import NO_LESIONS, Label, coco_images

CLASSES = ("cyst", "hemangioma", "hcc")


@dataclass(frozen=True)
class CTLabel(Label):
    """The labels of one slice of a phase.

    lesions: int32 (n,) numbers of the 3D lesions of its boxes within the study, from 1, and 0 where nothing tells it;
    empty where no box has one.
    """

    keys = ("phase", "slice")
    digits = 3

    phase: str
    lesions: np.ndarray = field(default_factory=NO_LESIONS.copy)

    def lesion_of(self, row: int) -> int:
        return int(self.lesions[row]) if len(self.lesions) else 0

    def with_boxes(self, boxes: np.ndarray, labels: np.ndarray) -> CTLabel:
        return replace(self, boxes=boxes, labels=labels, lesions=NO_LESIONS)

    @property
    def slice(self) -> int:
        return self.place

    @property
    def title(self) -> str:
        return f"{self.case}, slice {self.slice}"

    @property
    def name(self) -> str:
        return f"{self.case}/{self.phase}/{self.slice:04d}"


@dataclass(frozen=True)
class _Entry:
    study: str
    phase: str
    slice: int = required(at_least(0))


def load_labels(path: str, classes: Sequence[str] = CLASSES) -> List[CTLabel]:
    """Read DATA/labels.json. Raises AnnotationError, which names the image or annotation id and the key."""
    result: Dict[_Entry, CTLabel] = {}
    for image in coco_images(read_json(path, error=AnnotationError), classes, path):
        entry, where = image.entry, image.where
        one = build(_Entry, entry, where=where, error=AnnotationError)
        if one in result:
            raise AnnotationError(f"{where} is the same slice as image {result[one].image_id}")
        size = entry["width"], entry["height"]
        result[one] = CTLabel(
            entry["id"], one.study, one.slice, *size, image.boxes, image.labels, one.phase, image.lesions
        )
    check_lesions(result.values(), classes, path)
    return list(result.values())


def check_lesions(labels: Iterable[CTLabel], classes: Sequence[str], where: str) -> None:
    """Raise AnnotationError where boxes of two classes bear the number of one lesion."""
    first: Dict[Tuple[str, int], Tuple[int, int]] = {}
    for label in labels:
        for kind, number in zip(label.labels.tolist(), label.lesions.tolist()):
            known, place = first.setdefault((label.case, number), (kind, label.slice)) if number else (kind, 0)
            if known != kind:
                raise AnnotationError(
                    f"{where}: lesion {number} of study {label.case} is {classes[known]} on slice {place} and "
                    f"{classes[kind]} on slice {label.slice}: key 'lesion' numbers the lesions within a study"
                )
