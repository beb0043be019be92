"""What every import says of what it took and left out: for the screen, for import-report.json, and in private.

Report and screen carry numbers, rules and reasons only. Identifiers, descriptions, names and paths go to the private
folder.
"""

from __future__ import annotations

import abc
import csv
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple

import numpy as np

from gluon_liver.data.splits import SPLIT_NAMES, Splits
from gluon_liver.readers.dicom.series import Rejection
from gluon_liver.structures.shared_images import Twins, find_twins, twin_notes

MAX_LINES = 20
OTHER_PHASE = "labels belong to the reference phase, this one lies on "  # and which
MIXES = "If two are of one patient, the split mixes training and test data"
Table = Tuple[Sequence[str], Iterable[Sequence[Any]]]  # header and rows of a CSV file


class NotTaken:
    """Counts labels that were not taken, by reason."""

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.boxes: Counter[str] = Counter()

    def add(self, reason: str, *, images: int = 0, boxes: int = 0) -> None:
        self.images[reason] += images
        self.boxes[reason] += boxes

    def to_json(self) -> List[Dict[str, Any]]:
        return [
            {"reason": reason, "images": self.images[reason], "boxes": self.boxes[reason]}
            for reason in sorted(self.images)
        ]


@dataclass
class CaseResult(abc.ABC):
    """What became of a study or recording. stored: size and SHA-256 of its file of pixels."""

    case: str = ""
    patient: str = ""
    fingerprint: str = ""
    stored: Dict[str, Any] = field(default_factory=dict)
    phantom: bool = False

    @property
    @abc.abstractmethod
    def image_digests(self) -> Set[bytes]:
        """Of its images, those that differ from case to case."""


@dataclass
class ImportLog:
    """What an import left out, and what a reader of its report should know."""

    quarantined: List[Rejection] = field(default_factory=list)
    labels_not_taken: NotTaken = field(default_factory=NotTaken)
    notes: List[str] = field(default_factory=list)
    twins: List[Twins] = field(default_factory=list)

    def note_same_images(self, taken: Sequence[CaseResult], what: str, split_by: str) -> None:
        """Find and note the cases that share images. what: "slices" or "frames"."""
        self.twins = find_twins(
            {one.case: one.image_digests for one in taken}, {one.case: one.fingerprint for one in taken}
        )
        self.notes += twin_notes(self.twins, {one.case: one.patient for one in taken}, what, split_by)

    def note_phantoms(self, phantoms: Sequence[bool], what: str) -> None:
        """phantoms: of each study or recording that was taken, whether it shows one."""
        if any(phantoms):
            self.notes.append(
                f"{sum(phantoms)} of {len(phantoms)} {what} show a phantom: results say nothing about patients"
            )

    def refusal(self, first: str, rejected: Iterable[Rejection] = ()) -> str:
        """The error message where nothing was taken: ``first``, and why."""
        lines = summary_of("left out", map(vars, rejected), whole="")
        lines += summary_of("quarantined", map(vars, self.quarantined), whole="")
        return "\n".join([first, *lines, *(f"note: {note}" for note in self.notes)])


def fields_of(record: object, names: str) -> Dict[str, Any]:
    """Some fields of a record by name, as JSON has them."""
    return {name: getattr(record, name) for name in names.split()}


def label_counts(labels: Sequence[np.ndarray], classes: Sequence[str]) -> Dict[str, Any]:
    """For the report, from the labels (n,) of each image: counts of images, boxes, background, and boxes by class."""
    per_class = Counter(int(label) for image in labels for label in image)
    return {
        "images": len(labels),
        "boxes": sum(per_class.values()),
        "background": sum(not len(image) for image in labels),
        "boxes_by_class": {name: per_class[index] for index, name in enumerate(classes)},
    }


def plain_reason(reason: str) -> str:
    """The reason of a rejection without the count of images that may stand before it."""
    head, separator, tail = reason.partition(" image(s): ")
    return tail if separator and head.isdigit() else reason


def split_sizes(splits: Splits) -> Dict[str, int]:
    """How many patients, scenes or images each split has."""
    return {name: len(splits.of(name)) for name in SPLIT_NAMES}


def sizes_line(title: str, sizes: Mapping[str, int]) -> str:
    """One line for the screen of :func:`split_sizes`."""
    return f"{title}: " + ", ".join(f"{name} {count}" for name, count in sizes.items())


def not_taken_lines(report: Mapping[str, Any]) -> List[str]:
    """One line for the screen for each reason why labels were not taken; a single one for other phases, as labels on
    several phases are usual."""
    entries = report["labels"]["not_taken"]
    others = [one for one in entries if one["reason"].startswith(OTHER_PHASE)]
    lines = [
        f"  not taken: {one['images']} image(s), {one['boxes']} box(es): {one['reason']}"
        for one in entries
        if one not in others
    ]
    if others:
        images, boxes = (sum(one[what] for one in others) for what in ("images", "boxes"))
        phases = ", ".join(one["reason"][len(OTHER_PHASE) :] for one in others)
        where = f"on other phases ({phases}): {images} image(s), {boxes} box(es)"
        lines.insert(0, f"  labels are read on the reference phase; those {where} are not needed")
        if boxes and not sum(report["labels"]["boxes_by_class"].values()):
            lines.insert(
                1, "  warning: no box is on the reference phase: --reference PHASE, or --labels-on PHASE, takes these"
            )
    return lines


def summary_of(
    title: str, rejections: Iterable[Mapping[str, Any]], *, whole: str = "; see import-report.json"
) -> List[str]:
    """One line for each kind of plain rejection, one for each reason that is particular; of the report's entries.

    whole: where those beyond the first lines stand.
    """
    groups: Dict[Tuple[str, str], List[Mapping[str, Any]]] = {}
    for one in rejections:
        groups.setdefault((one["kind"], plain_reason(one["reason"])), []).append(one)
    lines = []
    for (kind, reason), members in groups.items():
        images = sum(one["images"] for one in members)
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        lines.append(f"{title}: {members[0]['where']}{more} ({images} image(s), {kind}): {reason}")
    if len(lines) > MAX_LINES:
        lines = lines[:MAX_LINES] + [f"{title}: {len(lines) - MAX_LINES} more reasons{whole}"]
    return lines


def write_private_files(folder: Path, texts: Mapping[str, str], tables: Mapping[str, Table]) -> None:
    """Texts and CSV files by name in a folder for its owner alone, which is made where it is not there."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    for name, text in texts.items():
        with private_file(folder / name) as stream:
            stream.write(text)
    for name, (header, rows) in tables.items():
        with private_file(folder / name, errors="surrogateescape", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])


def private_file(path: Path, **options: Any) -> IO[str]:
    """A new text file that its owner alone can read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", **options)
