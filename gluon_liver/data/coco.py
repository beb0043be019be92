"""COCO JSON: boxes and classes of images, read with errors that name the entry, and written."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Type, TypeVar, Union

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.typed import Rules, at_least, at_most, build, limited, required, within
from gluon_liver.structures.class_names import class_key

from .faults import Faults

T = TypeVar("T")
L = TypeVar("L", bound="Label")
NO_LESIONS = np.zeros(0, np.int32)  # numbers of boxes that have none

# Boxes drawn in other software come back from float arithmetic: this much beyond the border is rounding.
BORDER_TOLERANCE = 1e-2
SIDE = at_least(1) & at_most(65535)  # of an image, in pixels
CROWD = (
    "0: it marks a region of many objects, which is no box of a lesion; where a tool wrote it for every mask, as CVAT "
    "does, import with --crowd as-lesion"
)


@dataclass(frozen=True)
class CocoImage:
    """An image's entry, its boxes (n, 4) xyxy float32 and its labels (n,) int32, indices into the classes.

    where: file and image, for messages. left_out: why it is neither trained on nor scored, empty for what is.
    dropped: boxes of it that are not among the others for that reason. lesions: int32 (n,) numbers of their 3D lesions
    within the study, 0 where there is none; empty where no box has one.
    """

    entry: Dict[str, Any]
    boxes: np.ndarray
    labels: np.ndarray
    where: str
    left_out: str = ""
    dropped: int = 0
    lesions: np.ndarray = field(default_factory=NO_LESIONS.copy)

    @property
    def count(self) -> int:
        """All its boxes."""
        return len(self.boxes) + self.dropped


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

    def lesion_of(self, row: int) -> int:
        """Number from 1 of the 3D lesion, within the case, that a box is of; 0 where nothing tells it."""
        return 0

    def with_boxes(self: L, boxes: np.ndarray, labels: np.ndarray) -> L:
        """The same image with other boxes, of which nothing tells the lesions."""
        return replace(self, boxes=boxes, labels=labels)

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
    images: List[Any]
    annotations: List[Any]
    categories: List[Any]

    def with_keys(self, path: str, faults: Faults) -> _Coco:
        """Without what is no object; each is a fault."""
        for table, entries in vars(self).items():
            for place, entry in enumerate(entries):
                if not isinstance(entry, dict):
                    faults.add(f"{path}: {table}[{place}]: expected keys, found a {type(entry).__name__}")
        return _Coco(*([entry for entry in entries if isinstance(entry, dict)] for entries in vars(self).values()))


@dataclass(frozen=True)
class _Image:
    id: int
    width: int = required(SIDE)
    height: int = required(SIDE)


@dataclass(frozen=True)
class _Annotation:
    id: int
    image_id: int
    category_id: int
    bbox: Tuple[float, float, float, float]
    iscrowd: Any = 0
    lesion: Optional[int] = limited(None, within(1, np.iinfo(np.int32).max))

    def rules(self) -> Rules:
        yield "bbox", min(self.bbox[2:]) > 0, "x, y, width and height, the last two above 0"
        yield "iscrowd", not self.iscrowd, CROWD


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
        for row, (box, category) in enumerate(zip(label.boxes, label.labels)):
            x1, y1, x2, y2 = (round(float(edge), 4) for edge in box)
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            ids = {"id": len(annotations) + 1, "image_id": images[-1]["id"], "category_id": int(category) + 1}
            area = {"bbox": [x1, y1, width, height], "area": round(width * height, 4), "iscrowd": 0}
            lesion = label.lesion_of(row)
            annotations.append({**ids, **area, **({"lesion": lesion} if lesion else {})})
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(classes)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories}, indent=None)


def coco_images(coco: Any, classes: Sequence[str], path: str, *, faults: Optional[Faults] = None) -> List[CocoImage]:
    """Check a COCO object and gather the boxes of each image; AnnotationError names all that is wrong.

    Checks ids, sizes, categories and boxes; what else an image must carry is the caller's business. Categories without
    boxes may have any name. With ``faults`` what is wrong is added to these, and the images without it come back.
    """
    found = Faults() if faults is None else faults
    whole = build(_Coco, coco, where=path, error=AnnotationError, private=True).with_keys(path, found)
    keys = [class_key(name) for name in classes]
    index_of: Dict[int, int] = {}
    used = _whole_numbers(whole.annotations, "category_id")
    for number, category in _by_id(_Category, whole.categories, f"{path}: category", found).items():
        name = class_key(category.name)
        if name in keys:
            index_of[number] = keys.index(name)
        elif number in used:
            known = ", ".join(classes)
            found.add(f"{path}: category {number}: name is {category.name!r}; the classes are {known}")
    images = _by_id(_Image, whole.images, f"{path}: image", found)
    listed = {kind: _whole_numbers(entries, "id") for kind, entries in vars(whole).items()}
    boxes: Dict[int, List[np.ndarray]] = {number: [] for number in images}
    labels: Dict[int, List[int]] = {number: [] for number in images}
    lesions: Dict[int, List[int]] = {number: [] for number in images}
    for number, one in _by_id(_Annotation, whole.annotations, f"{path}: annotation", found).items():
        where = f"{path}: annotation {number}"
        if one.image_id not in listed["images"]:
            which = f"image {one.image_id}, which is not listed" if one.image_id >= 0 else "no image that is listed"
            found.add(f"{where}: image_id names {which}")
        if one.category_id not in listed["categories"]:
            given = one.category_id if one.category_id >= 0 else "none that is listed"
            found.add(f"{where}: category_id is {given}; the categories are {sorted(listed['categories'])}")
        # what an image or a category of its own fault has to do with it was said there
        if one.image_id in images and one.category_id in index_of:
            with found.gathered():
                boxes[one.image_id].append(_corners(one.bbox, images[one.image_id], where))
                labels[one.image_id].append(index_of[one.category_id])
                lesions[one.image_id].append(one.lesion or 0)
    if faults is None:
        found.raise_any()
    return [
        CocoImage(
            entry,
            np.array(boxes[number], np.float32).reshape(-1, 4),
            np.array(labels[number], np.int32),
            f"{path}: image {number}",
            lesions=np.array(lesions[number] if any(lesions[number]) else [], np.int32),
        )
        for entry in whole.images
        for number in [entry.get("id")]
        if type(number) is int and number in images
    ]


def value_of(entry: Dict[str, Any], key: str, kinds: Tuple[type, ...], where: str) -> Any:
    """entry[key] of one of ``kinds``; AnnotationError names the entry and the key, not the value: it may be a name."""
    if type(entry.get(key)) not in kinds:
        wanted = " or ".join({int: "a whole number", str: "a text"}[kind] for kind in kinds)
        raise AnnotationError(f"{where}: {key} must be {wanted}" + ("" if key in entry else "; it is missing"))
    return entry[key]


def _whole_numbers(entries: Iterable[Dict[str, Any]], key: str) -> Set[int]:
    return {entry[key] for entry in entries if type(entry.get(key)) is int}


def _by_id(kind: Type[T], entries: Sequence[Dict[str, Any]], what: str, faults: Faults) -> Dict[int, T]:
    """The entries that are as they should be, by their ids, in their order."""
    result: Dict[int, T] = {}
    for place, entry in enumerate(entries):
        where = f"{what} {entry.get('id', f'at place {place}, counted from 0')}"
        with faults.gathered():
            one = build(kind, entry, where=where, error=AnnotationError, private=True)
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
