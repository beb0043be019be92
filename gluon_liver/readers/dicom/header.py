"""One DICOM file -> the headers of its CT slices, without decoding a pixel.

Everything that later steps need (geometry, rescale, padding, place of the pixel data) is taken in this one pass, so
that no file is parsed twice.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, Dict, Optional, Tuple

import pydicom

from gluon_liver.errors import (
    DicomError,
    GeometryError,
    MissingTagError,
    NoPlaceError,
    PixelDataError,
    TruncatedFileError,
    UnreadableFileError,
    why,
)

from . import rules
from .bounded import BoundedReader
from .charset import decoded_text
from .enhanced import functional_groups
from .file_header import FileHeader, SliceHeader
from .foreign_files import START, what_it_is
from .pixels import DEFLATED, PARSE_ERRORS, PixelPlace, check_inflated, locate_pixels
from .tags import bit_layout, check_cosines, image_size, is_phantom, numbers, padding_range, text
from .timing import slice_timing, text_of, whole_number, words

SERIES_INSTANCE_UID = 0x0020000E
PLACE = ("ImagePositionPatient", "ImageOrientationPatient")
SOP_INSTANCE_UID = 0x00080018  # the tag after the SOP class
NO_CLASS = "has no SOPClassUID, neither its own nor that of the file header: nothing says what kind of object it is"


class NotDicom(Exception):
    """The file is no DICOM file: left out, not a failure. kind: of the rejection."""

    def __init__(self, reason: str, kind: str = "not-dicom"):
        super().__init__(reason)
        self.kind = kind


def read_header(path: Path, number: int, name: str, *, rescaled: bool = True) -> FileHeader:
    """The header of a file; ``name`` ("file 0037 of 0243") stands for it in messages.

    rescaled: whether an image needs RescaleSlope and RescaleIntercept; without them a mask has 1 and 0.

    A CT image whose header is unusable comes back with ``defect`` set: it belongs to a series, which cannot be loaded
    without it. Raises :class:`NotDicom` for other files, :class:`UnreadableFileError` where the file system fails,
    :class:`TruncatedFileError` or :class:`DicomError` for a file too damaged to tell its series.
    """
    try:
        if not path.is_file():
            if path.is_symlink():
                raise NotDicom("a link that leads nowhere")
            raise NotDicom("not a regular file" if path.exists() else "it vanished during the import")
        with BoundedReader(path) as stream:
            return _read_open_file(stream, path, number, name, rescaled)
    except FileNotFoundError as error:
        raise NotDicom("it vanished during the import") from error
    except OSError as error:
        raise UnreadableFileError(f"{name} cannot be read: {why(error)}") from error


def _read_open_file(stream: BinaryIO, path: Path, number: int, name: str, rescaled: bool) -> FileHeader:
    size = os.fstat(stream.fileno()).st_size
    start = stream.read(START)
    has_preamble = start[128:132] == b"DICM"
    if not has_preamble and not _looks_like_dataset(start, size):
        raise NotDicom(*reversed(what_it_is(start)))
    stream.seek(0)
    try:
        if has_preamble:
            check_inflated(stream, name)
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=not has_preamble)
        sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
        header = _identify(dataset, path, number)
        modality = text(dataset, "Modality")
    except PARSE_ERRORS as error:
        if not has_preamble:
            raise NotDicom("not a DICOM file") from error
        raise TruncatedFileError(f"{name} is cut short or damaged: its header cannot be parsed") from error
    ends = stream.tell() >= size
    if not sop_class:
        if not has_preamble and (ends or not header.series_uid):
            raise NotDicom("not a DICOM file")
        if ends and max(dataset.keys(), default=0) < SOP_INSTANCE_UID:
            raise TruncatedFileError(f"{name} is cut short: it ends before it says what it is")
        if modality != "CT" or "Rows" not in dataset or not (header.series_uid and header.study_uid):
            raise MissingTagError(f"{name} {NO_CLASS}")
        # An intact CT image of this series, by everything else: leaving it out might take an end off the series.
        header.defect = MissingTagError(f"{name} {NO_CLASS}")
        header.position = _position(dataset)
        return header
    header.dropped = rules.drop_by_class(sop_class, modality)
    if header.dropped:
        header.dropped_images = 1
        return header
    if ends and max(dataset.keys(), default=0) <= SERIES_INSTANCE_UID:
        # The last value of a cut header may be cut itself, and half a SeriesInstanceUID names another series.
        raise TruncatedFileError(f"{name} is cut short: it ends before its series is known")
    if not (header.series_uid and header.study_uid):
        raise MissingTagError(f"{name} has no StudyInstanceUID or no SeriesInstanceUID")
    try:
        _fill_slices(header, dataset, stream, size, name, sop_class, rescaled)
    except (DicomError,) + PARSE_ERRORS as error:
        # A value is converted on access, so a damaged value shows here: the file's series is known by now.
        header.slices, header.defect = [], error if isinstance(error, DicomError) else unreadable(name, error)
        header.position = _position(dataset)
    return header


def _identify(dataset: Any, path: Path, number: int) -> FileHeader:
    """Whose a file is and which series it belongs to; no slice yet."""
    study, series = text(dataset, "StudyInstanceUID"), text(dataset, "SeriesInstanceUID")
    image, description = text(dataset, "SOPInstanceUID"), decoded_text(dataset, "SeriesDescription")
    header = FileHeader(number, path, text(dataset, "PatientID"), study, series, image, description, [])
    header.phantom, header.contrast = is_phantom(dataset), text_of(dataset, "ContrastBolusAgent")
    header.series_number = whole_number(dataset, "SeriesNumber")
    header.burned_in = text(dataset, "BurnedInAnnotation").upper() == "YES"
    header.birth_date, header.sex = text(dataset, "PatientBirthDate"), text(dataset, "PatientSex").upper()
    return header


def _position(dataset: Any) -> Optional[Tuple[float, ...]]:
    """Where an unusable file says that its slice lies, None where it does not."""
    try:
        return numbers(dataset, "ImagePositionPatient", 3, "")
    except (DicomError,) + PARSE_ERRORS:
        return None


def unreadable(name: str, error: Exception) -> DicomError:
    """The error for a header value that pydicom cannot convert."""
    return DicomError(f"{name}: a header value cannot be read ({type(error).__name__})")


def _looks_like_dataset(start: bytes, size: int) -> bool:
    """Whether a file without preamble starts with a plausible element of group 0002 or 0008."""
    if len(start) < 16 or size < 64:
        return False
    for order in ("<", ">"):
        group, element = struct.unpack(order + "HH", start[:4])
        if group in (0x0002, 0x0008) and element <= 0x0100:
            explicit = start[4:6].isalpha() and start[4:6].isupper()
            length = struct.unpack(order + ("H" if explicit else "I"), start[6:8] if explicit else start[4:8])[0]
            return length <= size
    return False


def _fill_slices(
    header: FileHeader, dataset: Any, stream: BinaryIO, size: int, name: str, sop_class: str, rescaled: bool
) -> None:
    image_type = words(dataset, "ImageType")
    unit = text(dataset, "RescaleType") if rescaled else ""
    header.kind, _ = rules.kind_of(image_type, header.description, unit)
    drop = rules.drop_by_image_type(image_type)
    if drop:
        header.dropped, header.dropped_images = drop, 1
        return
    if not header.sop_instance_uid:
        raise MissingTagError(f"{name} has no SOPInstanceUID")
    enhanced = sop_class in rules.ENHANCED_CLASSES
    common = _common_facts(header, dataset, stream, size, name, enhanced)
    groups = functional_groups(dataset, common["frames"], name) if enhanced else [(None, *[dataset] * 4, None, ())]
    for frame, plane, orient, measures, rescale, content, frame_type in groups:
        where = name if frame is None else f"{name}, frame {frame + 1}"
        orientation = numbers(orient, "ImageOrientationPatient", 6, where)
        unit = text(rescale, "RescaleType").upper() if rescaled else ""
        drop = rules.drop_by_image_type(frame_type) or rules.drop_by_orientation(orientation)
        drop = drop or rules.drop_by_rescale_type(unit)
        if drop:
            header.dropped = drop
            header.dropped_images += 1
            continue
        check_cosines(orientation, where)
        spacing = numbers(measures, "PixelSpacing", 2, where)
        if min(spacing) <= 0:
            raise GeometryError(f"{where}: PixelSpacing must be above 0")
        (slope,), (intercept,) = (
            numbers(rescale, keyword, 1, where) if rescaled or keyword in rescale else (default,)
            for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
        )
        if slope == 0:
            raise DicomError(f"{where}: RescaleSlope is 0")
        position = numbers(plane, "ImagePositionPatient", 3, where)
        common.update(frame=frame, position=position, orientation=orientation, pixel_spacing=spacing)
        own_type = tuple(str(word) for word in frame_type) or image_type
        kind, reason = rules.kind_of(own_type, header.description, unit)
        header.unit_unsaid |= unit not in ("", "HU", rules.MODIFIED_HU)
        common.update(image_type=own_type, kind=kind, kind_reason=reason, timing=slice_timing(dataset, content))
        header.slices.append(SliceHeader(slope=slope, intercept=intercept, **common))


def _common_facts(
    header: FileHeader, dataset: Any, stream: BinaryIO, size: int, name: str, enhanced: bool
) -> Dict[str, Any]:
    """What all slices of a file have in common, by the fields of :class:`SliceHeader`."""
    transfer_syntax = text(getattr(dataset, "file_meta", {}), "TransferSyntaxUID")
    tag_place = stream.tell()
    # A cut in the header leaves later tags out: say "cut short", not "tag missing".
    if transfer_syntax != DEFLATED and tag_place >= size:
        raise TruncatedFileError(f"{name} ends before its pixel data")
    lacking = [keyword for keyword in PLACE if not enhanced and dataset.get(keyword) in (None, "")]
    if lacking:
        raise NoPlaceError(f"{name} has no {' and no '.join(lacking)}")
    frames, rows, columns = image_size(dataset, name, multi_frame=enhanced)
    if not enhanced and frames != 1:
        raise PixelDataError(f"{name} is a CT image with {frames} frames; only Enhanced CT may have several")
    layout = bit_layout(dataset, name)
    expected = rows * columns * frames * layout.bits_allocated // 8
    place = PixelPlace(expected, layout.bits_allocated, min(rows, columns) * layout.bits_allocated // 8)
    offset, big_endian, header.surplus = locate_pixels(stream, size, name, transfer_syntax, place)
    common: Dict[str, Any] = dict(file=header.file, path=header.path, sop_instance_uid=header.sop_instance_uid)
    common.update(frames=frames, rows=rows, columns=columns, layout=layout, transfer_syntax=transfer_syntax)
    common.update(pixel_offset=offset, big_endian=big_endian, padding=padding_range(dataset, layout, name))
    common.update(frame_of_reference=text(dataset, "FrameOfReferenceUID"))
    common.update(series=header.series)
    return common
