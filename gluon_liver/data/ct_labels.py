"""Labels: boxes and classes per slice, COCO JSON on disk with study, phase and slice for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json

from .coco import Label, coco_images, required

CLASSES = ("cyst", "hemangioma", "hcc")


@dataclass(frozen=True)
class CTLabel(Label):
    """The labels of one slice of a phase."""

    phase: str

    @property
    def slice(self) -> int:
        return self.place

    @property
    def title(self) -> str:
        return f"{self.case}, slice {self.slice}"

    @property
    def file_stem(self) -> str:
        return f"{self.case}-{self.slice:03d}"

    @property
    def name(self) -> str:
        return f"{self.case}/{self.phase}/{self.slice:04d}"

    @property
    def entry(self) -> Dict[str, Any]:
        return {"phase": self.phase, "slice": int(self.slice)}


def load_labels(path: str, classes: Sequence[str] = CLASSES) -> List[CTLabel]:
    """Read DATA/labels.json. Raises AnnotationError, which names the image or annotation id and the key."""
    images = coco_images(read_json(path, error=AnnotationError), classes, path)
    result: List[CTLabel] = []
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
        result.append(CTLabel(entry["id"], case, index, entry["width"], entry["height"], boxes, labels, phase))
    return result
