"""COCO results of a file, checked so that whoever wrote it learns the true reason of what cannot be scored."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

import numpy as np

from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build
from gluon_liver.structures.boxes import BEYOND, why_not_xywh
from gluon_liver.structures.detections import CocoDetection

_REFUSED = "holds no COCO results that can be scored"
_ENDING = 5  # letters of an ending of a file's name, with the dot

Fault = Tuple[str, str]  # kind, and what an entry has


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
        inside = isinstance(entries, dict) and isinstance(entries.get("annotations"), list)
        hint = "; give what 'annotations' holds, with the category_ids of the data's labels.json" if inside else ""
        raise InputError(f"{path} holds no COCO results: a list of them is wanted{keys}{hint}")
    reader = _Reader(path, dataset, labels)
    rows = [reader.row(place, entry) for place, entry in enumerate(entries)]
    reader.refuse(len(entries))
    read = [row for row in rows if row is not None]
    reader.check_categories(read)
    reader.check_images(read)
    file = DetectionFile(notes=reader.notes(read, beyond=reader.check_boxes(read)))
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
        self.by_name, self.whole = 0, 0  # ids that were read so

    def row(self, place: int, entry: Any) -> Optional[CocoDetection]:
        """One entry, or None with a fault written down."""
        if isinstance(entry, dict):
            entry = {**entry, **self._ids(entry)}
            found = [*self._faults_of_ids(entry), *_faults_of_score(entry.get("score")), *_faults_of_box(entry)]
            for kind, text in found:
                self.faults[kind].append(f"entry {place}: {text}")
            if found:
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

    def _faults_of_ids(self, entry: Dict[str, Any]) -> Iterator[Fault]:
        image, category = entry.get("image_id"), entry.get("category_id")
        unquoted = "write the number without quotes"
        if isinstance(image, str):
            hint = unquoted if image.strip().isdigit() else "no image of labels.json bears it"
            yield "image_id is a text", f"{image[:80]!r}: {hint}"
        if isinstance(category, str):
            name = category.strip().lower()
            known = [one.lower() for one in self.classes]
            hint = f"the id of {name} is {known.index(name) + 1}" if name in known else f"wanted is {self._wanted}"
            yield "category_id is a text", f"{category[:80]!r}: {unquoted if name.isdigit() else hint}"
        elif isinstance(category, (float, bool)):
            yield "category_id is no whole number", f"{category}: wanted is {self._wanted}"

    @property
    def _wanted(self) -> str:
        return ", ".join(f"{number} {name}" for number, name in enumerate(self.classes, 1))

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
        elif of_split:
            what += "; leave out what is not to be scored"
        count = f"{len(odd)} of its {len(given)} images are not, " if len(odd) > 1 else ""
        raise InputError(f"{self.path} has detections in image {odd[0]}, which is not in the split: {count}{what}")

    def check_boxes(self, rows: Sequence[CocoDetection]) -> str:
        """Refuse boxes that are corners, or fractions of the image, by where they would lie as x, y, width, height.

        Returns how many leave their image otherwise, "" where none does.
        """
        if not rows:
            return ""
        boxes = np.array([row.bbox for row in rows], np.float64)
        sizes = np.array([(one.width, one.height) for one in (self.labels[row.image_id] for row in rows)], np.float64)
        why = why_not_xywh(boxes, sizes, [f"entry {place}" for place in range(len(rows))])
        if why:
            raise InputError(f"{self.path} {_REFUSED}: {why}")
        beyond = (boxes[:, :2] + boxes[:, 2:] > sizes + BEYOND).any(axis=1)
        leave = (
            f"{int(beyond.sum())} of {len(rows)} boxes leave their image, the first in entry {int(np.argmax(beyond))}"
        )
        return leave if beyond.any() else ""

    def notes(self, rows: Sequence[CocoDetection], beyond: str) -> List[str]:
        """What was read in another way than it was written, and what looks odd."""
        repeated = len(rows) - len(set(rows))
        notes = {
            "it holds no detection": not rows,
            f"entries that stand there more than once, and count as often: {repeated}": repeated,
            f"entries that name their image by its file name: {self.by_name}": self.by_name,
            f"ids written as decimal numbers (1.0), read as whole ones: {self.whole}": self.whole,
            f"{beyond}; they count as they are": beyond,
        }
        return [note for note, holds in notes.items() if holds]


def _faults_of_score(score: Any) -> Iterator[Fault]:
    if isinstance(score, str):
        yield "score is a text", f"{score[:80]!r}: a number from 0 to 1 is wanted"
    elif isinstance(score, bool):
        yield "score is no number", f"{score}"
    elif isinstance(score, (int, float)):
        if not _is_finite(score):
            yield "score is not finite", f"{score}"[:80]
        elif score < 0:
            yield "score is below 0", f"{score}: probabilities from 0 to 1 are wanted, no logits"
        elif score > 1:
            hint = "in percent? divide by 100" if score <= 100 else "probabilities are wanted"
            yield "score is above 1", f"{score}: {hint}"


def _faults_of_box(entry: Dict[str, Any]) -> Iterator[Fault]:
    bbox = entry.get("bbox")
    if isinstance(bbox, list) and len(bbox) == 4 and all(type(one) in (int, float) for one in bbox):
        if not all(map(_is_finite, bbox)):
            yield "bbox is not finite", f"{bbox}"[:80]
        elif min(bbox[2:]) < 0:
            yield "bbox has a width or height below 0", f"{bbox}: x, y, width, height are wanted"


def _is_finite(value: Union[int, float]) -> bool:
    """False too of a whole number that is too large for a float."""
    return abs(value) <= sys.float_info.max


def _plain_name(name: str) -> str:
    """A file name without ending, with one kind of slash: how images are found by name."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    return str(path.with_suffix("") if 0 < len(path.suffix) <= _ENDING else path)
