"""The pixel data of a DICOM file: where they are, what their bits mean, and HU from them.

Native pixels are read straight from their place in the file. Compressed and deflated files go through
pydicom's decoders; where pydicom has none for the transfer syntax, through the GDCM that SimpleITK carries.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from typing import Any, BinaryIO, Optional, Tuple

import numpy as np
import pydicom
import SimpleITK as sitk

from gluon_liver.errors import PixelDataError, TruncatedFileError

AIR_HU = -1024
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
MAX_INFLATED_BYTES = 2**31
UNDEFINED_LENGTH = 0xFFFFFFFF
SECONDARY_CAPTURE_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
# What the decoders of pydicom 2.4 and 3.0 raise: no plugin, or a codestream that a plugin refuses.
DECODE_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    KeyError,
    IndexError,
    OSError,
    struct.error,
)


def inflated_size(stream: BinaryIO) -> int:
    """Bytes that a deflated file inflates to, counted up to just above MAX_INFLATED_BYTES; 0 for other files.

    pydicom inflates at once and without bound, so a hostile file has to be measured first.
    """
    stream.seek(0)
    start = stream.read(2048)
    if DEFLATED.encode() not in start or start[132:136] != b"\x02\x00\x00\x00":
        return 0
    stream.seek(144 + struct.unpack("<I", start[140:144])[0])
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    for piece in iter(lambda: stream.read(1 << 16), b""):
        while piece and total <= MAX_INFLATED_BYTES:
            total += len(inflater.decompress(piece, 1 << 24))
            piece = inflater.unconsumed_tail
    return total


def locate_pixels(
    stream: BinaryIO, size: int, name: str, transfer_syntax: str, expected: int, bits_allocated: int
) -> Tuple[Optional[int], bool]:
    """(byte at which native pixel data start, big-endian); (None, False) for compressed or deflated data.

    pydicom leaves `stream` at the tag of the pixel data. The bytes there tell the byte order and, by the
    presence of a value representation, explicit or implicit coding. `size` is the length of the file and
    `expected` that of the pixel data by the header, both in bytes: a file that holds less raises
    TruncatedFileError.
    """
    if transfer_syntax == DEFLATED:
        return None, False
    place = stream.tell()
    element = stream.read(12)
    if len(element) < 12 or element[:4] not in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"):
        raise PixelDataError(f"{name} has no integer PixelData after its header")
    big_endian = element[:1] == b"\x7f"
    order = ">" if big_endian else "<"
    if element[4:6] in (b"OW", b"OB", b"UN"):
        length, offset = struct.unpack(order + "I", element[8:12])[0], place + 12
    else:
        length, offset = struct.unpack(order + "I", element[4:8])[0], place + 8
    if length == UNDEFINED_LENGTH:
        if not transfer_syntax:
            raise PixelDataError(f"{name} holds compressed pixels but no transfer syntax")
        return None, False
    available = max(min(length, size - offset), 0)
    if available < expected:
        raise TruncatedFileError(
            f"{name} is cut short: its pixel data hold {available} bytes, the header announces {expected}"
        )
    # The element is padded to an even length; anything longer is not the image that the header describes.
    if length > expected + expected % 2:
        raise PixelDataError(f"{name}: its pixel data hold {length} bytes, the header announces {expected}")
    if big_endian and bits_allocated != 16:
        raise PixelDataError(f"{name}: big-endian pixels of {bits_allocated} bits are not supported")
    return offset, big_endian


def read_words(header: Any, name: str) -> np.ndarray:
    """All frames of one file as stored words, (frames, rows, columns), signed or unsigned as the header
    says.
    """
    shape = (header.frames, header.rows, header.columns)
    if header.pixel_offset is not None:
        words = np.dtype(
            f"{'>' if header.big_endian else '<'}{'i' if header.signed else 'u'}{header.bits_allocated // 8}"
        )
        try:
            array = np.fromfile(header.path, dtype=words, count=int(np.prod(shape)), offset=header.pixel_offset)
        except OSError as error:
            raise PixelDataError(f"{name} cannot be read: {error.strerror}") from error
        if array.size != np.prod(shape):
            raise TruncatedFileError(f"{name} is cut short: it lost pixels since its header was read")
        return array.reshape(shape)
    array = _decode(header, name)
    if array.size != np.prod(shape):
        raise PixelDataError(f"{name}: {array.size} pixels were decoded, the header announces {shape}")
    return array.reshape(shape)


def hounsfield(words: np.ndarray, header: Any) -> np.ndarray:
    """Stored words of one slice (rows, columns) -> HU int16; padding and everything below -1024 become
    -1024.
    """
    stored = _stored_values(words, header)
    hu = stored * np.float64(header.slope) + header.intercept
    if header.padding is not None:
        low, high = header.padding
        padded = (stored >= low) & (stored <= high)
        if stored is not words:
            # Some writers fill all allocated bits of padding, beyond the stored ones.
            padded |= (words >= low) & (words <= high)
        hu[padded] = AIR_HU
    return np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def _stored_values(words: np.ndarray, header: Any) -> np.ndarray:
    """Drop the bits outside BitsStored (old files keep overlays there), keeping the sign."""
    if header.bits_stored == header.bits_allocated:
        return words
    values = words.astype(np.int32) >> (header.high_bit + 1 - header.bits_stored)
    values &= (1 << header.bits_stored) - 1
    if header.signed:
        values -= (values >> (header.bits_stored - 1)) << header.bits_stored
    return values


def _decode(header: Any, name: str) -> np.ndarray:
    """Compressed or deflated pixel data -> stored words, by pydicom or else by GDCM."""
    try:
        dataset = pydicom.dcmread(header.path)
        pixel_data = dataset.get("PixelData")
    except (EOFError, zlib.error, pydicom.errors.BytesLengthException) + DECODE_ERRORS as error:
        raise TruncatedFileError(f"{name} is cut short or damaged: its pixel data cannot be read") from error
    if not pixel_data:
        raise TruncatedFileError(f"{name} ends inside its pixel data")
    syntax = pydicom.uid.UID(header.transfer_syntax)
    if syntax.is_private or syntax not in pydicom.uid.AllTransferSyntaxes:
        raise PixelDataError(
            f"{name} uses a private or unknown transfer syntax; convert it to Explicit VR Little Endian"
        )
    if not syntax.is_compressed or header.transfer_syntax == DEFLATED:
        expected = header.frames * header.rows * header.columns * header.bits_allocated // 8
        if len(pixel_data) < expected:
            raise TruncatedFileError(
                f"{name} is cut short: its pixel data hold {len(pixel_data)} bytes, the header announces {expected}"
            )
    elif header.transfer_syntax != RLE:
        _check_codestream_end(pixel_data, name)
    try:
        return dataset.pixel_array
    except DECODE_ERRORS as no_decoder:
        if header.transfer_syntax in (RLE, DEFLATED):
            raise PixelDataError(f"{name}: its pixel data ({syntax.name}) are damaged") from no_decoder
        try:
            return _decode_with_gdcm(dataset, header)
        except RuntimeError as error:
            raise PixelDataError(
                f"{name}: its pixel data ({syntax.name}) cannot be decoded: they are damaged, "
                "or a decoder is missing; install pylibjpeg, pylibjpeg-libjpeg and pylibjpeg-openjpeg, "
                "or convert the series to Explicit VR Little Endian"
            ) from error


def _check_codestream_end(pixel_data: bytes, name: str) -> None:
    """JPEG, JPEG-LS and JPEG 2000 streams all end with the marker FFD9; decoders fill a missing end with
    grey.
    """
    if b"\xff\xd9" not in pixel_data[-64:]:
        raise TruncatedFileError(f"{name} is cut short: its compressed image has no end")


def _decode_with_gdcm(dataset: Any, header: Any) -> np.ndarray:
    """Stored words by SimpleITK's GDCM.

    GDCM applies the rescale of the file by itself, and for Enhanced CT that of the first frame to all of
    them. It is therefore given a copy with the pixel description only, so that it returns stored values.
    """
    copy = pydicom.Dataset()
    for keyword in (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelData",
    ):
        if keyword in dataset:
            copy[keyword] = dataset[keyword]
    copy.SOPClassUID = SECONDARY_CAPTURE_WORD
    copy.SOPInstanceUID = pydicom.uid.generate_uid()
    copy.file_meta = pydicom.dataset.FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = pydicom.uid.UID(header.transfer_syntax)
    copy.file_meta.MediaStorageSOPClassUID = copy.SOPClassUID
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "image.dcm")
        if pydicom.__version__.startswith("2."):
            copy.is_little_endian, copy.is_implicit_VR = True, False
            copy.save_as(path, write_like_original=False)
        else:
            copy.save_as(path, enforce_file_format=True)
        return sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO"))
