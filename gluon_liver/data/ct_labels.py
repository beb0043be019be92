"""Labels: boxes and classes per slice, COCO JSON on disk with study, phase and slice for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import at_least, build, required

from .coco import Label, coco_images

CLASSES = ("cyst", "hemangioma", "hcc")


@dataclass(frozen=True)
class CTLabel(Label):
    """The labels of one slice of a phase."""

    keys = ("phase", "slice")
    digits = 3

    phase: str

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
        result[one] = CTLabel(entry["id"], one.study, one.slice, *size, image.boxes, image.labels, one.phase)
    return list(result.values())
