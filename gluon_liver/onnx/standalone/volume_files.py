"""NIfTI files and arrays of HU, and whatever holds a phase."""

from __future__ import annotations

import argparse
import gzip
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from .dicom_series import read_dicom
from .refusals import Unusable
from .volumes import ARRAY, NIFTI, Volume, check_squares, oriented, with_air

NOT_LOADED = (EOFError, KeyError, MemoryError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)  # by np.load


def read_volume(path: Path, args: argparse.Namespace) -> Volume:
    """A phase, as the options say."""
    try:
        if path.name.lower().endswith((".nii", ".nii.gz")):
            return with_air(read_nifti(path), args.no_air)
        if path.suffix.lower() in (".npy", ".npz"):
            return with_air(read_array(path, args.spacing), args.no_air)
        return read_dicom(path)
    except OSError as error:
        raise Unusable(f"{error.filename or path} cannot be read: {error.strerror or error}") from error
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error


def read_nifti(path: Path) -> Volume:
    """NIfTI-1 in one file, with its scaling and its place."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, ValueError, zlib.error) as error:
        raise Unusable(f"it is damaged or cut short ({error})") from error
    order = "<" if raw[:4] == struct.pack("<i", 348) else ">"
    if len(raw) < 352 or raw[:4] != struct.pack(order + "i", 348) or raw[344:348] != b"n+1\0":
        raise Unusable("it is no NIfTI-1 file of one part (.nii, .nii.gz)")

    def numbers(kind: str, at: int) -> Tuple[Any, ...]:
        return struct.unpack_from(order + kind, raw, at)

    rank, *dims = numbers("8h", 40)
    shape = [*dims[:rank]]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    (code,), (units,) = numbers("h", 70), numbers("B", 123)
    kinds = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
    if len(shape) != 3 or min(shape) < 1 or code not in kinds or units & 7 not in (0, 2):
        raise Unusable(f"it holds {'x'.join(map(str, shape))} of kind {code}: one volume of numbers, in mm, is wanted")
    if not 352 <= numbers("f", 108)[0] <= len(raw):
        raise Unusable("its header says that the voxels begin inside of it, or nowhere (vox_offset)")
    begin, slope, intercept = (int(numbers("f", 108)[0]), *numbers("2f", 112))
    kind, size = np.dtype(order + kinds[code]), int(np.prod(shape, dtype=np.int64))
    if len(raw) < begin + size * kind.itemsize:
        raise Unusable("it is cut short: it has fewer voxels than its header announces")
    values = np.frombuffer(raw, kind, size, begin).reshape(shape[::-1]).astype(np.float64)  # (k, j, i)
    if np.isfinite(slope) and slope:
        values = values * slope + intercept
    affine = place_of(numbers) * np.array([-1, -1, 1])[:, None]  # RAS -> LPS
    return oriented(values, affine[:, 3], affine[:, 2::-1].T, NIFTI)


def place_of(numbers: Any) -> np.ndarray:
    """Index (i, j, k, 1) -> RAS mm, (3, 4), by sform or qform, which must not contradict each other."""
    (qform, sform), sides = numbers("2h", 252), np.array(numbers("8f", 76)[:4], np.float64)
    found = []
    if sform > 0:
        found.append(np.reshape(numbers("12f", 280), (3, 4)).astype(np.float64))
    if qform > 0:
        b, c, d, *offset = map(float, numbers("6f", 256))
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        found.append(np.column_stack([turn * sides[1:] * [1, 1, -1 if sides[0] < 0 else 1], offset]))
    if not found:
        raise Unusable("its header says nothing of its place (sform_code and qform_code are 0)")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in numbers("3h", 42)], [1])).reshape(4, -1)
    if np.abs((found[0] - found[-1]) @ corners).max() > 0.1 * np.abs(sides[1:]).min():
        raise Unusable("its sform and qform contradict each other: write it again with the right one")
    return found[0]


def read_array(path: Path, spacing: Optional[Sequence[float]]) -> Volume:
    """An array (z, y, x); of an .npz the one named hu, with spacing (dz, dy, dx) beside it."""
    try:
        read = np.load(path, allow_pickle=False, mmap_mode="r")  # an .npy that is cut short is told before it is read
        if not isinstance(read, np.ndarray):
            own = [*map(float, np.ravel(read["spacing"]))] if "spacing" in read else spacing
            if spacing is not None and [*spacing] != own:
                raise Unusable(f"it tells its spacing, {own} mm: leave --spacing out")
            spacing, read = own, read["hu"]
    except NOT_LOADED as error:
        raise Unusable(f"it is no array of numbers, or has none named hu ({error})") from error
    if read.ndim != 3 or read.dtype.kind not in "iuf" or not read.size:
        raise Unusable(f"it is {read.dtype} {read.shape}: numbers (z, y, x) are wanted")
    if spacing is None or len(spacing) != 3 or not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise Unusable("its spacing is not known: give --spacing DZ DY DX in mm")
    check_squares(np.array(spacing[1:], np.float64))
    return Volume(np.asarray(read), np.zeros(3), np.diag(np.array(spacing, np.float64))[:, ::-1], ARRAY)
