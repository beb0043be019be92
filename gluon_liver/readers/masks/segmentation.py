"""DICOM SEG: the segments of one file as masks, their planes put where their positions say.

The images that a frame refers to are not believed: in public sets they are those of other slices. Segments may overlap,
frames may be absent where a segment is empty, and stand in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import pydicom

from gluon_liver.errors import (
    DicomError,
    GeometryError,
    MissingTagError,
    OversizeError,
    PixelDataError,
    UnreadableFileError,
    why,
)
from gluon_liver.readers.dicom.bounded import BoundedReader
from gluon_liver.readers.dicom.charset import decoded_text
from gluon_liver.readers.dicom.pixels import (
    DECODE_ERRORS,
    PARSE_ERRORS,
    check_inflated,
    check_length,
    is_compressed,
    not_decoded,
    read_encoded,
)
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.tags import MAX_SLICES, MAX_VOXELS, check_cosines, count, image_size, numbers, text
from gluon_liver.structures.arrays import Array, BoolArray, FloatArray, IntArray
from gluon_liver.structures.geometry import Geometry, triple
from gluon_liver.structures.label_volume import LabelVolume

SEGMENTATION, LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
SEG_CLASSES = (SEGMENTATION, LABELMAP)
SHARE = 0.5  # of the largest value, from which on a voxel of a fractional segment counts
OFF_GRID = 0.1  # of the distance of two planes, by which a plane may lie beside its place
GAP = 1.5  # steps from one plane to the next, of which the shortest is 1
MAX_DRIFT_PIXELS = 0.5


@dataclass(frozen=True)
class _Planes:
    """Where frames lie: geometry of all of them, and the place of each along its z axis."""

    geometry: Geometry
    place: IntArray


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The header of a SEG. Its identifiers are patient data: to be compared, never shown.

    names: of each segment's number, what its author called it. codes: further names of it, by its coded type. series:
    the series that it says it was drawn on. images: those that its frames name, in no order that means anything.
    """

    path: Path
    where: str
    study_uid: str
    frame_of_reference: str
    series: Tuple[str, ...]
    names: Dict[int, str]
    codes: Dict[int, Tuple[str, ...]]
    fractional: bool
    images: Tuple[str, ...] = ()

    def read(self) -> List[LabelVolume]:
        """The segments, each voxel with its segment's number; several volumes where segments overlap.

        Raises a :class:`DicomError` for a file that is damaged, or whose planes make no regular grid.
        """
        with quiet_pydicom():
            dataset, data = read_encoded(self.path, self.where)
            try:
                return _volumes(dataset, data, self.names, self.where)
            except DicomError:
                raise
            except DECODE_ERRORS as error:  # sequences are parsed when they are asked for, with an OSError at their end
                raise DicomError(f"{self.where}: a value of it cannot be read ({type(error).__name__})") from error


def open_segmentation(path: Path, where: str) -> Optional[Segmentation]:
    """The header of a DICOM SEG, None for any other file. ``where`` stands for the file in messages.

    Raises a :class:`DicomError` for a SEG that is damaged or says not what its segments are.
    """
    try:
        with quiet_pydicom(), BoundedReader(path) as stream:
            check_inflated(stream, where)
            dataset = pydicom.dcmread(stream, stop_before_pixels=True)
            if text(dataset, "SOPClassUID") not in SEG_CLASSES:
                return None
            return _header(dataset, path, where)
    except pydicom.errors.InvalidDicomError:
        return None
    except OSError as error:
        raise UnreadableFileError(f"{where} cannot be read: {why(error)}") from error
    except PARSE_ERRORS as error:
        raise DicomError(f"{where} is cut short or damaged: its header cannot be parsed") from error


def _header(dataset: Any, path: Path, where: str) -> Segmentation:
    names: Dict[int, str] = {}
    codes: Dict[int, Tuple[str, ...]] = {}
    for segment in dataset.get("SegmentSequence") or ():
        number = int(segment.get("SegmentNumber", -1))
        if not 0 <= number <= 65535 or number in names:
            raise DicomError(f"{where}: its segments have no numbers of their own")
        types = [*(segment.get("SegmentedPropertyTypeCodeSequence") or ())]
        types += segment.get("SegmentedPropertyCategoryCodeSequence") or ()
        coded = [
            (text(one, "CodeMeaning"), f"{text(one, 'CodingSchemeDesignator')}:{text(one, 'CodeValue')}")
            for one in types
        ]
        codes[number] = tuple(name for pair in coded for name in pair if name.strip(":"))
        names[number] = decoded_text(segment, "SegmentLabel") or next(iter(codes[number]), f"segment {number}")
    if not names:
        raise MissingTagError(f"{where} has no SegmentSequence: nothing says what its segments are")
    series = [text(one, "SeriesInstanceUID") for one in dataset.get("ReferencedSeriesSequence") or ()]
    return Segmentation(
        path,
        where,
        text(dataset, "StudyInstanceUID"),
        text(dataset, "FrameOfReferenceUID"),
        tuple(series),
        names,
        codes,
        text(dataset, "SegmentationType").upper() == "FRACTIONAL",
        _images(dataset),
    )


def _images(dataset: Any) -> Tuple[str, ...]:
    """SOPInstanceUIDs that the frames name."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    derived = (one for frame in frames for one in frame.get("DerivationImageSequence") or ())
    sources = (one for derivation in derived for one in derivation.get("SourceImageSequence") or ())
    return tuple(dict.fromkeys(text(one, "ReferencedSOPInstanceUID") for one in sources))


def _volumes(dataset: Any, data: bytes, names: Dict[int, str], where: str) -> List[LabelVolume]:
    frames, rows, columns = image_size(dataset, where, multi_frame=True)
    per_frame = [*(dataset.get("PerFrameFunctionalGroupsSequence") or ())]
    shared = [*(dataset.get("SharedFunctionalGroupsSequence") or ())][:1]
    if len(per_frame) != frames:
        raise MissingTagError(f"{where} has {frames} frames and functional groups for {len(per_frame)} of them")
    planes = _find_planes([[own, *shared] for own in per_frame], (rows, columns), where)
    pixels = _frames(dataset, data, (frames, rows, columns), where)
    kind = np.uint8 if max(names) < 256 else np.uint16
    if text(dataset, "SOPClassUID") == LABELMAP or text(dataset, "SegmentationType").upper() == "LABELMAP":
        labels = np.zeros(planes.geometry.size, kind)
        for place, plane in zip(planes.place.tolist(), pixels):
            unknown = set(np.unique(plane).tolist()) - {0, *names}
            if unknown:
                raise DicomError(f"{where}: its voxels hold {min(unknown)}, which is no segment of it")
            labels[place] = plane
        return [LabelVolume(planes.geometry, labels, dict(names), sparse=True)]
    numbers_of = [_segment_of([own, *shared], f"{where}, frame {frame}") for frame, own in enumerate(per_frame, 1)]
    if not {*numbers_of} <= names.keys():
        raise DicomError(f"{where}: a frame is of a segment that its SegmentSequence does not list")
    threshold = 1
    if text(dataset, "SegmentationType").upper() == "FRACTIONAL":
        threshold = int(np.ceil(count(dataset, "MaximumFractionalValue", where) * SHARE))
    segments: Dict[int, Dict[int, Array]] = {}  # as bits, for all of them are in memory
    for number, place, plane in zip(numbers_of, planes.place.tolist(), pixels):
        at, bits = segments.setdefault(number, {}), np.packbits(plane >= threshold)
        at[place] = bits | at[place] if place in at else bits
    volumes: List[Array] = []
    for number in sorted(segments):
        marked: Dict[int, BoolArray] = {
            place: np.unpackbits(bits, count=rows * columns).reshape(rows, columns).astype(bool)
            for place, bits in segments[number].items()
        }
        free = (one for one in volumes if not any(one[place][plane].any() for place, plane in marked.items()))
        volume = next(free, None)
        if volume is None:
            volume = np.zeros(planes.geometry.size, kind)
            volumes.append(volume)
        for place, plane in marked.items():
            volume[place][plane] = number
    return [LabelVolume(planes.geometry, one, dict(names), sparse=True) for one in volumes]


def _frames(dataset: Any, data: bytes, shape: Tuple[int, int, int], where: str) -> Iterator[Array]:
    """The planes (rows, columns) of stored values, frame by frame, unpacked one at a time."""
    frames, rows, columns = shape
    bits, pixels = count(dataset, "BitsAllocated", where), rows * columns
    if bits not in (1, 8, 16):
        raise PixelDataError(f"{where}: its voxels have {bits} bits; a segmentation has 1, 8 or 16")
    syntax = text(dataset.file_meta, "TransferSyntaxUID")
    if is_compressed(syntax):
        try:
            decoded = np.asarray(dataset.pixel_array).reshape(shape)
        except DECODE_ERRORS as error:
            raise not_decoded(syntax, where) from error
        yield from decoded
        return
    check_length(len(data), (frames * pixels * bits + 7) // 8, where)
    words = np.frombuffer(data, np.uint8 if bits < 16 else _order_of(dataset))
    for frame in range(frames):
        if bits > 1:
            yield words[frame * pixels : (frame + 1) * pixels].reshape(rows, columns)
            continue
        first = frame * pixels
        packed = words[first // 8 : (first + pixels + 7) // 8]
        yield np.unpackbits(packed, bitorder="little")[first % 8 :][:pixels].reshape(rows, columns)


def _order_of(dataset: Any) -> str:
    """NumPy's type of 16-bit words of a file."""
    return "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2"


def _item(groups: List[Any], keyword: str) -> Optional[Any]:
    """The first item of a functional group, a frame's own before the shared one."""
    return next((item for group in groups for item in group.get(keyword) or ()), None)


def _segment_of(groups: List[Any], where: str) -> int:
    item = _item(groups, "SegmentIdentificationSequence")
    if item is None:
        raise MissingTagError(f"{where} has no SegmentIdentificationSequence: of which segment is it?")
    return count(item, "ReferencedSegmentNumber", where)


def _find_planes(frames: List[List[Any]], size: Tuple[int, int], where: str) -> _Planes:
    """The regular grid of the frames. Raises GeometryError where they make none."""
    looks = set()
    positions = []
    between = 0.0
    for number, groups in enumerate(frames, 1):
        here = f"{where}, frame {number}"
        items = [_item(groups, f"{name}Sequence") for name in ("PlanePosition", "PlaneOrientation", "PixelMeasures")]
        if None in items:
            raise MissingTagError(f"{here} does not say where its plane lies")
        position, orientation, measures = items
        positions.append(numbers(position, "ImagePositionPatient", 3, here))
        looks.add(
            (numbers(orientation, "ImageOrientationPatient", 6, here), numbers(measures, "PixelSpacing", 2, here))
        )
        declared = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") if measures else 0
        between = float(declared or 0)
    if len(looks) > 1:
        raise GeometryError(f"{where}: its frames differ in orientation or pixel spacing")
    orientation, pixel = looks.pop()
    check_cosines(orientation, where)
    if min(pixel) <= 0:
        raise GeometryError(f"{where}: PixelSpacing must be above 0")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    corners = np.array(positions)
    height = corners @ normal
    place, step = _places(height, between, where)
    lowest = int(height.argmin())
    drift = corners - corners[lowest]
    in_plane = np.stack([drift @ row / pixel[1], drift @ column / pixel[0]])
    if np.abs(in_plane).max() > MAX_DRIFT_PIXELS:
        raise GeometryError(f"{where}: its planes are shifted against each other (a tilted gantry?)")
    axes = np.stack([row, column, normal], axis=1) + 0.0
    x_row, y_row, z_row = (triple(line) for line in axes)
    spacing = triple((step, *pixel))
    if (place.max() + 1) * size[0] * size[1] > MAX_VOXELS:
        raise OversizeError(f"{where}: its planes would need more than {MAX_VOXELS} voxels")
    return _Planes(
        Geometry(triple(corners[lowest]), spacing, (x_row, y_row, z_row), (int(place.max()) + 1, *size)), place
    )


def _places(height: FloatArray, declared: float, where: str) -> Tuple[IntArray, float]:
    """(place (n,) of each plane, mm between places): of heights (n,) mm along the normal, with gaps of whole planes.

    declared: mm between planes as the file has it, which counts where it has one plane alone.
    """
    levels, level_of = np.unique((height - height.min()).round(3), return_inverse=True)
    if len(levels) == 1:
        if declared <= 0:
            raise GeometryError(f"{where} has one plane and does not say how thick it is")
        return np.zeros(len(height), np.int64), declared
    steps = np.diff(levels)
    usual = steps[steps < GAP * steps.min()].mean()
    place = np.concatenate([[0], np.cumsum(np.rint(steps / usual))])
    step = float(place @ levels / (place @ place))  # the line through all of them
    if np.abs(levels / step - place).max() > OFF_GRID:
        raise GeometryError(f"{where}: its planes are unevenly spaced")
    if place[-1] >= MAX_SLICES:
        raise OversizeError(f"{where}: its planes would need {int(place[-1]) + 1} slices; the bound is {MAX_SLICES}")
    return place.astype(np.int64)[level_of.reshape(-1)], step
