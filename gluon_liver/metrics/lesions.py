"""Lesions of a scan, drawn and detected: boxes of its slices joined in mm, and which detection finds which lesion."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import BoolArray, FloatArray, IntArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.geometry import Triple
from gluon_liver.structures.image_result import ImageResult
from gluon_liver.structures.lesions import (
    SliceBox,
    SliceLinks,
    class_and_score,
    in_plane_mm,
    join_drawn,
    slice_boxes,
    without_duplicates,
)

from .bootstrap import divide_or_nan
from .matching import UNMATCHED, match_by_overlap

Boxes = Sequence[SliceBox]
Stacks = Sequence[Boxes]  # each of one lesion


@dataclass(frozen=True, eq=False)
class Scan:
    """The scored slices of one study.

    patient: the unit of the bootstrap. spacing: (dz, dy, dx) mm. results: by slice, all slices that were scored.
    slices: how many the volume has. invented: those that are in no image of the scanner. case: its name.
    """

    patient: str
    spacing: Triple
    results: Mapping[int, ImageResult]
    slices: int
    invented: int = 0
    case: str = ""


def _volume_overlaps(found: Stacks, lesions: Stacks, spacing: Triple) -> FloatArray:
    """Intersection over union of stacks of boxes; all slices are equally thick."""
    (one, own), (other, others) = _flat(found), _flat(lesions)
    common = np.zeros((len(found), len(lesions)))
    np.add.at(common, (own[:, None], others[None, :]), _intersections(one, other))
    area, lesion_area = np.bincount(own, _areas(one)), np.bincount(others, _areas(other))
    return np.nan_to_num(divide_or_nan(common, area[:, None] + lesion_area[None, :] - common))


def _near_centre(found: Stacks, lesions: Stacks, spacing: Triple) -> FloatArray:
    """1 at the lesion's centre, 0.5 at its radius in the plane: what lies there is inside; 0 from its diameter on."""
    centres, wanted = (
        np.array([_centre(one, spacing) for one in stacks]).reshape(-1, 3) for stacks in (found, lesions)
    )
    radius = np.array([in_plane_mm(lesion, spacing) / 2 for lesion in lesions], np.float64)
    distance = np.linalg.norm(centres[:, None] - wanted[None, :], axis=-1)
    nearness: FloatArray = np.clip(1 - distance / radius / 2, 0, None)
    return nearness


def _best_slices(found: Stacks, lesions: Stacks, spacing: Triple) -> FloatArray:
    """The largest overlap of two boxes of one slice."""
    (one, own), (other, others) = _flat(found), _flat(lesions)
    overlap = np.where(one[:, None, 0] == other[None, :, 0], box_iou(one[:, 1:], other[:, 1:]), 0)
    best = np.zeros((len(found), len(lesions)))
    np.maximum.at(best, (own[:, None], others[None, :]), overlap)
    return best


def _flat(stacks: Stacks) -> Tuple[FloatArray, IntArray]:
    """Slice and corners of all boxes (n, 5), and which stack each is of (n,)."""
    rows = np.array([[box.slice, *box.box] for stack in stacks for box in stack], np.float64).reshape(-1, 5)
    return rows, np.repeat(np.arange(len(stacks)), [len(stack) for stack in stacks])


def _areas(rows: FloatArray) -> FloatArray:
    """Area (n,) of the boxes of :func:`_flat`."""
    areas: FloatArray = (rows[:, 3:] - rows[:, 1:3]).prod(axis=1)
    return areas


def _intersections(one: FloatArray, other: FloatArray) -> FloatArray:
    """Common area (n, m) of the boxes of :func:`_flat`, 0 where the slices differ."""
    sides = np.minimum(one[:, None, 3:], other[None, :, 3:]) - np.maximum(one[:, None, 1:3], other[None, :, 1:3])
    common: FloatArray = np.clip(sides, 0, None).prod(axis=-1) * (one[:, None, 0] == other[None, :, 0])
    return common


def _centre(boxes: Boxes, spacing: Triple) -> FloatArray:
    """(z, y, x) mm of the middle of the box around a stack."""
    edges = np.array([[box.slice, *box.box] for box in boxes], np.float64)
    low, high = edges.min(axis=0), edges.max(axis=0)
    centre: FloatArray = np.array([low[0] + high[0], low[2] + high[4], low[1] + high[3]]) / 2 * np.array(spacing)
    return centre


_Overlaps = Callable[[Stacks, Stacks, Triple], FloatArray]
# name: how much of a hit each pair is, (m, n), the threshold by default, and in words
CRITERIA: Dict[str, Tuple[_Overlaps, float, str]] = {
    "iou": (
        _volume_overlaps,
        0.1,
        "the stacks of boxes overlap by a 3D IoU of {:g} or more (0.1: nnDetection, PI-CAI)",
    ),
    "centre": (_near_centre, 0.5, "the centre of the detection lies within the lesion's radius of its centre (LUNA16)"),
    "slice": (_best_slices, 0.5, "in one slice or more the boxes overlap by IoU {:g} or more, as slices are scored"),
}


@dataclass(frozen=True)
class Hit:
    """When a detected lesion finds one that was drawn. name: of :data:`CRITERIA`. threshold: of its measure."""

    name: str = "iou"
    threshold: float = 0.1

    @classmethod
    def parse(cls, text: str) -> Hit:
        """``iou``, ``iou:0.3``, ``centre``, ``slice`` or ``slice:0.5``. Raises :class:`InputError`."""
        name, colon, number = text.partition(":")
        if name in CRITERIA and not (colon and name == "centre"):
            with suppress(ValueError):
                threshold = float(number) if colon else CRITERIA[name][1]
                if 0 < threshold <= 1:
                    return cls(name, threshold)
        wanted = "iou, iou:0.3, centre, slice or slice:0.5; a number is above 0 and at most 1"
        raise InputError(f"a hit of lesions cannot be {text!r}: it is {wanted}")

    def __str__(self) -> str:
        return self.name if self.name == "centre" else f"{self.name}:{self.threshold:g}"

    @property
    def words(self) -> str:
        """The criterion, after "found: "."""
        return CRITERIA[self.name][2].format(self.threshold)

    def overlaps(self, found: Stacks, lesions: Stacks, spacing: Triple) -> FloatArray:
        """(m, n) how much of a hit each pair is."""
        if not found or not lesions:
            return np.zeros((len(found), len(lesions)))
        return CRITERIA[self.name][0](found, lesions, spacing)


@dataclass(frozen=True, eq=False)
class ScanLesions:
    """The lesions drawn in a scan.

    boxes: of each. labels: (n,) their classes. size_mm: (n,) the longest side of their boxes.
    """

    boxes: List[List[SliceBox]]
    labels: IntArray
    size_mm: FloatArray


@dataclass(frozen=True, eq=False)
class Found:
    """What detections at one threshold say of a scan.

    hit: (n,) bool, which lesions are found and named rightly. located: (n,) bool, found whatever their names.
    false_positives: (classes,) int64, detected lesions of each class that find none of it.
    alarms: detected lesions. stray: those that lie on no lesion of any class.
    """

    hit: BoolArray
    located: BoolArray
    false_positives: IntArray
    alarms: int
    stray: int


def drawn_lesions(scan: Scan, classes: Sequence[str]) -> ScanLesions:
    """The ground truth of a scan: by the numbers of lesions where labels have them, else joined over its slices class
    by class.
    """
    boxes = [
        SliceBox(index, box, classes[label], 1.0, int(result.gt_lesions[row]) if len(result.gt_lesions) else 0)
        for index, result in scan.results.items()
        for row, (box, label) in enumerate(zip(result.gt_boxes, result.gt_labels))
    ]
    lesions = join_drawn(boxes, spacing=scan.spacing, seen=list(scan.results))
    labels = np.array([classes.index(lesion[0].class_name) for lesion in lesions], np.int64)
    sizes = np.array([in_plane_mm(lesion, scan.spacing) for lesion in lesions], np.float64)
    return ScanLesions(lesions, labels, sizes.round(2))  # 20 mm that a label file rounded to 19.9997 are 20 mm


@dataclass(eq=False)
class ScanScorer:
    """A scan's detections at any threshold; what the last one gave is kept, as most thresholds change few scans."""

    scan: Scan
    classes: Sequence[str]
    hit: Hit
    drawn: ScanLesions = field(init=False)
    scores: FloatArray = field(init=False)  # of its boxes, falling
    _links: SliceLinks = field(init=False)
    _kept_scores: FloatArray = field(init=False)
    _last: Tuple[int, Found] = field(init=False)

    def __post_init__(self) -> None:
        self.drawn = drawn_lesions(self.scan, self.classes)
        results = self.scan.results.items()
        boxes = [box for index, result in results for box in slice_boxes(index, result.detections, self.classes)]
        # best first; ties by place, so that the order of a file's rows decides nothing
        ranked = sorted(boxes, key=lambda box: (-box.score, box.slice, box.class_name, box.box.tolist()))
        self.scores = np.array([box.score for box in ranked], np.float64)
        ranked = without_duplicates(ranked)
        self._kept_scores = np.array([box.score for box in ranked], np.float64)
        self._links = SliceLinks(ranked, spacing=self.scan.spacing, seen=list(self.scan.results))
        self._last = 0, self._found(0)

    def at(self, threshold: float) -> Found:
        """What the detections at ``threshold`` and above find."""
        count = int(np.searchsorted(-self._kept_scores, -threshold, side="right"))
        if count != self._last[0]:
            self._last = count, self._found(count)
        return self._last[1]

    def _found(self, count: int) -> Found:
        """What the first ``count`` boxes find."""
        drawn, joined = self.drawn, self._links.joined(count)
        named = [class_and_score(lesion, self.classes) for lesion in joined]
        labels = np.array([self.classes.index(name) for name, _ in named], np.int64)
        scores = np.array([score for _, score in named], np.float64)
        overlap = self.hit.overlaps(joined, drawn.boxes, self.scan.spacing)
        hit = np.zeros(len(drawn.boxes), bool)
        false_positives = np.zeros(len(self.classes), np.int64)
        for label in range(len(self.classes)):
            rows, columns = np.flatnonzero(labels == label), np.flatnonzero(drawn.labels == label)
            matched = match_by_overlap(overlap[np.ix_(rows, columns)], scores[rows], self.hit.threshold)
            hit[columns[matched[matched != UNMATCHED]]] = True
            false_positives[label] = (matched == UNMATCHED).sum()
        anywhere = match_by_overlap(overlap, scores, self.hit.threshold)
        located = np.zeros(len(drawn.boxes), bool)
        located[anywhere[anywhere != UNMATCHED]] = True
        located |= hit
        return Found(hit, located, false_positives, len(joined), int((anywhere == UNMATCHED).sum()))
