"""Lesions drawn as masks -> numbered 3D lesions and their boxes on the slices of the stored grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np
from scipy import ndimage

from gluon_liver.errors import AnnotationError
from gluon_liver.structures.arrays import Array, BoolArray, FloatArray, IntArray
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.label_volume import LabelVolume
from gluon_liver.structures.lesions import LesionSize

SAME_VOXELS = 0.05  # voxels by which corners of grids may differ that are one grid: headers are rounded
NEIGHBOURS = np.ones((3, 3, 3), bool)  # voxels that touch at a corner belong together
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class SliceLesions:
    """The lesions of one stored slice: boxes float32 (n, 4) xyxy in stored pixels, x2 and y2 exclusive; labels int32
    (n,) indices into the classes; lesions int32 (n,) numbers within the study, from 1.
    """

    boxes: Array
    labels: Array
    lesions: Array


@dataclass(frozen=True)
class MaskLesion:
    """One 3D lesion: value in the mask, index of its class, size in mm, stored slices (first, last), both included."""

    number: int
    value: int
    label: int
    size_mm: LesionSize
    slices: Tuple[int, int]


@dataclass(frozen=True, eq=False)
class MaskBoxes:
    """What masks say of a study.

    slices: the stored slices with lesions, rising. lesions: from the feet up, numbered from 1. too_small: what was
    dropped for its size, with number 0. covered: (nz,) whether the masks reach a stored slice; with no lesion there
    it is background, and unlabelled where they do not. repeated: boxes of lesions that another mask or value has, of
    the same class and with the same boxes: they count once.
    """

    slices: Dict[int, SliceLesions]
    lesions: Tuple[MaskLesion, ...]
    too_small: Tuple[MaskLesion, ...]
    covered: BoolArray
    repeated: int


REPEATED = "its lesion is there in another mask too, with the same class and boxes, and counts once"


@dataclass(frozen=True, eq=False)
class _Part:
    """A 3D component on the stored grid: place of its mask, value, and of its slices the boxes (4,) float64 edges."""

    mask: int
    value: int
    boxes: Dict[int, FloatArray]

    @property
    def order(self) -> Tuple[float, ...]:
        first = min(self.boxes)
        return (first, *self.boxes[first][[1, 0, 3, 2]].tolist(), max(self.boxes), self.value)

    def lesion(self, number: int, label: int, grid: Geometry) -> MaskLesion:
        dz, dy, dx = grid.spacing
        sides = np.array([box[2:] - box[:2] for box in self.boxes.values()]) * (dx, dy)
        first, last = min(self.boxes), max(self.boxes)
        size = LesionSize(float(sides.max()), (last - first + 1) * dz)
        return MaskLesion(number, self.value, label, size, (first, last))


@dataclass(frozen=True, eq=False)
class _Voxels:
    """The way from indices of a mask to those of the grid: stored zyx = turn @ mask zyx + offset."""

    turn: FloatArray
    offset: FloatArray

    @classmethod
    def between(cls, mask: Geometry, grid: Geometry) -> _Voxels:
        """Where both grids have the same voxels, in whatever order of axes, whole numbers exactly."""
        points = np.concatenate([np.zeros((1, 3)), np.eye(3)])
        there = grid.world_to_index(mask.index_to_world(points))
        turn, offset = (there[1:] - there[0]).T, there[0]
        whole = np.rint(turn), np.rint(offset)
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in mask.size])).reshape(3, -1).T
        off = corners @ (turn - whole[0]).T + offset - whole[1]
        turned_only = (np.abs(whole[0]).sum(axis=0) == 1).all() and (np.abs(whole[0]).sum(axis=1) == 1).all()
        return cls(*whole) if turned_only and np.abs(off).max() <= SAME_VOXELS else cls(turn, offset)

    @property
    def half(self) -> FloatArray:
        """(3,) half the extent of a voxel of the mask in stored voxels."""
        half: FloatArray = np.abs(self.turn).sum(axis=1) / 2
        return half

    def centres(self, zyx: Array) -> FloatArray:
        centres: FloatArray = zyx @ self.turn.T + self.offset
        return centres

    def slices(self, height: FloatArray) -> Tuple[IntArray, IntArray]:
        """(first, last) stored slices whose middle lies in voxels with centres at ``height``; none where last < first.

        A middle between two voxels belongs to the upper one.
        """
        half = self.half[0]
        first = np.ceil(height - half - ROUNDING).astype(np.int64)
        return first, np.ceil(height + half - ROUNDING).astype(np.int64) - 1


def mask_boxes(
    masks: Sequence[LabelVolume],
    classes: Mapping[int, int],
    grid: Geometry,
    *,
    ignored: Collection[int] = (),
    min_mm: float = 0.0,
) -> MaskBoxes:
    """The 3D lesions of masks and their boxes on the slices of ``grid``.

    A lesion is what hangs together, corners included, within one value of one mask; what touches it with another
    value is another lesion, unless it has the same class and the same boxes, as where a mask is there twice. It has
    one box on each slice whose middle its voxels reach: the bounds of these voxels, by world coordinates, exact where
    mask and grid have the same voxels in any order of axes; voxels that are turned by other angles count with their
    bounds. A lesion that lies wholly between two slices is shown on the nearest.

    masks: several where lesions overlap; a slice is covered that one of them reaches. classes: value -> index of the
    class. ignored: values that are no lesions. min_mm: lesions whose longest side in the plane is shorter are dropped.
    Raises :class:`AnnotationError` for a value that nothing is said of and for a lesion that leaves the grid by more
    than the voxel at its edge.
    """
    covered = np.zeros(grid.size[0], bool)
    parts: List[_Part] = []
    for place, mask in enumerate(masks):
        voxels = _Voxels.between(mask.geometry, grid)
        covered |= True if mask.sparse else _covered(mask.geometry, voxels, grid.size[0])
        boxes = _bounds_of_values(mask.labels)
        _refuse_unknown(boxes, mask.names, {*classes, *ignored})
        for value in sorted(boxes.keys() & classes.keys()):
            for zyx in _components(mask.labels, value, boxes[value]):
                parts.append(_Part(place, value, _slice_boxes(voxels, zyx, grid, value)))
    lesions: List[MaskLesion] = []
    small: List[MaskLesion] = []
    rows: Dict[int, List[Tuple[FloatArray, MaskLesion]]] = {}
    drawn: Dict[Tuple[object, ...], _Part] = {}
    repeated = 0
    for part in sorted(parts, key=lambda part: part.order):
        look = classes[part.value], *((z, *box.tolist()) for z, box in part.boxes.items())
        before = drawn.setdefault(look, part)
        if (before.mask, before.value) != (part.mask, part.value):
            repeated += len(part.boxes)
            continue
        lesion = part.lesion(len(lesions) + 1, classes[part.value], grid)
        if lesion.size_mm.in_plane < min_mm:
            small.append(part.lesion(0, lesion.label, grid))
            continue
        lesions.append(lesion)
        for z, box in part.boxes.items():
            rows.setdefault(z, []).append((box, lesion))
    return MaskBoxes(
        {z: _slice_lesions(rows[z]) for z in sorted(rows)}, tuple(lesions), tuple(small), covered, repeated
    )


def same_voxels(one: Geometry, other: Geometry) -> bool:
    """Whether two grids have the same voxels, whatever the order and direction of their axes."""
    voxels = _Voxels.between(one, other)
    ends = voxels.centres(np.array([(0, 0, 0), np.array(one.size) - 1]))
    full = np.array([(0, 0, 0), np.array(other.size) - 1])
    exact = (voxels.turn == np.rint(voxels.turn)).all() and (voxels.offset == np.rint(voxels.offset)).all()
    return bool(exact and (np.sort(ends, axis=0) == full).all())


def _slice_lesions(rows: Sequence[Tuple[FloatArray, MaskLesion]]) -> SliceLesions:
    boxes = np.array([box for box, _ in rows], np.float32)
    labels = np.array([lesion.label for _, lesion in rows], np.int32)
    return SliceLesions(boxes, labels, np.array([lesion.number for _, lesion in rows], np.int32))


def _bounds_of_values(labels: Array) -> Dict[int, Tuple[slice, ...]]:
    """Of each value but 0 the part of the volume that holds all of it; plane by plane, without copies of the whole."""
    low: Dict[int, IntArray] = {}
    high: Dict[int, IntArray] = {}
    for z, plane in enumerate(labels):
        for value in np.unique(plane[plane != 0]).tolist():
            rows, columns = np.nonzero(plane == value)
            first, last = (np.array([z, pick(rows), pick(columns)]) for pick in (np.min, np.max))
            low[value] = np.minimum(low.get(value, first), first)
            high[value] = np.maximum(high.get(value, last), last)
    return {value: tuple(map(slice, low[value].tolist(), (high[value] + 1).tolist())) for value in low}


def _components(labels: Array, value: int, bounds: Tuple[slice, ...]) -> Iterator[IntArray]:
    """The voxels (n, 3) zyx of each 3D component of a value."""
    numbers, count = ndimage.label(labels[bounds] == value, structure=NEIGHBOURS)
    start = np.array([one.start for one in bounds])
    for number, place in enumerate(ndimage.find_objects(numbers, count), 1):
        yield np.argwhere(numbers[place] == number) + start + [one.start for one in place]


def _slice_boxes(voxels: _Voxels, zyx: IntArray, grid: Geometry, value: int) -> Dict[int, FloatArray]:
    """Stored slice -> box (4,) of one component. Raises AnnotationError where it leaves the grid."""
    centres, half = voxels.centres(zyx), voxels.half
    size = np.array(grid.size)
    # an edge lies half a voxel from the centre, and edge coordinates half a voxel from indices
    low, high = centres.min(axis=0) - half + 0.5, centres.max(axis=0) + half + 0.5
    beyond = np.maximum(half, 0.5) + ROUNDING
    if (low < -beyond).any() or (high > size + beyond).any():
        raise AnnotationError(_outside(value, centres, grid))
    first, last = voxels.slices(centres[:, 0])
    if not ((first <= last) & (last >= 0) & (first < size[0])).any():
        first = last = np.clip(np.ceil(centres[:, 0] - 0.5 - ROUNDING).astype(np.int64), 0, size[0] - 1)
    boxes: Dict[int, FloatArray] = {}
    for z in range(max(int(first.min()), 0), min(int(last.max()), int(size[0]) - 1) + 1):
        here = centres[(first <= z) & (z <= last), 1:] + 0.5
        if len(here):
            (y1, x1), (y2, x2) = here.min(axis=0) - half[1:], here.max(axis=0) + half[1:]
            boxes[z] = np.clip([x1, y1, x2, y2], 0, size[[2, 1, 2, 1]])
    return boxes


def _covered(mask: Geometry, voxels: _Voxels, count: int) -> BoolArray:
    """(count,) the stored slices whose middle lies in the mask, as its planes or, where it is turned, its corners."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in mask.size])).reshape(3, -1).T
    heights = voxels.centres(corners)[:, 0]
    first, last = voxels.slices(np.array([heights.min(), heights.max()]))
    covered = np.zeros(count, bool)
    covered[max(int(first[0]), 0) : max(int(last[1]) + 1, 0)] = True
    return covered


def _refuse_unknown(found: Collection[int], names: Mapping[int, str], known: Collection[int]) -> None:
    """Raises AnnotationError where a mask holds values that are neither a class nor ignored."""
    unknown = [f"{value} ({names[value]!r})" if value in names else f"{value}" for value in sorted({*found} - {*known})]
    if unknown:
        of = ", ".join(map(str, sorted(known))) or "none"
        raise AnnotationError(f"the mask holds the values {', '.join(unknown)}, of which nothing is said (known: {of})")


def _outside(value: int, centres: FloatArray, grid: Geometry) -> str:
    last = np.array(grid.size) - 1
    ends = [grid.index_to_world(index) for index in (centres.min(axis=0), centres.max(axis=0), np.zeros(3), last)]
    a, b, c, d = (", ".join(f"{mm:.1f}" for mm in point) for point in ends)
    return (
        f"a lesion of value {value} lies outside the images: it reaches from ({a}) to ({b}) mm, they from ({c}) to "
        f"({d}) mm; the mask may be of another series, or its header of another patient position"
    )
