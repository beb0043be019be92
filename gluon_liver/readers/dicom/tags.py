"""Values of a DICOM header with their checks: present, of the right number, finite, above 0, within bounds."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from gluon_liver.errors import DicomError, GeometryError, MissingTagError, OversizeError, PixelDataError

MAX_SIDE = 4096
MAX_SLICES = 4000
MAX_VOXELS = 2**31


class BitLayout(NamedTuple):
    """How the words of a grey image are to be read."""

    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool


def text(dataset: Any, keyword: str) -> str:
    """The value as stripped text, "" where it is absent."""
    return str(dataset.get(keyword) or "").strip()


def is_phantom(dataset: Any) -> bool:
    """Whether the file says QualityControlImage YES, which DICOM defines for images of a phantom."""
    return text(dataset, "QualityControlImage").upper() == "YES"


def present(dataset: Any, keyword: str, where: str) -> Any:
    """The value. Raises :class:`MissingTagError` where it is absent or empty."""
    value = dataset.get(keyword)
    if value is None or value == "":
        raise MissingTagError(f"{where} has no {keyword}")
    return value


def count(dataset: Any, keyword: str, where: str) -> int:
    """A whole number of 1 or more. Raises :class:`DicomError` where it is none."""
    value = present(dataset, keyword, where)
    if not isinstance(value, int) or value < 1:
        raise DicomError(f"{where}: {keyword} is not a whole number of 1 or more")
    return int(value)


def numbers(dataset: Any, keyword: str, length: int, where: str) -> Tuple[float, ...]:
    """``length`` finite numbers. Raises :class:`DicomError` where they are none, or of another number."""
    value = present(dataset, keyword, where)
    try:
        result = tuple(float(v) for v in (value if length > 1 else [value]))
    except (TypeError, ValueError) as error:
        raise DicomError(f"{where}: {keyword} is not {length} number(s)") from error
    if len(result) != length or not np.isfinite(result).all():
        raise DicomError(f"{where}: {keyword} is not {length} finite number(s)")
    return result


def check_cosines(orientation: Tuple[float, ...], where: str) -> None:
    """Raise :class:`GeometryError` unless the six cosines are two perpendicular unit vectors."""
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > 1e-3:
        raise GeometryError(f"{where}: ImageOrientationPatient is not two perpendicular unit vectors")


def image_size(dataset: Any, name: str, *, multi_frame: bool = False, samples: int = 1) -> Tuple[int, int, int]:
    """(frames, rows, columns); one frame where the file tells none, unless it is ``multi_frame`` and has to.

    Raises :class:`OversizeError` for more than this package reads.
    """
    rows, columns = count(dataset, "Rows", name), count(dataset, "Columns", name)
    frames = count(dataset, "NumberOfFrames", name) if multi_frame or dataset.get("NumberOfFrames") else 1
    if max(rows, columns) > MAX_SIDE or frames > MAX_SLICES or rows * columns * frames * samples > MAX_VOXELS:
        bounds = f"{MAX_SIDE} a side, {MAX_SLICES} frames and {MAX_VOXELS} samples in all"
        size = f"{frames} frames of {rows}x{columns} pixels with {samples} sample(s)"
        raise OversizeError(f"{name} announces {size}; the bounds are {bounds}")
    return frames, rows, columns


def bit_layout(dataset: Any, name: str) -> BitLayout:
    """The words of a grey image. Raises :class:`PixelDataError` for a layout that no CT has."""
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise PixelDataError(f"{name} is a colour image; a CT slice has one sample per pixel")
    allocated, stored = count(dataset, "BitsAllocated", name), count(dataset, "BitsStored", name)
    high, representation = dataset.get("HighBit"), dataset.get("PixelRepresentation")
    high = stored - 1 if high is None else int(high)
    if representation not in (0, 1):
        raise MissingTagError(f"{name} has no PixelRepresentation of 0 or 1")
    if allocated not in (8, 16) or stored > allocated or not stored - 1 <= high < allocated:
        raise PixelDataError(f"{name}: {stored} bits stored in {allocated}, high bit {high}, is no CT pixel layout")
    return BitLayout(allocated, stored, high, bool(representation))


def padding_range(dataset: Any, layout: BitLayout, name: str) -> Optional[Tuple[int, int]]:
    """Lowest and highest stored value of padding, None where the file has none.

    Writers store a negative padding value as unsigned (63536 for -2000), and the reverse: the bits count, read with
    the signedness of the pixels.
    """
    first, last = (dataset.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if first in (None, ""):
        return None
    values = [first] if last in (None, "") else [first, last]
    if not all(isinstance(value, int) for value in values):
        raise DicomError(f"{name}: PixelPaddingValue is not one whole number")
    half = 1 << (layout.bits_allocated - 1) if layout.signed else 0
    read = [(value + half) % (1 << layout.bits_allocated) - half for value in values]
    return min(read), max(read)
