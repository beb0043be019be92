"""Labels: boxes and classes per slice, COCO JSON on disk with study, phase and slice for each image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json

from .coco import coco_images, required, save_coco

CLASSES = ("cyst", "hemangioma", "hcc")


@dataclass(frozen=True)
class CTLabel:
    """A :class:`gluon_liver.data.dataset.Label` of one slice of a phase."""

    image_id: int
    case: str
    phase: str
    slice: int
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray

    @property
    def place(self) -> int:
        return self.slice

    @property
    def title(self) -> str:
        return f"{self.case}, slice {self.slice}"

    @property
    def file_stem(self) -> str:
        return f"{self.case}-{self.slice:03d}"


@dataclass
class Annotations:
    """All labelled slices of a data set. A slice that is not listed is unlabelled."""

    classes: Tuple[str, ...] = CLASSES
    images: List[CTLabel] = field(default_factory=list)

    def of_case(self, case: str) -> Dict[int, CTLabel]:
        """slice -> its labels, for one case."""
        return {image.slice: image for image in self.images if image.case == case}


def load_annotations(path: str, *, classes: Sequence[str] = CLASSES) -> Annotations:
    """Read DATA/labels.json. Raises AnnotationError, which names the image or annotation id and the key."""
    images = coco_images(read_json(path, error=AnnotationError), classes, path)
    result = Annotations(classes=tuple(classes))
    seen: Dict[Tuple[str, str, int], int] = {}
    for entry, boxes, labels in images:
        where = f"{path}: image {entry['id']}"
        case, phase = (required(entry, key, str, where) for key in ("study", "phase"))
        index = required(entry, "slice", int, where)
        if index < 0:
            raise AnnotationError(f"{where}: key 'slice' is {index}; slices count from 0")
        if (case, phase, index) in seen:
            raise AnnotationError(f"{where} is the same slice as image {seen[case, phase, index]}")
        seen[case, phase, index] = entry["id"]
        result.images.append(CTLabel(entry["id"], case, phase, index, entry["width"], entry["height"], boxes, labels))
    return result


def save_annotations(annotations: Annotations, path: str) -> None:
    """Write DATA/labels.json."""
    images = (
        (
            {
                "id": int(image.image_id),
                "file_name": f"{image.case}/{image.phase}/{image.slice:04d}",
                "width": int(image.width),
                "height": int(image.height),
                "study": image.case,
                "phase": image.phase,
                "slice": int(image.slice),
            },
            image.boxes,
            image.labels,
        )
        for image in annotations.images
    )
    save_coco(images, annotations.classes, path)
