"""COCO JSON: boxes and classes of images, read with errors that name the entry, and written."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Type, TypeVar, Union

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.typed import Rules, at_least, build, required

T = TypeVar("T")

# Boxes drawn in other software come back from float arithmetic: this much beyond the border is rounding.
BORDER_TOLERANCE = 1e-2


class CocoImage(NamedTuple):
    """An image's entry, its boxes (n, 4) xyxy float32 and its labels (n,) int32, indices into the classes."""

    entry: Dict[str, Any]
    boxes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Label(abc.ABC):
    """The labels of one image of a case; without boxes it is background. A task's own adds what it says of an image.

    case: the study or the recording. place: where the image lies in it, from 0. width, height: of the stored image.
    boxes: float32 (n, 4) corners (x1, y1, x2, y2) in pixels of the stored image, the origin at its top-left corner, x2
    and y2 exclusive. labels: int32 (n,) indices into the classes.
    """

    keys: ClassVar[Tuple[str, ...]]  # what the task alone says of the image in labels.json
    digits: ClassVar[int]  # of the place in the name of a picture's file

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
    def file_stem(self) -> str:
        """Case and place in the name of a picture's file."""
        return f"{self.case}-{self.place:0{self.digits}d}"

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The image's ``file_name`` in labels.json."""


@dataclass(frozen=True)
class _Coco:
    images: List[Dict[str, Any]]
    annotations: List[Dict[str, Any]]
    categories: List[Dict[str, Any]]


@dataclass(frozen=True)
class _Image:
    id: int
    width: int = required(at_least(1))
    height: int = required(at_least(1))


@dataclass(frozen=True)
class _Annotation:
    id: int
    image_id: int
    category_id: int
    bbox: Tuple[float, float, float, float]
    iscrowd: Any = 0

    def rules(self) -> Rules:
        yield "bbox", min(self.bbox[2:]) > 0, "x, y, width and height, the last two above 0"
        yield "iscrowd", not self.iscrowd, "0: crowd regions have no meaning here"


@dataclass(frozen=True)
class _Category:
    id: int
    name: str


def save_labels(labels: Iterable[Label], classes: Sequence[str], path: Union[str, Path]) -> None:
    """Write DATA/labels.json whole or not at all; category_id is the class index + 1."""
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for label in labels:
        entry = {"id": int(label.image_id), "file_name": label.name}
        size = {"width": int(label.width), "height": int(label.height)}
        images.append({**entry, **size, "study": label.case, **{key: getattr(label, key) for key in label.keys}})
        for box, category in zip(label.boxes, label.labels):
            x1, y1, x2, y2 = (round(float(edge), 4) for edge in box)
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            ids = {"id": len(annotations) + 1, "image_id": images[-1]["id"], "category_id": int(category) + 1}
            area = {"bbox": [x1, y1, width, height], "area": round(width * height, 4), "iscrowd": 0}
            annotations.append({**ids, **area})
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(classes)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories}, indent=None)


def class_key(name: str) -> str:
    """What two names of one class have in common, whatever their case and spaces."""
    return " ".join(name.split()).casefold()


def classes_of(coco: Any, usual: Sequence[str], path: str) -> Tuple[str, ...]:
    """The classes of the boxes in a COCO object: ``usual`` where they are among these, else their own by id."""
    whole = build(_Coco, coco, where=path, error=AnnotationError)
    categories = _by_id(_Category, whole.categories, f"{path}: category")
    used = {entry.get("category_id") for entry in whole.annotations}
    names = {
        class_key(categories[number].name): categories[number].name for number in sorted(categories) if number in used
    }
    if names.keys() <= {class_key(name) for name in usual}:
        return tuple(usual)
    return tuple(" ".join(name.split()) for name in names.values())


def coco_images(coco: Any, classes: Sequence[str], path: str) -> List[CocoImage]:
    """Check a COCO object and gather the boxes of each image; raises :class:`AnnotationError`.

    Checks ids, sizes, categories and boxes; what else an image must carry is the caller's business.
    """
    whole = build(_Coco, coco, where=path, error=AnnotationError)
    names, index_of = [class_key(name) for name in classes], {}
    used = {entry.get("category_id") for entry in whole.annotations}
    for number, category in _by_id(_Category, whole.categories, f"{path}: category").items():
        name = class_key(category.name)
        if name not in names and number in used:
            known = ", ".join(classes)
            raise AnnotationError(f"{path}: category {number}: name is {category.name!r}; the classes are {known}")
        index_of[number] = names.index(name) if name in names else -1
    images = _by_id(_Image, whole.images, f"{path}: image")
    boxes: Dict[int, List[np.ndarray]] = {number: [] for number in images}
    labels: Dict[int, List[int]] = {number: [] for number in images}
    for number, one in _by_id(_Annotation, whole.annotations, f"{path}: annotation").items():
        where = f"{path}: annotation {number}"
        if one.image_id not in images:
            raise AnnotationError(f"{where}: image_id names image {one.image_id}, which is not listed")
        if one.category_id not in index_of:
            raise AnnotationError(f"{where}: category_id is {one.category_id}; the categories are {sorted(index_of)}")
        boxes[one.image_id].append(_corners(one.bbox, images[one.image_id], where))
        labels[one.image_id].append(index_of[one.category_id])
    return [
        CocoImage(entry, np.array(boxes[number], np.float32).reshape(-1, 4), np.array(labels[number], np.int32))
        for number, entry in zip(images, whole.images)
    ]


def value_of(entry: Dict[str, Any], key: str, kinds: Tuple[type, ...], where: str) -> Any:
    """entry[key] of one of ``kinds``; AnnotationError names the entry and the key, not the value: it may be a name."""
    if type(entry.get(key)) not in kinds:
        wanted = " or ".join({int: "a whole number", str: "a text"}[kind] for kind in kinds)
        raise AnnotationError(f"{where}: {key} must be {wanted}" + ("" if key in entry else "; it is missing"))
    return entry[key]


def _by_id(kind: Type[T], entries: Sequence[Dict[str, Any]], what: str) -> Dict[int, T]:
    """Checked entries by their ids, in their order."""
    result: Dict[int, T] = {}
    for place, entry in enumerate(entries):
        where = f"{what} {entry.get('id', f'at place {place}, counted from 0')}"
        one = build(kind, entry, where=where, error=AnnotationError)
        if result.setdefault(entry["id"], one) is not one:
            raise AnnotationError(f"{where}: the id is used twice")
    return result


def _corners(bbox: Tuple[float, ...], image: _Image, where: str) -> np.ndarray:
    """xywh of an annotation -> (x1, y1, x2, y2) inside its image."""
    x, y, width, height = bbox
    corners = np.array([x, y, x + width, y + height])
    inside = np.clip(corners, 0, [image.width, image.height] * 2)
    if np.abs(corners - inside).max() > BORDER_TOLERANCE:
        size = f"{image.width}x{image.height}"
        raise AnnotationError(f"{where}: bbox {list(bbox)} leaves image {image.id} of {size} pixels")
    if (inside[2:] <= inside[:2]).any():
        raise AnnotationError(f"{where}: bbox {list(bbox)} has no area inside image {image.id}")
    return inside
