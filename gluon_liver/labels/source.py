"""Label files as tools and pandas write them -> images with their boxes and classes: the one way in for every task."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

import numpy as np

from gluon_liver.data.coco import BORDER_TOLERANCE, CocoImage, coco_images
from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError
from gluon_liver.structures.class_names import class_key

from .boxes import as_box, box_around, turned
from .changes import TINY, UNCLEAR, Changes
from .class_map import IGNORE, LEAVE_OUT, Categories, Choice, choose_classes, load_class_map
from .image_map import apply_image_map, load_image_map
from .label_json import COCO_KEYS, read_label_json

PathLike = Union[str, Path]
CROWDS = ("refuse", "as-lesion")
CLIPPED = 1.0  # pixels that a box may be outside its image
MIN_SIDE = 1.0  # pixels that a box must have in both directions
SAME = 0.5  # pixels between the edges of two boxes that are one
_ROUNDING = 1e-6


@dataclass(frozen=True)
class LabelOptions:
    """How label files are read.

    classes: class map. map: mapping file. crowd: what a mask marked as a crowd is, of :data:`CROWDS`. allow_missing:
    go on without images that the imported folder does not have.
    """

    classes: Optional[PathLike] = None
    map: Optional[PathLike] = None
    crowd: str = "refuse"
    allow_missing: bool = False


AS_GIVEN = LabelOptions()


@dataclass
class LabelSource:
    """What label files hold. flags: keys beside the tables that are true or false. changes: what was mended."""

    images: List[CocoImage]
    classes: Tuple[str, ...]
    flags: Dict[str, bool] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)


def read_labels(
    paths: Sequence[str],
    usual: Sequence[str],
    *,
    columns: Sequence[str],
    flags: Sequence[str] = (),
    options: LabelOptions = AS_GIVEN,
    check: Callable[[CocoImage], None] = lambda image: None,
) -> LabelSource:
    """Read and check label files by themselves; AnnotationError names everything that is wrong with them.

    usual: the classes where the boxes are of no others. columns: what a mapping file may say of an image. flags: keys
    of a whole file that are true or false. check: raises AnnotationError for an image that lacks what the task needs.
    Image ids may repeat across files.
    """
    if options.crowd not in CROWDS:
        raise AnnotationError(f"--crowd is {options.crowd!r}; it is one of {', '.join(CROWDS)}")
    mapped = load_class_map(str(options.classes)) if options.classes else None
    image_map = load_image_map(str(options.map), columns) if options.map else {}
    faults, changes = Faults(), Changes()
    trees = [(path, read_label_json(path)) for path in paths]
    files = enumerate(trees, 1)
    tables = [
        _Tables(path, tree, changes, f" of label file {n}" if len(paths) > 1 else "") for n, (path, tree) in files
    ]
    choice = choose_classes([one.categories for one in tables], usual, mapped, faults)
    changes.notes += choice.notes
    if image_map:
        entries = [entry for one in tables for entry in one.entries("images")]
        named, changes.counts["unmapped"] = apply_image_map(entries, image_map)
        if not named:
            faults.add(f"{options.map}: no file_name in it is one of the label files")
    images: List[CocoImage] = []
    for one in tables:
        with faults.gathered():
            images += one.images(choice, options.crowd, faults)
    for image in images:
        with faults.gathered():
            check(image)
    values = {key: _flag(trees, key, faults) for key in flags}
    faults.raise_any()
    return LabelSource(images, choice.classes, values, changes)


def label_paths(paths: Union[PathLike, Sequence[PathLike]]) -> List[str]:
    """One path or several as texts. Raises AnnotationError for one that is given twice."""
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if len({Path(path).resolve() for path in several}) < len(several):
        raise AnnotationError("a label file is given twice")
    return [str(path) for path in several]


def _flag(trees: Sequence[Tuple[str, Mapping[str, Any]]], key: str, faults: Faults) -> bool:
    given = {path: tree.get(key, False) for path, tree in trees}
    for path, value in given.items():
        if not isinstance(value, bool):
            faults.add(f"{path}: key {key!r} must be true or false")
    if len(set(map(str, given.values()))) > 1:
        faults.add(f"the label files disagree on {key!r}: give it in all of them, or in none")
    return any(value is True for value in given.values())


class _Tables:
    """The tables of one file, with whole numbers as ids."""

    def __init__(self, path: str, tree: Mapping[str, Any], changes: Changes, name: str):
        self.path, self.changes, self.tree, self.name = path, changes, dict(tree), name
        maps = {key: self._number(key) for key in COCO_KEYS}
        for entry in self.entries("annotations"):
            for key, table in (("image_id", "images"), ("category_id", "categories")):
                if key in entry:
                    entry[key] = _reference(entry[key], maps[table])
        for entry in self.entries("images"):
            for key in ("width", "height"):
                size = _number(entry.get(key))
                if size is not None:
                    entry[key] = int(round(size))

    def entries(self, key: str) -> List[Dict[str, Any]]:
        """Those entries of a table that are objects."""
        table = self.tree.get(key)
        return [entry for entry in table if isinstance(entry, dict)] if isinstance(table, list) else []

    def _number(self, key: str) -> Dict[Any, int]:
        """Make the ids of a table whole numbers. Returns what became of each."""
        entries, numbers = self.entries(key), [whole_number(entry.get("id")) for entry in self.entries(key)]
        by_place = None in numbers
        if by_place:
            self.changes.counts["numbered"] += 1
        result: Dict[Any, int] = {}
        for place, (entry, number) in enumerate(zip(entries, numbers), 1):
            old, entry["id"] = entry.get("id"), place if by_place or number is None else number
            if by_place and old is not None and result.setdefault(_plain(old), entry["id"]) != entry["id"]:
                # named by nobody alone: told as an id that is there twice
                entry["id"] = result[_plain(old)]
        return result

    @property
    def categories(self) -> Categories:
        names = {
            entry["id"]: entry["name"] for entry in self.entries("categories") if isinstance(entry.get("name"), str)
        }
        used = names.keys() & {entry.get("category_id") for entry in self.entries("annotations")}
        return Categories(self.path, names, sorted(used))

    def images(self, choice: Choice, crowd: str, faults: Faults) -> List[CocoImage]:
        """The images, with boxes of the classes chosen; adds what is wrong with the file to ``faults``."""
        target: Dict[int, Optional[str]] = {}
        for entry in self.entries("categories"):
            if isinstance(entry.get("name"), str):
                target[entry["id"]] = choice.names.get(class_key(entry["name"].replace("\0", " ")))
                # what is no class was told where the classes were chosen
                entry["name"] = target[entry["id"]] or (choice.classes or (entry["name"],))[0]
        sizes = {entry["id"]: (entry.get("width"), entry.get("height")) for entry in self.entries("images")}
        left_out: Dict[int, str] = {}
        dropped: Dict[int, int] = {}
        kept: List[Any] = []
        for entry in self.tree.get("annotations", []) if isinstance(self.tree.get("annotations"), list) else []:
            reason = self._tidy(entry, target, sizes, crowd) if isinstance(entry, dict) else ""
            if not reason:
                kept.append(entry)
            elif reason == IGNORE:
                self.changes.counts["ignored"] += 1
            else:
                left_out.setdefault(entry.get("image_id"), reason)
                dropped[entry.get("image_id")] = dropped.get(entry.get("image_id"), 0) + 1
        tree = {**self.tree, "annotations": kept} if "annotations" in self.tree else self.tree
        images = coco_images(tree, choice.classes, self.path, faults=faults)
        for number in left_out.keys() - sizes.keys():
            faults.add(f"{self.path}: a box is of image {number}, which is not listed")
        for number, reason in left_out.items():
            self.changes.left_out.setdefault(reason, []).append(f"image {number}{self.name}")
        return [
            replace(
                self._joined(image),
                left_out=left_out.get(image.entry["id"], ""),
                dropped=dropped.get(image.entry["id"], 0),
            )
            for image in images
        ]

    def _tidy(
        self,
        entry: Dict[str, Any],
        target: Mapping[int, Optional[str]],
        sizes: Mapping[int, Tuple[Any, Any]],
        crowd: str,
    ) -> str:
        """Mend an annotation in place. Returns IGNORE, or why its image is left out, or an empty text."""
        counts, category = self.changes.counts, target.get(entry.get("category_id", -1))
        if category == IGNORE:
            return IGNORE
        if category == LEAVE_OUT or _true(entry.get("ignore")) and not _true(entry.get("iscrowd")):
            return UNCLEAR
        entry["iscrowd"] = int(_true(entry.get("iscrowd")))
        if entry["iscrowd"] and crowd == "as-lesion":
            entry["iscrowd"] = 0
            counts["crowd"] += 1
        width, height = sizes.get(entry.get("image_id", -1), (None, None))
        if not (type(width) is type(height) is int and width > 0 and height > 0):
            return ""
        box = as_box(entry.get("bbox"))
        around = None
        if box is None or not (box[2] or box[3]):
            around = box_around(entry.get("segmentation"), width, height)
            counts["from_segmentation"] += around is not None
        degrees = _rotation(entry)
        if around is None and box is not None and degrees:
            around = box_around(entry.get("segmentation"), width, height) or turned(box, degrees)
            counts["turned"] += 1
        box = around or box
        if box is None or box[2] < 0 or box[3] < 0:
            return ""
        corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
        inside = np.clip(corners, 0, [width, height] * 2)
        outside = float(np.abs(corners - inside).max())
        if outside > CLIPPED + _ROUNDING:
            entry["bbox"] = list(box)
            return ""
        x1, y1, x2, y2 = map(float, inside)
        if min(x2 - x1, y2 - y1) < MIN_SIDE - _ROUNDING:
            return TINY
        if outside > BORDER_TOLERANCE:
            counts["clipped"] += 1
        entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        return ""

    def _joined(self, image: CocoImage) -> CocoImage:
        """Without boxes that are there twice."""
        keep: List[int] = []
        for place, (box, label) in enumerate(zip(image.boxes, image.labels)):
            near = [other for other in keep if np.abs(image.boxes[other] - box).max() <= SAME]
            if any(image.labels[other] == label for other in near):
                self.changes.counts["joined"] += 1
                continue
            self.changes.counts["disagreeing"] += bool(near)
            keep.append(place)
        return replace(image, boxes=image.boxes[keep], labels=image.labels[keep])


def _number(value: Any) -> Optional[float]:
    """A number written as one or as text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**53:
        return None
    return value


def whole_number(value: Any) -> Optional[int]:
    """A whole number, written as one, as 12.0 or as text; None for what is none, such as 012, which may be a name."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([-+]?(0|[1-9]\d{,18}))(\.0*)?\s*", value)
        return int(found.group(1)) if found else None
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else repr(value)


def _reference(value: Any, renumbered: Mapping[Any, int]) -> int:
    """What names an entry, as its id is now; 0, which is the id of none that were renumbered, where it names none."""
    if renumbered:
        return renumbered.get(_plain(value), 0)
    whole = whole_number(value)
    return -1 if whole is None else whole


def _true(value: Any) -> bool:
    return bool(value) and str(value).strip().casefold() not in ("0", "0.0", "false", "no")


def _rotation(entry: Mapping[str, Any]) -> float:
    """Degrees by which a box is turned, as CVAT writes them."""
    attributes: Any = entry.get("attributes")
    found: Set[float] = set()
    for place in (attributes, entry):
        number = _number(place.get("rotation")) if isinstance(place, Mapping) else None
        if number is not None:
            found.add(number % 360)
    return max(found, default=0.0)
