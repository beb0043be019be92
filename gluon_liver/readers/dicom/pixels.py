"""The pixel data of a DICOM file: where they are, what their bits mean, and HU from them.

Native pixels are read straight from their place in the file. Compressed and deflated files go through pydicom's
decoders; where pydicom has none for the transfer syntax, through the GDCM that SimpleITK carries.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Optional, Tuple

import numpy as np
import pydicom
import SimpleITK as sitk

from gluon_liver.errors import DicomError, OversizeError, PixelDataError, TruncatedFileError, UnreadableFileError, why
from gluon_liver.structures.arrays import Array

from .bounded import BoundedReader
from .codestream import check_pictures
from .file_header import SliceHeader
from .tags import BitLayout, text

AIR_HU = -1024
CONVERT = "convert the file to Explicit VR Little Endian"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
MAX_INFLATED_BYTES = 2**31
LITTLE, MAX_EXPANSION = 2**26, 100  # bytes that any file may inflate to; beyond it so many times its own size
UNDEFINED_LENGTH = 0xFFFFFFFF
MAX_PADDING, MAX_ZEROS = 64, 1 << 16  # bytes behind the pixels, of any value and all zero
SECONDARY_CAPTURE_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
# What pydicom (2.4 and 3.0) and its decoders raise on damaged or hostile files: no plugin, or content that one refuses.
# The messages may quote tag values, so they are not passed on.
PARSE_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(struct.error, zlib.error, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException),
)
DECODE_ERRORS = PARSE_ERRORS + (OSError,)
# What describes pixels, for GDCM.
DESCRIPTION = """SamplesPerPixel PhotometricInterpretation Rows Columns NumberOfFrames BitsAllocated BitsStored HighBit
PixelRepresentation PixelData""".split()


def check_inflated(stream: BinaryIO, name: str) -> None:
    """Raise :class:`OversizeError` for a deflated file that inflates too far; the stream is at its start afterwards."""
    own = stream.seek(0, os.SEEK_END)
    most = min(MAX_INFLATED_BYTES, max(LITTLE, MAX_EXPANSION * own))
    if inflated_size(stream, most) > most:
        raise OversizeError(f"{name} inflates to more than {most} bytes")
    stream.seek(0)


def inflated_size(stream: BinaryIO, most: Optional[int] = None) -> int:
    """Bytes that a deflated file inflates to, counted up to just above ``most``; 0 for other files.

    pydicom inflates at once and without bound, so a hostile file has to be measured first.
    """
    most = MAX_INFLATED_BYTES if most is None else most
    stream.seek(0)
    start = stream.read(2048)
    if DEFLATED.encode() not in start or start[132:136] != b"\x02\x00\x00\x00":
        return 0
    stream.seek(144 + struct.unpack("<I", start[140:144])[0])
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    for piece in iter(lambda: stream.read(1 << 16), b""):
        while piece and total <= most:
            total += len(inflater.decompress(piece, 1 << 24))
            piece = inflater.unconsumed_tail
    return total


class PixelPlace(NamedTuple):
    """What the header says of native pixel data.

    expected: their bytes. line: bytes of the shorter of a row and a column, which no padding may reach: more could be
    rows or columns that the header leaves out.
    """

    expected: int
    bits_allocated: int
    line: int


def locate_pixels(
    stream: BinaryIO, size: int, name: str, transfer_syntax: str, place: PixelPlace
) -> Tuple[Optional[int], bool, int]:
    """(byte at which native pixel data start, big-endian, bytes of padding); (None, False, 0) for other data.

    pydicom leaves ``stream`` at the tag of the pixel data. The bytes there tell the byte order and, by the presence of
    a value representation, explicit or implicit coding. ``size`` is the length of the file in bytes. A file that holds
    less than its header announces raises :class:`TruncatedFileError`, one that holds more than padding
    :class:`PixelDataError`.
    """
    if transfer_syntax == DEFLATED:
        return None, False, 0
    start, expected = stream.tell(), place.expected
    element = stream.read(12)
    if len(element) < 12 or element[:4] not in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"):
        raise PixelDataError(f"{name} has no integer PixelData after its header")
    big_endian = element[:1] == b"\x7f"
    begin = 8 if element[4:6] in (b"OW", b"OB", b"UN") else 4
    (length,), offset = struct.unpack((">" if big_endian else "<") + "I", element[begin : begin + 4]), start + begin + 4
    if length == UNDEFINED_LENGTH:
        if not transfer_syntax:
            raise PixelDataError(f"{name} holds compressed pixels but no transfer syntax")
        return None, False, 0
    check_length(max(min(length, size - offset), 0), expected, name)
    # The element is padded to an even length. Some writers pad by more; what could be pixels is none of it.
    surplus = max(length - expected - expected % 2, 0)
    if surplus and not _is_padding(stream, offset + expected, length - expected, place.line):
        raise PixelDataError(f"{name}: its pixel data hold {length} bytes, the header announces {expected}")
    if big_endian and place.bits_allocated != 16:
        raise PixelDataError(f"{name}: big-endian pixels of {place.bits_allocated} bits are not supported")
    return offset, big_endian, surplus


def _is_padding(stream: BinaryIO, start: int, length: int, line: int) -> bool:
    """Whether bytes behind the pixels are no pixels: a few, or zeros that make no whole rows or columns."""
    if length < min(line, MAX_PADDING):
        return True
    if length % line == 0 or length > MAX_ZEROS:
        return False
    stream.seek(start)
    return not stream.read(length).strip(b"\0")


def check_length(available: int, expected: int, name: str) -> None:
    """Raise :class:`TruncatedFileError` where fewer bytes of pixels are there than the header announces."""
    if available < expected:
        sizes = f"its pixel data hold {available} bytes, the header announces {expected}"
        raise TruncatedFileError(f"{name} is cut short: {sizes}")


def read_native(path: Path, kind: str, pixels: int, offset: int, name: str) -> Array:
    """``pixels`` numbers of NumPy's type ``kind`` at a byte of the file."""
    try:
        array = np.fromfile(path, dtype=kind, count=pixels, offset=offset)
    except OSError as error:
        raise UnreadableFileError(f"{name} cannot be read: {why(error)}") from error
    if array.size != pixels:
        raise TruncatedFileError(f"{name} is cut short: it lost pixels since its header was read")
    return array


def read_encoded(path: Path, name: str) -> Tuple[Any, bytes]:
    """The whole dataset of a compressed or deflated file, and its pixel data.

    Raises :class:`TruncatedFileError` where they have no end: decoders fill what is missing with grey.
    """
    try:
        with BoundedReader(path) as stream:
            dataset = pydicom.dcmread(stream)
        data = dataset.get("PixelData") or b""
    except OSError as error:
        raise UnreadableFileError(f"{name} cannot be read: {why(error)}") from error
    except PARSE_ERRORS as error:
        raise TruncatedFileError(f"{name} is cut short or damaged: its pixel data cannot be read") from error
    if not data:
        raise TruncatedFileError(f"{name} ends inside its pixel data")
    if not isinstance(data, bytes):  # an element that says it is a text or a number
        raise PixelDataError(f"{name} is damaged: its pixel data are no bytes")
    syntax = text(dataset.file_meta, "TransferSyntaxUID")
    # JPEG, JPEG-LS and JPEG 2000 streams all end with the marker FFD9.
    if is_compressed(syntax) and syntax != RLE and b"\xff\xd9" not in data[-64:]:
        raise TruncatedFileError(f"{name} is cut short: its compressed image has no end")
    return dataset, data


def is_compressed(transfer_syntax: str) -> bool:
    """Whether a decoder is needed, as for no deflated file; an unknown syntax tells nothing."""
    syntax = pydicom.uid.UID(transfer_syntax)
    return syntax in pydicom.uid.AllTransferSyntaxes and syntax.is_compressed


def not_decoded(transfer_syntax: str, name: str) -> PixelDataError:
    """The error for pixel data that no decoder takes."""
    what = f"{name}: its pixel data ({pydicom.uid.UID(transfer_syntax).name}) cannot be decoded"
    remedy = f"install pylibjpeg, pylibjpeg-libjpeg and pylibjpeg-openjpeg, or {CONVERT}"
    return PixelDataError(f"{what}: they are damaged, or a decoder is missing; {remedy}")


def read_words(header: SliceHeader, name: str) -> Array:
    """All frames of one file as stored words, (frames, rows, columns), signed or unsigned as the header says.

    A :class:`DicomError` tells the file's number.
    """
    try:
        return _read_words(header, name)
    except DicomError as error:
        error.file = header.file
        raise


def _read_words(header: SliceHeader, name: str) -> Array:
    shape = (header.frames, header.rows, header.columns)
    pixels = header.frames * header.rows * header.columns
    if header.pixel_offset is not None:
        order, sign = ">" if header.big_endian else "<", "i" if header.layout.signed else "u"
        kind = f"{order}{sign}{header.layout.bits_allocated // 8}"
        return read_native(header.path, kind, pixels, header.pixel_offset, name).reshape(shape)
    array = _decode(header, pixels, name)
    if array.size != pixels:
        raise PixelDataError(f"{name}: {array.size} pixels were decoded, the header announces {shape}")
    return array.reshape(shape)


def hounsfield(words: Array, header: SliceHeader) -> Array:
    """HU, int16, of the stored words of one slice (rows, columns); padding and everything below -1024 become -1024."""
    stored = stored_values(words, header.layout)
    hu = stored * np.float64(header.slope) + header.intercept
    if header.padding is not None:
        low, high = header.padding
        for values in (stored, words):  # some writers fill all allocated bits of padding, beyond the stored ones
            hu[(values >= low) & (values <= high)] = AIR_HU
    return np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def stored_values(words: Array, layout: BitLayout) -> Array:
    """Drop the bits outside BitsStored (old files keep overlays there), keeping the sign."""
    if layout.bits_stored == layout.bits_allocated:
        return words
    values = words.astype(np.int32) >> (layout.high_bit + 1 - layout.bits_stored)
    values &= (1 << layout.bits_stored) - 1
    if layout.signed:
        values -= (values >> (layout.bits_stored - 1)) << layout.bits_stored
    return values


def _decode(header: SliceHeader, pixels: int, name: str) -> Array:
    """Compressed or deflated pixel data -> stored words, by pydicom or else by GDCM."""
    dataset, data = read_encoded(header.path, name)
    syntax = pydicom.uid.UID(header.transfer_syntax)
    if syntax not in pydicom.uid.AllTransferSyntaxes:
        raise PixelDataError(f"{name} uses a private or unknown transfer syntax; {CONVERT}")
    if not is_compressed(syntax):
        check_length(len(data), pixels * header.layout.bits_allocated // 8, name)
    else:
        check_pictures(data, header.frames, header.rows, header.columns, name)
    try:
        return dataset.pixel_array
    except MemoryError as error:
        raise OversizeError(f"{name}: there is no memory for its {pixels} pixels") from error
    except DECODE_ERRORS as no_decoder:
        if syntax in (RLE, DEFLATED):
            raise PixelDataError(f"{name}: its pixel data ({syntax.name}) are damaged") from no_decoder
        try:
            return _decode_with_gdcm(dataset, syntax)
        except RuntimeError as error:
            raise not_decoded(syntax, name) from error


def _decode_with_gdcm(dataset: Any, transfer_syntax: str) -> Array:
    """Stored words by SimpleITK's GDCM.

    GDCM applies the rescale of the file by itself, and for Enhanced CT that of the first frame to all of them. It is
    therefore given a copy with the pixel description only, so that it returns stored values.
    """
    copy = pydicom.Dataset()
    copy.update({dataset[keyword].tag: dataset[keyword] for keyword in DESCRIPTION if keyword in dataset})
    copy.SOPClassUID, copy.SOPInstanceUID = SECONDARY_CAPTURE_WORD, pydicom.uid.generate_uid()
    copy.file_meta = pydicom.dataset.FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)
    copy.file_meta.MediaStorageSOPClassUID = copy.SOPClassUID
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "image.dcm"))
        if pydicom.__version__.startswith("2."):
            copy.is_little_endian, copy.is_implicit_VR = True, False
            copy.save_as(path, write_like_original=False)
        else:
            copy.save_as(path, enforce_file_format=True)
        return sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO"))
