"""A few slices of each series, upright and on one scale, with what aorta and liver probably measure on them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.errors import DicomError
from gluon_liver.readers.dicom.file_header import SliceHeader
from gluon_liver.readers.dicom.pixels import AIR_HU, DECODE_ERRORS, hounsfield, read_words
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.series import SeriesFiles
from gluon_liver.structures.arrays import Array, FloatArray

from .headers import spread
from .organs import Organs, aorta_of, find_organs

LEVEL_MM, MAX_AWAY_MM = 30.0, 6.0  # between the slices that are read, and how far from it one may lie
BELOW_MM = 60.0  # from the level that shows most liver to the second picture, which shows the kidneys
MAX_LEVELS, MIN_LEVELS, AT_ONCE = 24, 3, 40
SIDE, MAX_WIDTH_MM = 320, 1200.0  # of the grid: pixels at most, and mm where several series share it
MAX_BLUR = 15
SHOWN_HU = (-100, 300)
JPEG_QUALITY = 82
RING_BGR, CROSS_BGR = (235, 190, 70), (60, 210, 250)
MASKS, APART = "labels", ("labels", "projection")  # kinds of series without organs, and that help no other series


class Picture(NamedTuple):
    """A slice as JPEG, and its z in mm."""

    jpeg: bytes
    z: float


@dataclass
class Glance:
    """Of one series: pictures, and median HU over the slices that show the organ, None where none does.

    trouble: why there is no picture.
    """

    pictures: List[Picture] = field(default_factory=list)
    aorta: Optional[float] = None
    liver: Optional[float] = None
    soft_tissue: Optional[float] = None
    trouble: str = ""


class _Grid(NamedTuple):
    """Pixels of one size: (x, y) mm of the first one's centre, mm from pixel to pixel, (rows, columns)."""

    origin: Tuple[float, float]
    mm: float
    shape: Tuple[int, int]


NOTHING = Organs(None, None, None)


class _Level(NamedTuple):
    series: str
    z: float
    hu: FloatArray


def glance_at(series: Sequence[SeriesFiles]) -> Dict[str, Glance]:
    """Name of a series -> what can be seen of it.

    The slices of series that share a patient and a frame of reference are read at the same places and looked at
    together: their pictures can be compared, and what one of them shows clearly helps to find it in the others. A
    series that cannot be read gets its reason and hinders no other.
    """
    result: Dict[str, Glance] = {}
    groups: Dict[Tuple[str, str, str], List[SeriesFiles]] = {}
    for one in series:
        alone = "" if one.frame_of_reference and one.kind not in APART else one.name
        groups.setdefault((one.patient_id or one.study_uid, one.frame_of_reference, alone), []).append(one)
    for group in groups.values():
        for start in range(0, len(group), AT_ONCE):
            result.update(_glance_together(group[start : start + AT_ONCE]))
    return result


def _glance_together(group: Sequence[SeriesFiles]) -> Dict[str, Glance]:
    result = {one.name: Glance(trouble="" if one.slices else "no slice can be read") for one in group}
    readable = [one for one in group if one.slices]
    if not readable:
        return result
    grid = _common_grid([header for one in readable for header in spread(one.slices)])
    if len(readable) > 1 and grid.mm * SIDE > MAX_WIDTH_MM:  # one of them claims a place far off
        return {name: glance for one in group for name, glance in _glance_together([one]).items()}
    levels: List[_Level] = []
    for one in readable:
        try:
            with quiet_pydicom():
                chosen = list(_chosen(one.slices))
                stored = _stored(chosen)
                levels += [
                    _Level(one.name, header.position[2], _upright(hounsfield(words, header), header, grid))
                    for header, words in zip(chosen, stored)
                ]
        except DicomError as error:
            result[one.name].trouble = str(error)
        except (*DECODE_ERRORS, cv2.error) as error:
            result[one.name].trouble = f"its pixels cannot be read ({type(error).__name__})"
    if levels:
        places = [round(one.z / LEVEL_MM) for one in levels]
        masks = any(one.kind == MASKS for one in group)
        organs = [NOTHING] * len(levels) if masks else find_organs([one.hu for one in levels], places, grid.mm)
        best = _liver_level(levels, organs)
        for name, glance in result.items():
            own = [(level, found) for level, found in zip(levels, organs) if level.series == name]
            _summarize(glance, own, best)
    return result


def _summarize(glance: Glance, own: Sequence[Tuple[_Level, Organs]], best: Optional[float]) -> None:
    if not own or glance.trouble:
        return
    places = [level.z for level, _ in own]
    first = places[len(places) // 2] if best is None else best
    shown = {int(np.argmin([abs(z - wanted) for z in places])) for wanted in (first, first - BELOW_MM)}
    box = _box_of([own[index][0].hu for index in shown])
    glance.pictures = [
        Picture(_jpeg(own[index][0].hu, own[index][1], box), places[index]) for index in sorted(shown)[::-1]
    ]
    with_liver = [found for _, found in own if found.liver is not None]
    if with_liver:
        glance.liver = max(with_liver, key=lambda found: found.liver_area).liver
    glance.aorta = aorta_of([found for _, found in own])
    tissue = [found.soft_tissue for _, found in own if found.soft_tissue is not None]
    glance.soft_tissue = statistics.median(tissue) if tissue else None


def _liver_level(levels: Sequence[_Level], organs: Sequence[Organs]) -> Optional[float]:
    """The z at which the series together show most liver, None where none shows any."""
    areas: Dict[int, float] = {}
    for level, found in zip(levels, organs):
        areas[round(level.z / LEVEL_MM)] = areas.get(round(level.z / LEVEL_MM), 0.0) + found.liver_area
    best = max(areas, key=lambda place: areas[place])
    return best * LEVEL_MM if areas[best] > 0 else None


def _chosen(slices: Sequence[SliceHeader]) -> Iterator[SliceHeader]:
    """The slices nearest to multiples of LEVEL_MM, by rising z; of a short stack some more."""
    ordered = sorted(slices, key=lambda header: header.position[2])
    z = np.array([header.position[2] for header in ordered])
    away = np.abs(z - np.rint(z / LEVEL_MM) * LEVEL_MM)
    nearest: Dict[float, int] = {}
    for index in np.flatnonzero(away < MAX_AWAY_MM):
        level = float(np.rint(z[index] / LEVEL_MM))
        nearest[level] = min(nearest.get(level, index), int(index), key=lambda one: away[one])
    indices = set(nearest.values())
    if len(indices) < MIN_LEVELS:
        indices |= set(spread(range(len(ordered)), MIN_LEVELS + 2)[1:-1] or range(len(ordered)))
    yield from (ordered[index] for index in spread(sorted(indices), MAX_LEVELS))


def _common_grid(headers: Sequence[SliceHeader]) -> _Grid:
    """A grid over all of the slices, at most SIDE pixels a side and no finer than they are."""
    corners = np.concatenate([_corners(header) for header in headers])
    low, high = corners.min(axis=0), corners.max(axis=0)
    finest = min(min(header.pixel_spacing) for header in headers)
    mm = max(float((high - low).max()) / (SIDE - 1), finest)
    columns, rows = (int(np.floor(length / mm)) + 1 for length in high - low)
    return _Grid((float(low[0]), float(low[1])), mm, (rows, columns))


def _in_plane(header: SliceHeader) -> FloatArray:
    """(2, 2) mm in x and y that a step of one column (first column of the matrix) and of one row makes."""
    dy, dx = header.pixel_spacing
    steps = np.array([header.orientation[:2], header.orientation[3:5]]).T
    result: FloatArray = steps * np.array([dx, dy])
    return result


def _corners(header: SliceHeader) -> FloatArray:
    last_column, last_row = header.columns - 1, header.rows - 1
    places = np.array([(0, 0), (last_column, 0), (0, last_row), (last_column, last_row)])
    result: FloatArray = np.asarray(header.position[:2]) + places @ _in_plane(header).T
    return result


def _upright(stored_hu: Array, header: SliceHeader, grid: _Grid) -> FloatArray:
    """HU of a slice on the grid: columns to the patient's left and rows to the back, however it is stored."""
    hu: Array = stored_hu.astype(np.float32)
    coarser = [round(min(max(grid.mm / mm, 1), MAX_BLUR)) for mm in header.pixel_spacing[::-1]]
    hu = cv2.blur(hu, coarser)  # else noise that a coarser grid would average stays
    back = np.linalg.inv(_in_plane(header))  # mm -> columns and rows
    offset = back @ (np.asarray(grid.origin) - np.asarray(header.position[:2]))
    warp = np.hstack([back * grid.mm, offset[:, None]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = grid.shape[::-1]
    upright: Array = cv2.warpAffine(hu, warp, size, None, how, cv2.BORDER_CONSTANT, [AIR_HU])
    return upright


def _stored(slices: Sequence[SliceHeader]) -> Iterator[Array]:
    """Stored words of each slice; of a multi-frame file with native pixels the wanted frames alone are read."""
    file, words = 0, np.empty(0)
    for header in slices:
        frame = header.frame or 0
        if header.pixel_offset is not None:
            place = header.pixel_offset + frame * header.rows * header.columns * header.layout.bits_allocated // 8
            yield read_words(replace(header, pixel_offset=place, frames=1), f"file {header.file:04d}")[0]
            continue
        if header.file != file:
            file, words = header.file, read_words(header, f"file {header.file:04d}")
        yield words[frame]


def _box_of(pictures: Sequence[FloatArray]) -> Tuple[slice, slice]:
    """Rows and columns that hold the body in every one of the pictures; all of them where none is seen."""
    seen = np.any([one > -300 for one in pictures], axis=0)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _jpeg(hu: Array, found: Organs, box: Tuple[slice, slice]) -> bytes:
    """The part of a slice in ``box``, with a ring around what was taken for the aorta and a cross in the liver."""
    low, high = SHOWN_HU
    grey = np.clip((hu - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    picture: Array = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    if found.aorta_at is not None:
        x, y, radius = found.aorta_at
        cv2.circle(picture, (round(x), round(y)), round(radius) + 4, RING_BGR, 1, cv2.LINE_AA)
    if found.liver_mask is not None:
        inside: Array = cv2.distanceTransform(found.liver_mask.astype(np.uint8), cv2.DIST_L2, 3)
        row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
        cv2.drawMarker(picture, (int(column), int(row)), CROSS_BGR, cv2.MARKER_CROSS, 11, 1)
    return bytes(cv2.imencode(".jpg", picture[box], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])
