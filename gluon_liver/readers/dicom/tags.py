"""Values of a DICOM header with their checks: present, of the right number, finite, above 0."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from gluon_liver.errors import DicomError, GeometryError, MissingTagError, PixelDataError


def as_signed(value: int, bits: int) -> int:
    """The `bits` lowest bits of `value`, read as two's complement."""
    value %= 1 << bits
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def check_cosines(orientation: Tuple[float, ...], where: str) -> None:
    """Raise GeometryError unless the six cosines are two perpendicular unit vectors."""
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > 1e-3:
        raise GeometryError(f"{where}: ImageOrientationPatient is not two perpendicular unit vectors")


def text(dataset: Any, keyword: str) -> str:
    """The value as stripped text, "" where it is absent."""
    return str(dataset.get(keyword) or "").strip()


def count(dataset: Any, keyword: str, name: str) -> int:
    """A whole number of 1 or more. Raises MissingTagError where it is absent, DicomError where it is not
    one.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        raise MissingTagError(f"{name} has no {keyword}")
    if not isinstance(value, int) or value < 1:
        raise DicomError(f"{name}: {keyword} is not a whole number of 1 or more")
    return int(value)


def numbers(dataset: Any, keyword: str, length: int, where: str) -> Tuple[float, ...]:
    """`length` finite numbers. Raises MissingTagError where the tag is absent or empty, DicomError where it
    differs.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        raise MissingTagError(f"{where} has no {keyword}")
    try:
        result = tuple(float(v) for v in (value if length > 1 else [value]))
    except (TypeError, ValueError) as error:
        raise DicomError(f"{where}: {keyword} is not {length} number(s)") from error
    if len(result) != length or not np.isfinite(result).all():
        raise DicomError(f"{where}: {keyword} is not {length} finite number(s)")
    return result


def bit_layout(dataset: Any, name: str) -> Tuple[int, int, int, bool]:
    """(bits allocated, bits stored, high bit, signed) of a grey image; PixelDataError for a layout no CT
    has.
    """
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise PixelDataError(f"{name} is a colour image; a CT slice has one sample per pixel")
    allocated = count(dataset, "BitsAllocated", name)
    stored = count(dataset, "BitsStored", name)
    high = dataset.get("HighBit")
    high = stored - 1 if high is None else int(high)
    representation = dataset.get("PixelRepresentation")
    if representation not in (0, 1):
        raise MissingTagError(f"{name} has no PixelRepresentation of 0 or 1")
    if allocated not in (8, 16) or stored > allocated or not stored - 1 <= high < allocated:
        raise PixelDataError(f"{name}: {stored} bits stored in {allocated}, high bit {high}, is no CT pixel layout")
    return allocated, stored, high, bool(representation)


def padding_range(dataset: Any, bits_allocated: int, signed: bool, name: str) -> Optional[Tuple[int, int]]:
    """Lowest and highest stored value of padding.

    Writers store a negative padding value as unsigned (63536 for -2000), and the reverse: the 16 bits count,
    read with the signedness of the pixels.
    """
    first = dataset.get("PixelPaddingValue")
    if first is None or first == "":
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    values = [first] if limit is None or limit == "" else [first, limit]
    if not all(isinstance(value, int) for value in values):
        raise DicomError(f"{name}: PixelPaddingValue is not one whole number")
    read = [as_signed(value, bits_allocated) if signed else value % (1 << bits_allocated) for value in values]
    return min(read), max(read)
