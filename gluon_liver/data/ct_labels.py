"""Labels: boxes and classes per slice, COCO JSON on disk with study, phase and slice for each image."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.errors import AnnotationError

CLASSES = ("cyst", "hemangioma", "hcc")
# Boxes drawn in other software come back from float arithmetic: this much beyond the border is rounding.
BORDER_TOLERANCE = 1e-2


@dataclass(frozen=True)
class CTLabel:
    """The labels of one slice; without boxes it is background.

    boxes: (n, 4) float32 (x1, y1, x2, y2), pixels of the stored slice, origin at its top-left corner, x2 and
    y2 exclusive. labels: (n,) int32 indices into the classes.
    """

    image_id: int
    case: str
    phase: str
    slice: int
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray


@dataclass
class Annotations:
    """All labelled slices of a data set. A slice that is not listed is unlabelled."""

    classes: Tuple[str, ...] = CLASSES
    images: List[CTLabel] = field(default_factory=list)

    def of_case(self, case: str) -> Dict[int, CTLabel]:
        """slice -> its labels, for one case."""
        return {image.slice: image for image in self.images if image.case == case}


def read_json(path: str, what: str) -> Any:
    """The JSON value of a label file. Raises AnnotationError."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError as error:
        raise AnnotationError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise AnnotationError(f"the {what} {path} is nested too deeply to be read") from error
    except ValueError as error:
        raise AnnotationError(f"the {what} {path} is not JSON: {error}") from error


def load_annotations(path: str, *, classes: Sequence[str] = CLASSES) -> Annotations:
    """Read DATA/labels.json. Raises AnnotationError, which names the image or annotation id and the key."""
    coco = read_json(path, "label file")
    images = coco_images(coco, classes, path)
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
    """Write COCO JSON through a temporary sibling; category_id is the class index + 1."""
    images, boxes = [], []
    for image in annotations.images:
        images.append(
            {
                "id": int(image.image_id),
                "file_name": f"{image.case}/{image.phase}/{image.slice:04d}",
                "width": int(image.width),
                "height": int(image.height),
                "study": image.case,
                "phase": image.phase,
                "slice": int(image.slice),
            }
        )
        for box, label in zip(image.boxes, image.labels):
            x1, y1, x2, y2 = (round(float(edge), 4) for edge in box)
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": int(image.image_id),
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, width, height],
                    "area": round(width * height, 4),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(annotations.classes)]
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump({"images": images, "annotations": boxes, "categories": categories}, stream)
    os.replace(temporary, path)


def coco_images(coco: Any, classes: Sequence[str], path: str) -> List[Tuple[Dict[str, Any], np.ndarray, np.ndarray]]:
    """Check a COCO object and gather its boxes: (image entry, boxes (n, 4) xyxy float32, labels (n,) int32)
    each.

    Checks ids, sizes, categories and boxes; what else an image must carry is the caller's business.
    """
    if not isinstance(coco, dict):
        raise AnnotationError(f"{path} must hold an object with images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(coco.get(key), list) or not all(isinstance(entry, dict) for entry in coco[key]):
            raise AnnotationError(f"{path}: key {key!r} must be a list of objects")
    index_of = _category_index(coco["categories"], classes, path)
    entries: Dict[int, Dict[str, Any]] = {}
    for place, entry in enumerate(coco["images"]):
        image_id = required(entry, "id", int, f"{path}: entry {place} of images")
        where = f"{path}: image {image_id}"
        if image_id in entries:
            raise AnnotationError(f"{where}: the id is used twice")
        for key in ("width", "height"):
            if required(entry, key, int, where) < 1:
                raise AnnotationError(f"{where}: key {key!r} is {entry[key]}, it must be 1 or more")
        entries[image_id] = entry
    boxes: Dict[int, List[Tuple[float, ...]]] = {image_id: [] for image_id in entries}
    labels: Dict[int, List[int]] = {image_id: [] for image_id in entries}
    seen = set()
    for place, annotation in enumerate(coco["annotations"]):
        annotation_id = required(annotation, "id", int, f"{path}: entry {place} of annotations")
        where = f"{path}: annotation {annotation_id}"
        if annotation_id in seen:
            raise AnnotationError(f"{where}: the id is used twice")
        seen.add(annotation_id)
        image_id = required(annotation, "image_id", int, where)
        if image_id not in entries:
            raise AnnotationError(f"{where}: key 'image_id' names image {image_id}, which is not listed")
        category = required(annotation, "category_id", int, where)
        if category not in index_of:
            raise AnnotationError(f"{where}: key 'category_id' is {category}; the categories are {sorted(index_of)}")
        if annotation.get("iscrowd"):
            raise AnnotationError(f"{where}: key 'iscrowd' is set; crowd regions have no meaning here")
        boxes[image_id].append(_box(annotation, entries[image_id], where))
        labels[image_id].append(index_of[category])
    return [
        (
            entry,
            np.asarray(boxes[image_id], dtype=np.float32).reshape(-1, 4),
            np.asarray(labels[image_id], dtype=np.int32),
        )
        for image_id, entry in entries.items()
    ]


def required(entry: Dict[str, Any], key: str, kind: type, where: str) -> Any:
    """entry[key] of type `kind`; AnnotationError names the entry and the key."""
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        what = {int: "a whole number", str: "a text", list: "a list"}[kind]
        raise AnnotationError(f"{where}: key {key!r} must be {what}" + ("" if key in entry else "; it is absent"))
    return value


def _category_index(categories: List[Dict[str, Any]], classes: Sequence[str], path: str) -> Dict[int, int]:
    """category id -> class index, by name."""
    index_of: Dict[int, int] = {}
    names = [name.lower() for name in classes]
    for place, category in enumerate(categories):
        where = f"{path}: entry {place} of categories"
        category_id, name = required(category, "id", int, where), required(category, "name", str, where)
        if name.strip().lower() not in names:
            raise AnnotationError(f"{where}: key 'name' is {name!r}; the classes are {', '.join(classes)}")
        if category_id in index_of:
            raise AnnotationError(f"{where}: the id {category_id} is used twice")
        index_of[category_id] = names.index(name.strip().lower())
    return index_of


def _box(annotation: Dict[str, Any], entry: Dict[str, Any], where: str) -> Tuple[float, ...]:
    """xywh of a COCO annotation -> (x1, y1, x2, y2) inside its image."""
    bbox = annotation.get("bbox")
    is_numbers = isinstance(bbox, list) and len(bbox) == 4
    is_numbers = is_numbers and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in bbox)
    if not is_numbers or not all(_is_finite(v) for v in bbox):
        raise AnnotationError(f"{where}: key 'bbox' must be four finite numbers x, y, width, height")
    x, y, width, height = bbox
    if width <= 0 or height <= 0:
        raise AnnotationError(f"{where}: key 'bbox' has width {width} and height {height}; both must be above 0")
    limits = (entry["width"], entry["height"])
    edge = BORDER_TOLERANCE
    if x < -edge or y < -edge or x + width > limits[0] + edge or y + height > limits[1] + edge:
        raise AnnotationError(
            f"{where}: key 'bbox' {bbox} leaves image {entry['id']} of {limits[0]}x{limits[1]} pixels"
        )
    corners = (max(x, 0.0), max(y, 0.0), min(x + width, limits[0]), min(y + height, limits[1]))
    if corners[2] <= corners[0] or corners[3] <= corners[1]:
        raise AnnotationError(f"{where}: key 'bbox' {bbox} has no area inside image {entry['id']}")
    return corners


def _is_finite(value: Any) -> bool:
    """JSON allows whole numbers that no float holds."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
