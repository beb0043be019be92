"""COCO results of a file, checked so that whoever wrote it learns the true reason of what cannot be scored."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set

import numpy as np

from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build
from gluon_liver.structures.boxes import BEYOND, why_not_xywh
from gluon_liver.structures.detections import CocoDetection

_REFUSED = "holds no COCO results that can be scored"


@dataclass
class DetectionFile:
    """Rows of COCO results by image, and what was read in another way than it was written."""

    rows: Dict[int, List[CocoDetection]] = field(default_factory=lambda: defaultdict(list))
    notes: List[str] = field(default_factory=list)


def read_detections(path: Path, dataset: Dataset, labels: Sequence[Label]) -> DetectionFile:
    """COCO results of the images of ``labels``: a list of image_id, category_id, bbox (x, y, width, height), score.

    Whole numbers may be written as 1.0, and images named by the ``file_name`` of the data's labels.json. Raises
    :class:`InputError` that gives the reason of every kind of fault, for how many entries it holds, and the first one.
    """
    entries = read_json(path, remedy="give a file of COCO results")
    if not isinstance(entries, list):
        keys = f", not an object with {', '.join(map(repr, list(entries)[:4]))}" if isinstance(entries, dict) else ""
        raise InputError(f"{path} holds no COCO results: a list of them is wanted{keys}")
    reader = _Reader(path, dataset, labels)
    rows = [reader.row(place, entry) for place, entry in enumerate(entries)]
    reader.refuse(len(entries))
    read = [row for row in rows if row is not None]
    reader.check_categories(read)
    reader.check_images(read)
    reader.check_boxes(read)
    reader.rows, reader.repeated = len(read), len(read) - len(set(read))
    file = DetectionFile(notes=reader.notes())
    for row in read:
        file.rows[row.image_id].append(row)
    return file


class _Reader:
    def __init__(self, path: Path, dataset: Dataset, labels: Sequence[Label]):
        self.path = path
        self.classes: Sequence[str] = dataset.classes
        self.labels = {label.image_id: label for label in labels}
        self.split_of = {label.image_id: name for name in ("train", "val", "test") for label in dataset.labels_of(name)}
        self.ids = {_plain_name(label.name): label.image_id for label in dataset.labels}
        self.faults: Dict[str, List[str]] = defaultdict(list)  # kind -> entries
        self.by_name, self.whole, self.rows, self.repeated, self.beyond = 0, 0, 0, 0, ""

    def row(self, place: int, entry: Any) -> Optional[CocoDetection]:
        """One entry, or None with a fault written down."""
        if isinstance(entry, dict):
            entry = {**entry, **self._ids(entry)}
            before = sum(map(len, self.faults.values()))
            self._look_at(place, entry)
            if sum(map(len, self.faults.values())) > before:
                return None
        return build(CocoDetection, entry, where=f"{self.path} holds no COCO results: entry {place}")

    def _ids(self, entry: Dict[str, Any]) -> Dict[str, Any]:
        """The entry's ids as whole numbers, where there is no doubt which are meant."""
        changed: Dict[str, Any] = {}
        for key in ("image_id", "category_id"):
            if type(entry.get(key)) is float and entry[key].is_integer():
                changed[key] = int(entry[key])
                self.whole += 1
        name = entry.get("image_id", entry.get("file_name"))
        if isinstance(name, str) and _plain_name(name) in self.ids:
            changed["image_id"] = self.ids[_plain_name(name)]
            self.by_name += 1
        return changed

    def _look_at(self, place: int, entry: Dict[str, Any]) -> None:
        image, category, score, bbox = (entry.get(key) for key in ("image_id", "category_id", "score", "bbox"))
        if isinstance(image, str):
            hint = "write the number without quotes" if image.strip().isdigit() else "no image of labels.json bears it"
            self._fault("image_id is a text", place, f"{image[:80]!r}: {hint}")
        if isinstance(category, str):
            name = category.strip().lower()
            known = [one.lower() for one in self.classes]
            hint = f"the id of {name} is {known.index(name) + 1}" if name in known else f"wanted is {self._wanted}"
            hint = "write the number without quotes" if name.isdigit() else hint
            self._fault("category_id is a text", place, f"{category[:80]!r}: {hint}")
        elif isinstance(category, (float, bool)):
            self._fault("category_id is no whole number", place, f"{category}: wanted is {self._wanted}")
        self._look_at_score(place, score)
        if isinstance(bbox, list) and len(bbox) == 4 and all(type(one) in (int, float) for one in bbox):
            if not all(map(math.isfinite, bbox)):
                self._fault("bbox is not finite", place, f"{bbox}")
            elif min(bbox[2:]) < 0:
                self._fault("bbox has a width or height below 0", place, f"{bbox}: x, y, width, height are wanted")

    def _look_at_score(self, place: int, score: Any) -> None:
        if isinstance(score, str):
            self._fault("score is a text", place, f"{score[:80]!r}: a number from 0 to 1 is wanted")
        elif isinstance(score, bool):
            self._fault("score is no number", place, f"{score}")
        elif isinstance(score, (int, float)):
            if not math.isfinite(score):
                self._fault("score is not finite", place, f"{score}")
            elif score < 0:
                self._fault("score is below 0", place, f"{score}: probabilities from 0 to 1 are wanted, no logits")
            elif score > 1:
                hint = "in percent? divide by 100" if score <= 100 else "probabilities are wanted"
                self._fault("score is above 1", place, f"{score}: {hint}")

    @property
    def _wanted(self) -> str:
        return ", ".join(f"{number} {name}" for number, name in enumerate(self.classes, 1))

    def _fault(self, kind: str, place: int, text: str) -> None:
        self.faults[kind].append(f"entry {place}: {text}")

    def refuse(self, entries: int) -> None:
        """Raise InputError for the faults so far."""
        if not self.faults:
            return
        lines = [f"{kind} in {len(found)} of {entries} entries, {found[0]}" for kind, found in self.faults.items()]
        raise InputError(f"{self.path} {_REFUSED}: " + "; ".join(lines))

    def check_categories(self, rows: Sequence[CocoDetection]) -> None:
        """Refuse ids of no class, and say where they seem to be counted from 0."""
        given, count = {row.category_id for row in rows}, len(self.classes)
        odd = sorted(given - set(range(1, count + 1)))
        if not odd:
            return
        where = next(place for place, row in enumerate(rows) if row.category_id == odd[0])
        hint = f"wanted is {self._wanted}"
        if min(given) == 0 and max(given) < count:
            hint += "; these seem to be counted from 0: add 1 to each"
        elif min(given) == 2 and max(given) == count + 1:
            hint += "; these seem to have the background as 1: take 1 off each"
        shown = ", ".join(map(str, odd[:5]))
        raise InputError(f"{self.path} {_REFUSED}: entry {where}: no class has the category_id {shown}; {hint}")

    def check_images(self, rows: Sequence[CocoDetection]) -> None:
        """Refuse detections in images that are not scored, and say what they are."""
        given: Set[int] = {row.image_id for row in rows}
        odd = sorted(given - set(self.labels))
        if not odd:
            return
        of_split = self.split_of.get(odd[0])
        what = f"it is in the {of_split} split" if of_split else "no image of labels.json has this id"
        if odd[-1] < 0:
            what = "ids below 0 are what `detect` gives to slices without a label: leave them out"
        elif {one + 1 for one in given} <= set(self.labels):
            what += "; the ids seem to be counted from 0: with 1 added all of them are in the split"
        count = f"{len(odd)} of its {len(given)} images are not, " if len(odd) > 1 else ""
        raise InputError(f"{self.path} has detections in image {odd[0]}, which is not in the split: {count}{what}")

    def check_boxes(self, rows: Sequence[CocoDetection]) -> None:
        """Refuse boxes that are corners, or fractions of the image, by where they would lie as x, y, width, height."""
        if not rows:
            return
        boxes = np.array([row.bbox for row in rows], np.float64)
        sizes = np.array([(one.width, one.height) for one in (self.labels[row.image_id] for row in rows)], np.float64)
        why = why_not_xywh(boxes, sizes, [f"entry {place}" for place in range(len(rows))])
        if why:
            raise InputError(f"{self.path} {_REFUSED}: {why}")
        beyond = (boxes[:, :2] + boxes[:, 2:] > sizes + BEYOND).any(axis=1)
        if beyond.any():
            where = int(np.argmax(beyond))
            self.beyond = f"{int(beyond.sum())} of {len(rows)} boxes leave their image, the first in entry {where}"

    def notes(self) -> List[str]:
        """What was read in another way than it was written, and what looks odd."""
        notes = {
            "it holds no detection": not self.rows,
            f"entries that stand there more than once, and count as often: {self.repeated}": self.repeated,
            f"entries that name their image by its file name: {self.by_name}": self.by_name,
            f"ids written as decimal numbers (1.0), read as whole ones: {self.whole}": self.whole,
            f"{self.beyond}; they count as they are": self.beyond,
        }
        return [note for note, holds in notes.items() if holds]


def _plain_name(name: str) -> str:
    """A file name without ending, with one kind of slash: how images are found by name."""
    plain = name.strip().replace("\\", "/")
    while plain.startswith("./"):
        plain = plain[2:]
    folder, _, last = plain.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    last = stem if dot and stem and len(ending) <= 4 else last
    return f"{folder}/{last}" if folder else last
