"""DICOM ultrasound, one frame or many: colour to RGB, and the region of the tissue picture.

Text burned in around the picture often names the patient, so the region is cropped before anything else sees a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import pydicom

from gluon_liver.errors import DicomError, MissingTagError, PixelDataError, TruncatedFileError
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import Box, FrameSource, plausible_rate

from . import pixels
from .bounded import BoundedReader
from .codestream import check_pictures
from .header import unreadable
from .quiet import quiet_pydicom
from .tags import count, image_size, is_phantom, text

# PS3.4 B.5: Ultrasound Image and Multi-frame Image Storage, and their retired forms
US_CLASSES = tuple("1.2.840.10008.5.1.4.1.1." + number for number in ("6.1", "3.1", "6", "3"))
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SAMPLES = {"MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3}
PADDED = "the file holds more bytes than its frames take: padding, not read"
FORMAT_2D, DATA_TISSUE = 1, 1  # PS3.3 C.8.5.5.1.1 and C.8.5.5.1.2


def open_dicom(path: Path, name: str) -> FrameSource:
    """A DICOM ultrasound file.

    Raises :class:`DicomError` when it is cut short, oversize, no ultrasound, or of a pixel layout that is not read.
    """
    with quiet_pydicom():  # of values too, which are converted when they are asked for
        header, (offset, _, surplus) = _read_header(path, name)
        try:
            regions = tissue_regions(header, name)
            region = tissue_region(header, name)
            rows, columns = int(header.Rows), int(header.Columns)
            identity, rate = text(header, "SOPInstanceUID"), frame_rate(header)
            patient, phantom, burned_in = text(header, "PatientID"), is_phantom(header), has_burned_in_text(header)
        except pixels.PARSE_ERRORS as error:
            raise unreadable(name, error) from error
    if not identity:
        raise MissingTagError(f"{name} has no SOPInstanceUID")

    def whole_frames() -> Iterator[Array]:
        native = offset is not None or text(header.file_meta, "TransferSyntaxUID") == pixels.DEFLATED
        samples = _native(path, header, offset, name) if native else _compressed(path, header, name)
        while True:
            try:
                with quiet_pydicom():  # not held across the yield: it changes filters of the whole process
                    frame = next(samples, None)
                    picture = None if frame is None else to_rgb(*frame, header, name)
            except pixels.PARSE_ERRORS as error:  # of a value that is converted when it is asked for
                raise unreadable(name, error) from error
            if picture is None:
                return
            yield picture

    source = FrameSource("dicom", rows, columns, region or (0, 0, columns, rows), whole_frames, identity)
    source.own_region, source.frames_per_second = region is not None, rate
    source.patient_id, source.phantom, source.regions = patient, phantom, regions
    source.burned_in = burned_in
    if surplus:
        source.notes.append(PADDED)
    return source


def has_burned_in_text(header: Any) -> bool:
    """Whether the file says that text is burned into its pixels, or is a capture of a screen and does not deny it."""
    said = text(header, "BurnedInAnnotation").upper()
    return said == "YES" or text(header, "SOPClassUID").startswith(SECONDARY_CAPTURE) and said != "NO"


def frame_rate(header: Any) -> Optional[float]:
    """Frames a second by FrameTime (milliseconds) or else CineRate (PS3.3 C.7.6.5); None where none is plausible."""
    time = float(header.get("FrameTime") or 0)
    return (plausible_rate(1000 / time) if time > 0 else None) or plausible_rate(float(header.get("CineRate") or 0))


def tissue_region(header: Any, name: str) -> Optional[Box]:
    """(x1, y1, x2, y2) of the largest of :func:`tissue_regions`, None where the file lists no region."""
    boxes = tissue_regions(header, name)
    return max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1])) if boxes else None


def tissue_regions(header: Any, name: str) -> List[Box]:
    """(x1, y1, x2, y2) of the regions with 2D format and tissue data; nothing where the file lists no region.

    The tags give the first and last pixel, both inside. Raises :class:`DicomError` where regions are listed but none
    shows tissue in 2D, and where the largest one does not lie in the frame; smaller ones that do not are left out.
    """
    regions = header.get("SequenceOfUltrasoundRegions")
    if not regions:
        return []
    boxes: List[Box] = []
    for item in regions:
        if (item.get("RegionSpatialFormat"), item.get("RegionDataType")) == (FORMAT_2D, DATA_TISSUE):
            edges = [item.get("RegionLocation" + edge) for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
            if not all(isinstance(edge, int) for edge in edges):
                raise MissingTagError(f"{name}: a tissue region lacks one of its four RegionLocation values")
            boxes.append((edges[0], edges[1], edges[2] + 1, edges[3] + 1))
    if not boxes:
        raise DicomError(f"{name} lists {len(regions)} region(s) and none is 2D tissue: it shows no B-mode picture")
    best = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    inside = [box for box in boxes if 0 <= box[0] < box[2] <= header.Columns and 0 <= box[1] < box[3] <= header.Rows]
    if best not in inside:
        raise DicomError(f"{name}: its tissue region {best} does not lie in its {header.Columns}x{header.Rows} pixels")
    return inside


def to_rgb(stored: Array, photometric: str, header: Any, name: str) -> Array:
    """Stored samples uint8 (rows, columns, samples) -> RGB uint8 (rows, columns, 3).

    YBR_ICT and YBR_RCT are undone by every JPEG 2000 decoder, so their samples are RGB already.
    """
    if photometric == "MONOCHROME2":
        return np.repeat(stored, 3, axis=2)
    if photometric == "PALETTE COLOR":
        return _apply_palette(stored[..., 0], header, name)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        return ybr_to_rgb(stored)
    return stored


def ybr_to_rgb(ybr: Array) -> Array:
    """YBR_FULL uint8 (..., 3) -> RGB, by the inverse of PS3.3 C.7.6.3.1.2 (ITU-R BT.601, full range)."""
    y, blue, red = (ybr[..., channel].astype(np.float32) for channel in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _read_header(path: Path, name: str) -> Tuple[Any, Tuple[Optional[int], bool, int]]:
    """The checked header, and where native pixels are, as :func:`pixels.locate_pixels` says."""
    size = path.stat().st_size
    try:
        with BoundedReader(path) as stream:
            pixels.check_inflated(stream, name)
            header = pydicom.dcmread(stream, stop_before_pixels=True)
            syntax = text(header.file_meta, "TransferSyntaxUID")
            if text(header, "SOPClassUID") not in US_CLASSES and text(header, "Modality") != "US":
                raise DicomError(f"{name} is a DICOM file, but no ultrasound")
            if syntax != pixels.DEFLATED and stream.tell() >= size:
                raise TruncatedFileError(f"{name} ends before its pixel data")
            frames, frame_bytes = _check_layout(header, name)
            line = frame_bytes // max(header.Rows, header.Columns)
            place = pixels.PixelPlace(frames * frame_bytes, 8, line)
            return header, pixels.locate_pixels(stream, size, name, syntax, place)
    except pixels.PARSE_ERRORS as error:
        raise TruncatedFileError(f"{name} is cut short or damaged: its header cannot be parsed") from error


def _check_layout(header: Any, name: str) -> Tuple[int, int]:
    """(frames, bytes of one in native pixel data).

    Raises :class:`DicomError` for sizes out of bounds and layouts that are not read.
    """
    samples = count(header, "SamplesPerPixel", name)
    frames, rows, columns = image_size(header, name, samples=samples)
    photometric = text(header, "PhotometricInterpretation")
    if SAMPLES.get(photometric) != samples:
        known = ", ".join(f"{kind} ({number})" for kind, number in SAMPLES.items())
        why = f"{samples} sample(s) a pixel with this PhotometricInterpretation are not read"
        raise PixelDataError(f"{name}: {why}; what is read: {known}")
    if (header.get("BitsAllocated"), header.get("BitsStored")) != (8, 8) or header.get("PixelRepresentation"):
        raise PixelDataError(f"{name} does not hold unsigned samples of 8 bits; convert it to 8 bits")
    if photometric == "YBR_FULL_422" and not pixels.is_compressed(text(header.file_meta, "TransferSyntaxUID")):
        if columns % 2 or header.get("PlanarConfiguration"):
            raise PixelDataError(f"{name}: YBR_FULL_422 needs an even number of columns and PlanarConfiguration 0")
        samples = 2
    return frames, rows * columns * samples


def _native(path: Path, header: Any, offset: Optional[int], name: str) -> Iterator[Tuple[Array, str]]:
    """Frames as stored uint8 (rows, columns, samples) with their photometric interpretation."""
    photometric = text(header, "PhotometricInterpretation")
    frames, length = _check_layout(header, name)
    inflated = b""
    if offset is None:
        _, inflated = pixels.read_encoded(path, name)
        pixels.check_length(len(inflated), frames * length, name)
    for begin in range(0, frames * length, length):
        if offset is None:
            raw: Array = np.frombuffer(inflated, np.uint8, length, begin)
        else:
            raw = pixels.read_native(path, "u1", length, offset + begin, name)
        yield _arrange(raw, header, photometric), photometric


def _arrange(raw: Array, header: Any, photometric: str) -> Array:
    rows, columns, samples = int(header.Rows), int(header.Columns), SAMPLES[photometric]
    if photometric == "YBR_FULL_422":
        # two pixels in four bytes: Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2)
        groups = raw.reshape(rows, columns // 2, 4)
        return np.dstack([groups[..., :2].reshape(rows, columns), np.repeat(groups[..., 2:], 2, axis=1)])
    if samples == 3 and header.get("PlanarConfiguration"):
        return raw.reshape(samples, rows, columns).transpose(1, 2, 0)
    return raw.reshape(rows, columns, samples)


def _compressed(path: Path, header: Any, name: str) -> Iterator[Tuple[Array, str]]:
    """Frames of compressed files by pydicom's decoders, without any colour conversion of theirs."""
    dataset, data = pixels.read_encoded(path, name)
    check_pictures(data, int(header.get("NumberOfFrames") or 1), int(header.Rows), int(header.Columns), name)
    announced, shape = int(header.get("NumberOfFrames") or 1), (int(header.Rows), int(header.Columns), -1)
    decoded = 0
    try:
        for stored, photometric in _decoded(dataset, announced):
            decoded += 1
            yield np.ascontiguousarray(stored.reshape(shape)).astype(np.uint8, copy=False), photometric
    except pixels.DECODE_ERRORS as error:
        raise pixels.not_decoded(text(dataset.file_meta, "TransferSyntaxUID"), f"{name}, frame {decoded}") from error
    if decoded != announced:
        raise TruncatedFileError(f"{name}: {decoded} frames were decoded, the header announces {announced}")


def _decoded(dataset: Any, frames: int) -> Iterator[Tuple[Array, str]]:
    if pydicom.__version__.startswith("2."):
        # pydicom 2.4 changes PhotometricInterpretation where its decoder gives RGB
        array = dataset.pixel_array
        for stored in array if frames > 1 else array[None]:
            yield stored, text(dataset, "PhotometricInterpretation")
        return
    from pydicom.pixels import get_decoder

    for stored, properties in get_decoder(dataset.file_meta.TransferSyntaxUID).iter_array(dataset, raw=True):
        yield stored, str(properties["photometric_interpretation"])


def _apply_palette(indices: Array, header: Any, name: str) -> Array:
    try:
        if pydicom.__version__.startswith("2."):
            from pydicom.pixel_data_handlers.util import apply_color_lut
        else:
            from pydicom.pixels import apply_color_lut
        colours = apply_color_lut(indices, header)
    except pixels.DECODE_ERRORS as error:
        raise PixelDataError(f"{name}: its palette cannot be read") from error
    # palettes of 16 bits give words; their upper byte is the colour
    return (colours >> 8 if colours.dtype == np.uint16 else colours)[..., :3].astype(np.uint8)
