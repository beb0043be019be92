"""The tables of one label file -> its images with boxes, what tools wrote otherwise mended and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from gluon_liver.data.coco import BORDER_TOLERANCE, SIDE, CocoImage, coco_images
from gluon_liver.data.faults import Faults
from gluon_liver.structures.boxes import why_not_xywh
from gluon_liver.structures.class_names import class_key

from .boxes import XYWH, as_box, box_around, turned
from .changes import TINY, UNCLEAR, Changes
from .class_map import IGNORE, LEAVE_OUT, Categories, Choice
from .label_json import COCO_KEYS
from .values import id_key, is_true, number, reference, whole_number

CLIPPED = 1.0  # pixels that a box may be outside its image
MIN_SIDE = 1.0  # pixels that a box must have in both directions
SAME = 0.5  # pixels between the edges of two boxes that are one
_ROUNDING = 1e-6
_SAYS = {"category_id", "bbox", "segmentation"}  # a row without any is an image's without a box, as joins write it


class Tables:
    """The tables of one file, with whole numbers as ids. name: " of label file 2" where there are several."""

    def __init__(self, path: str, tree: Mapping[str, Any], changes: Changes, name: str):
        self.path, self.changes, self.tree, self.name = path, changes, dict(tree), name
        renumbered = {key: self._number_ids(key) for key in COCO_KEYS}
        if isinstance(self.tree.get("annotations"), list):
            says = [one for one in self.tree["annotations"] if not isinstance(one, dict) or one.keys() & _SAYS]
            changes.counts["empty"] += len(self.tree["annotations"]) - len(says)
            self.tree["annotations"] = says
        for key, table, name_key in (("image_id", "images", "file_name"), ("category_id", "categories", "name")):
            names = self._by_name(table, name_key)
            for entry in self.entries("annotations"):
                if key in entry:
                    entry[key] = reference(entry[key], renumbered[table], names)
        for entry in self.entries("images"):
            for key in ("width", "height"):
                size = number(entry.get(key))
                if size is not None:
                    entry[key] = int(round(size))

    def entries(self, key: str) -> List[Dict[str, Any]]:
        """Those entries of a table that are objects."""
        table = self.tree.get(key)
        return [entry for entry in table if isinstance(entry, dict)] if isinstance(table, list) else []

    def _number_ids(self, key: str) -> Dict[Any, int]:
        """Make the ids of a table whole numbers. Returns what became of each, nothing where they are such."""
        entries = self.entries(key)
        numbers = [whole_number(entry.get("id")) for entry in entries]
        if None not in numbers:
            for entry, whole in zip(entries, numbers):
                entry["id"] = whole
            return {}
        self.changes.counts["numbered"] += 1
        result: Dict[Any, int] = {}
        for place, entry in enumerate(entries, 1):
            old = entry.get("id")
            # one that is there twice keeps the number of the first: it is told as such
            entry["id"] = place if old is None else result.setdefault(id_key(old), place)
        return result

    def _by_name(self, table: str, key: str) -> Dict[str, int]:
        """Names of a table's entries -> ids, of those that one entry alone has."""
        names = [(entry[key], entry["id"]) for entry in self.entries(table) if isinstance(entry.get(key), str)]
        count = Counter(name for name, _ in names)
        return {name: number for name, number in names if count[name] == 1}

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
        why = self._why_not_xywh(sizes)
        if why:
            faults.add(f"{self.path}: {why}")
        left_out: Dict[int, str] = {}
        dropped: Counter[int] = Counter()
        if isinstance(self.tree.get("annotations"), list):
            kept: List[Any] = []
            for entry in self.tree["annotations"]:
                reason = self._tidy(entry, target, sizes, crowd) if isinstance(entry, dict) else ""
                if not reason:
                    kept.append(entry)
                elif reason == IGNORE:
                    self.changes.counts["ignored"] += 1
                else:
                    left_out.setdefault(entry.get("image_id"), reason)
                    dropped[entry.get("image_id")] += 1
            self.tree["annotations"] = kept
        images = coco_images(self.tree, choice.classes, self.path, faults=faults)
        for image_id, reason in left_out.items():
            if image_id not in sizes:
                faults.add(f"{self.path}: a box is of image {image_id}, which is not listed")
            self.changes.left_out.setdefault(reason, []).append(f"image {image_id}{self.name}")
        return [
            replace(self._joined(image), left_out=left_out.get(image_id, ""), dropped=dropped[image_id])
            for image, image_id in ((image, image.entry["id"]) for image in images)
        ]

    def _why_not_xywh(self, sizes: Mapping[int, Tuple[Any, Any]]) -> str:
        boxes: List[Tuple[XYWH, Tuple[Any, Any], str]] = []
        for entry in self.entries("annotations"):
            box, size = as_box(entry.get("bbox")), sizes.get(entry.get("image_id", -1), (None, None))
            if box is not None and all(type(side) is int and SIDE.holds(side) for side in size):
                boxes.append((box, size, f"annotation {entry['id']}"))
        given, of_images, names = zip(*boxes) if boxes else ((), (), ())
        return why_not_xywh(np.array(given), np.array(of_images), names)

    def _tidy(
        self,
        entry: Dict[str, Any],
        target: Mapping[int, Optional[str]],
        sizes: Mapping[int, Tuple[Any, Any]],
        crowd: str,
    ) -> str:
        """Mend an annotation in place. Returns IGNORE, or why its image is left out, or an empty text."""
        category = target.get(entry.get("category_id", -1))
        if category == IGNORE:
            return IGNORE
        if category == LEAVE_OUT or is_true(entry.get("ignore")) and not is_true(entry.get("iscrowd")):
            return UNCLEAR
        if entry.get("lesion") is not None:
            entry["lesion"] = whole_number(entry["lesion"])
            if entry["lesion"] is None or entry["lesion"] < 1:
                entry["lesion"] = None
                self.changes.counts["unnumbered"] += 1
        entry["iscrowd"] = int(is_true(entry.get("iscrowd")))
        if entry["iscrowd"] and crowd == "as-lesion":
            entry["iscrowd"] = 0
            self.changes.counts["crowd"] += 1
        width, height = sizes.get(entry.get("image_id", -1), (None, None))
        if not (type(width) is type(height) is int and SIDE.holds(width) and SIDE.holds(height)):
            return ""
        counts = self.changes.counts
        box, is_turned = _box_of(entry, width, height, counts)
        if box is None or box[2] < 0 or box[3] < 0:
            return ""
        corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
        inside = np.clip(corners, 0, [width, height] * 2)
        outside = float(np.abs(corners - inside).max())
        # a turned box reaches less far than the upright one around it; about its centre both agree
        centre_inside = abs(corners[0] + corners[2] - width) < width and abs(corners[1] + corners[3] - height) < height
        is_cut = outside > CLIPPED + _ROUNDING
        if is_cut and not (is_turned and centre_inside):
            entry["bbox"] = list(box)
            return ""
        x1, y1, x2, y2 = map(float, inside)
        if min(x2 - x1, y2 - y1) < MIN_SIDE - _ROUNDING:
            return TINY
        counts["cut" if is_cut else "clipped"] += outside > BORDER_TOLERANCE
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
        lesions = image.lesions[keep] if len(image.lesions) else image.lesions
        return replace(image, boxes=image.boxes[keep], labels=image.labels[keep], lesions=lesions)


def _box_of(entry: Mapping[str, Any], width: int, height: int, counts: Counter[str]) -> Tuple[Optional[XYWH], bool]:
    """The upright box of an annotation, where it has none that of its polygon or mask (None for neither); whether the
    box was turned.
    """
    box = as_box(entry.get("bbox"))
    if box is None or not (box[2] or box[3]):
        around = box_around(entry.get("segmentation"), width, height)
        if around is not None:
            counts["from_segmentation"] += 1
            return around, False
    degrees = _rotation(entry)
    if box is None or not degrees:
        return box, False
    counts["turned"] += 1
    return box_around(entry.get("segmentation"), width, height) or turned(box, degrees), True


def _rotation(entry: Mapping[str, Any]) -> float:
    """Degrees by which a box is turned, as CVAT writes them."""
    found = [number(place.get("rotation")) for place in (entry.get("attributes"), entry) if isinstance(place, Mapping)]
    return max((degrees % 360 for degrees in found if degrees is not None), default=0.0)
