"""COCO JSON: boxes and classes of images, read with errors that name the entry, and written."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Tuple, Union

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.atomic import write_json

# Boxes drawn in other software come back from float arithmetic: this much beyond the border is rounding.
BORDER_TOLERANCE = 1e-2
# an image's entry, its boxes (n, 4) xyxy float32 and its labels (n,) int32, indices into the classes
CocoImage = Tuple[Dict[str, Any], np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Label(abc.ABC):
    """The labels of one image of a case; without boxes it is background. A task's own adds what it says of an image.

    case: the study or the recording. place: where the image lies in it, from 0. width, height: of the stored image.
    boxes: float32 (n, 4) corners (x1, y1, x2, y2) in pixels of the stored image, the origin at its top-left corner, x2
    and y2 exclusive. labels: int32 (n,) indices into the classes.
    """

    image_id: int
    case: str
    place: int
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """Case and place in words, as under a picture."""

    @property
    @abc.abstractmethod
    def file_stem(self) -> str:
        """Case and place in the name of a picture's file."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The image's ``file_name`` in labels.json."""

    @property
    @abc.abstractmethod
    def entry(self) -> Dict[str, Any]:
        """What the task alone says of the image in labels.json."""


def save_labels(labels: Iterable[Label], classes: Sequence[str], path: Union[str, Path]) -> None:
    """Write DATA/labels.json whole or not at all; category_id is the class index + 1."""
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for label in labels:
        entry = {"id": int(label.image_id), "file_name": label.name}
        size = {"width": int(label.width), "height": int(label.height)}
        images.append({**entry, **size, "study": label.case, **label.entry})
        for box, category in zip(label.boxes, label.labels):
            x1, y1, x2, y2 = (round(float(edge), 4) for edge in box)
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": images[-1]["id"],
                    "category_id": int(category) + 1,
                    "bbox": [x1, y1, width, height],
                    "area": round(width * height, 4),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(classes)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories}, indent=None)


def coco_images(coco: Any, classes: Sequence[str], path: str) -> List[CocoImage]:
    """Check a COCO object and gather the boxes of each image.

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
    if not (isinstance(bbox, list) and len(bbox) == 4 and all(_is_finite(value) for value in bbox)):
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
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
