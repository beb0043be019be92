"""Boxes of neighbouring slices joined into lesions with a size in mm: pure functions on arrays."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .arrays import Array, BoolArray, FloatArray
from .boxes import box_iou
from .detections import Detections
from .geometry import Geometry, Triple

LINK_IOU = 0.3  # overlap in the plane of boxes that show one thing in two slices
LINK_INSIDE = 0.7  # or share of the smaller box inside the other: where a round lesion ends, boxes shrink fast
GAP_MM = 5.0  # of slices without a box that a lesion may bridge
DUPLICATE_IOU = 0.5
NO_DUPLICATES = 2.0  # an IoU that no two boxes have: what was drawn was drawn on purpose


@dataclass(frozen=True, eq=False)
class SliceBox:
    """One box of one slice; box: (4,) float32 corners x1, y1, x2, y2 in stored-image pixels; score 0 to 1.

    lesion: number of the lesion within the study, 0 where nothing tells it.
    """

    slice: int
    box: FloatArray
    class_name: str
    score: float
    lesion: int = 0

    def to_json(self) -> Dict[str, Any]:
        """An entry under ``boxes`` of lesions.json, rounded."""
        edges = [round(float(edge), 2) for edge in self.box]
        return {"slice": self.slice, "box_xyxy_px": edges, "class": self.class_name, "score": round(self.score, 4)}


class LesionSize(NamedTuple):
    """mm: the longest side of all boxes, and the slices that the lesion spans times their spacing."""

    in_plane: float
    through_plane: float


@dataclass(frozen=True, eq=False)
class Lesion:
    """Boxes of neighbouring slices that show one thing.

    class_name: the class with the largest sum of scores over the slices.
    score: the largest score of that class, 0 to 1.
    size_mm: :class:`LesionSize`.
    centre_lps_mm: (x, y, z) in the patient's LPS frame, mm.
    first_slice, last_slice: both included, counted from 0 at the feet.
    boxes: one a slice at most, slices rising.
    """

    class_name: str
    score: float
    size_mm: LesionSize
    centre_lps_mm: Tuple[float, float, float]
    first_slice: int
    last_slice: int
    boxes: Tuple[SliceBox, ...]

    def to_json(self) -> Dict[str, Any]:
        """An entry of lesions.json: scores with four digits, mm and pixels with two."""
        return {
            "class": self.class_name,
            "score": round(self.score, 4),
            "size_mm": {name: round(size, 2) for name, size in self.size_mm._asdict().items()},
            "centre_lps_mm": [round(value, 2) for value in self.centre_lps_mm],
            "first_slice": self.first_slice,
            "last_slice": self.last_slice,
            "boxes": [box.to_json() for box in self.boxes],
        }


def find_lesions(
    detections: Sequence[Detections], *, geometry: Geometry, classes: Sequence[str], score_threshold: float
) -> List[Lesion]:
    """The lesions of a study from the detections of all its slices, the best score first.

    Detections below ``score_threshold`` are left out.
    """
    boxes = [box for index, one in enumerate(detections) for box in slice_boxes(index, one, classes, score_threshold)]
    joined = join_slices(boxes, spacing=geometry.spacing)
    lesions = [describe_lesion(lesion, geometry=geometry, classes=classes) for lesion in joined]
    # lesions whose scores read alike stay in the order of their slices
    return sorted(lesions, key=lambda lesion: -round(lesion.score, 4))


def slice_boxes(
    index: int, detections: Detections, classes: Sequence[str], score_threshold: float = 0.0
) -> List[SliceBox]:
    """The detections of slice ``index`` at ``score_threshold`` and above."""
    kept = detections.at_score(score_threshold)
    rows = zip(kept.boxes, kept.scores, kept.labels)
    return [SliceBox(index, box, classes[label], float(score)) for box, score, label in rows]


def join_slices(
    boxes: Sequence[SliceBox],
    *,
    spacing: Triple,
    duplicate_iou: float = DUPLICATE_IOU,
    seen: Optional[Sequence[int]] = None,
    one_class: bool = False,
) -> List[List[SliceBox]]:
    """Group boxes into lesions, slice by slice from the feet up.

    In each slice, of boxes that overlap by ``duplicate_iou`` or more the best is kept, whatever the classes. A box
    then joins the lesion whose latest box it overlaps most, by :data:`LINK_IOU` or more, or where :data:`LINK_INSIDE`
    of the smaller of the two lies in the other; each lesion takes one box a slice. Other boxes begin a lesion. Between
    two boxes of a lesion may lie

    - slices without a box: one, or as many as :data:`GAP_MM` hold, since a detector skips a slice of a thick series
      and several of a thin one;
    - slices that are not ``seen``, on which nobody says whether there is a box: as many as the smaller of the two boxes
      is long, since a lesion is about as high as it is wide.

    spacing: (dz, dy, dx) mm. seen: the slices that were looked at, in any order; all by default. one_class: boxes of
    two classes are two lesions, as in what was drawn by hand.
    """
    distinct = without_duplicates(boxes, iou=duplicate_iou)
    return SliceLinks(distinct, spacing=spacing, seen=seen, one_class=one_class).joined()


class SliceLinks:
    """Which boxes of a scan may continue which, by the rules of :func:`join_slices`: a matter of each pair alone, so
    that the best of them are joined at any threshold without a look at their places again.

    boxes: best first, as :func:`without_duplicates` gives them.
    """

    def __init__(
        self,
        boxes: Sequence[SliceBox],
        *,
        spacing: Triple,
        seen: Optional[Sequence[int]] = None,
        one_class: bool = False,
    ) -> None:
        self._boxes, self._spacing, self._one_class = boxes, spacing, one_class
        rows_of: Dict[int, List[int]] = {}
        for row, box in enumerate(boxes):
            rows_of.setdefault(box.slice, []).append(row)
        self._slices = [rows_of[index] for index in sorted(rows_of)]
        before = _looked_at_before(seen, max(rows_of, default=-1) + 1)
        # of each slice, by box: boxes of lower slices, and the overlaps; a long scan has several 100,000 links
        self._links: List[Tuple[array[int], array[int], array[float]]] = []
        for at, rows in enumerate(self._slices):
            links: List[Tuple[int, int, float]] = []
            for below in reversed(self._slices[:at]):
                index, other = boxes[rows[0]].slice, boxes[below[0]].slice
                empty = before[index] - before[other + 1]
                if empty * spacing[0] > max(GAP_MM, spacing[0]) + 1e-6:
                    break  # behind more of them lie all lower slices
                links.extend(self._linked(rows, below, unseen_mm=(index - other - 1 - empty) * spacing[0]))
            first, second, overlaps = zip(*sorted(links)) if links else ((), (), ())
            self._links.append((array("l", first), array("l", second), array("d", overlaps)))

    def _linked(self, rows: List[int], below: List[int], *, unseen_mm: float) -> Iterator[Tuple[int, int, float]]:
        """Which boxes of two slices may show one thing, and their overlap."""
        here, others = ([self._boxes[row] for row in some] for some in (rows, below))
        places = (np.array([box.box for box in some]) for some in (here, others))
        overlap, linked = linked_boxes(*places)
        for i, j in zip(*(axis.tolist() for axis in np.nonzero(linked))):
            sides = [in_plane_mm([box], self._spacing) for box in (here[i], others[j])] if unseen_mm > 0 else [0.0]
            if unseen_mm <= min(sides) and not (self._one_class and here[i].class_name != others[j].class_name):
                yield rows[i], below[j], float(overlap[i, j])

    def joined(self, count: Optional[int] = None) -> List[List[SliceBox]]:
        """The lesions of the first ``count`` boxes, all by default, by their first slice and rank in it."""
        most = len(self._boxes) if count is None else count
        lesions: List[List[int]] = []
        lesion_of = [0] * most
        for rows, (first, second, overlaps) in zip(self._slices, self._links):
            here, chosen = rows[: bisect_left(rows, most)], slice(bisect_left(first, most))
            # the pair that overlaps most first; of equal ones the better box, then the lesion that began first
            pairs = [
                (-overlap, row, lesion_of[below])
                for row, below, overlap in zip(first[chosen], second[chosen], overlaps[chosen])
                if below < most and lesions[lesion_of[below]][-1] == below
            ]
            free, grown = set(here), set()
            for _, row, lesion in sorted(pairs):
                if row in free and lesion not in grown:
                    lesions[lesion].append(row)
                    lesion_of[row] = lesion
                    free.discard(row)
                    grown.add(lesion)
            for row in sorted(free):
                lesion_of[row] = len(lesions)
                lesions.append([row])
        return [[self._boxes[row] for row in lesion] for lesion in lesions]


def join_drawn(boxes: Sequence[SliceBox], *, spacing: Triple, seen: Sequence[int]) -> List[List[SliceBox]]:
    """:func:`join_slices` of boxes that were drawn by hand on the slices ``seen``: each counts, class by class.

    Boxes with the number of a lesion are that lesion's, whatever lies between; of a slice it may have several.
    """
    numbered: Dict[int, List[SliceBox]] = {}
    for box in sorted(boxes, key=lambda box: box.slice):
        if box.lesion:
            numbered.setdefault(box.lesion, []).append(box)
    others = [box for box in boxes if not box.lesion]
    joined = join_slices(others, spacing=spacing, duplicate_iou=NO_DUPLICATES, seen=seen, one_class=True)
    return sorted([*numbered.values(), *joined], key=lambda lesion: lesion[0].slice) if numbered else joined


def _looked_at_before(seen: Optional[Sequence[int]], count: int) -> List[int]:
    """How many slices below each of 0 to ``count`` were looked at."""
    looked_at = np.zeros(count + 1, np.int64)
    inside = slice(None) if seen is None else [index + 1 for index in set(seen) if index < count]
    looked_at[inside] = 1
    looked_at[0] = 0
    return [int(count) for count in np.cumsum(looked_at)]


def describe_lesion(lesion: Sequence[SliceBox], *, geometry: Geometry, classes: Sequence[str]) -> Lesion:
    """Class, score, extent and place of boxes that :func:`join_slices` joined; ties go to the first of the classes."""
    name, score = class_and_score(lesion, classes)
    dz = geometry.spacing[0]
    low, high = lesion[0].slice, lesion[-1].slice
    middle = max(lesion, key=lambda b: float(np.prod(b.box[2:] - b.box[:2])))
    # an edge coordinate e lies half a pixel before voxel index e
    centre = [(low + high) / 2, middle.box[[1, 3]].mean() - 0.5, middle.box[[0, 2]].mean() - 0.5]
    x, y, z = geometry.index_to_world(np.array(centre)).tolist()
    size = LesionSize(in_plane_mm(lesion, geometry.spacing), (high - low + 1) * dz)
    return Lesion(name, score, size, (x, y, z), low, high, tuple(lesion))


def class_and_score(lesion: Sequence[SliceBox], classes: Sequence[str]) -> Tuple[str, float]:
    """The class with the largest sum of scores, the first of them where several have it, and its largest score."""
    there = {box.class_name for box in lesion}  # scores may be 0, so that a class that is not there would have as much
    name = max(filter(there.__contains__, classes), key=lambda key: sum(b.score for b in lesion if b.class_name == key))
    return name, max(box.score for box in lesion if box.class_name == name)


def in_plane_mm(lesion: Sequence[SliceBox], spacing: Triple) -> float:
    """The longest side of all boxes in mm, what a reader would measure as the diameter."""
    _, dy, dx = spacing
    return max(float(max((b.box[2] - b.box[0]) * dx, (b.box[3] - b.box[1]) * dy)) for b in lesion)


def without_duplicates(boxes: Sequence[SliceBox], *, iou: float = DUPLICATE_IOU) -> List[SliceBox]:
    """The boxes of a scan, best first, without those that a better one of their slice overlaps by ``iou`` or more.

    Whether a box is another's duplicate is for better boxes to say: it is so at every threshold.
    """
    ranked = sorted(boxes, key=lambda item: -item.score)
    if iou >= NO_DUPLICATES:
        return ranked
    rows_of: Dict[int, List[int]] = {}
    for row, box in enumerate(ranked):
        rows_of.setdefault(box.slice, []).append(row)
    kept = sorted(row for rows in rows_of.values() for row in _distinct(ranked, rows, iou))
    return [ranked[row] for row in kept]


def _distinct(boxes: Sequence[SliceBox], rows: List[int], iou: float) -> List[int]:
    """Of the rows of one slice, best first, those that no better one overlaps by ``iou`` or more."""
    places = np.array([boxes[row].box for row in rows])
    overlap = box_iou(places, places)
    kept: List[int] = []
    for at in range(len(rows)):
        if overlap[at, kept].max(initial=-1) < iou:
            kept.append(at)
    return [rows[at] for at in kept]


def linked_boxes(boxes: Array, others: Array) -> Tuple[FloatArray, BoolArray]:
    """IoU (n, m) of boxes (n, 4) of a slice with those (m, 4) of another, and which pairs may show one thing."""
    overlap = box_iou(boxes, others)
    one, other = (np.asarray(some, np.float64).reshape(-1, 4) for some in (boxes, others))
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (one, other)]
    common = overlap * (areas[0][:, None] + areas[1][None, :]) / (1 + overlap)
    inside = common >= LINK_INSIDE * np.minimum(areas[0][:, None], areas[1][None, :])
    return overlap, (overlap >= LINK_IOU) | (inside & (overlap > 0))
