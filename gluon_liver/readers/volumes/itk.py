"""NRRD and MetaImage files by SimpleITK."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from gluon_liver.errors import VolumeError, why
from gluon_liver.structures.arrays import Array

from .file_volume import FileVolume
from .itk_header import check_header

HEADER_BYTES = 1 << 16
DETACHED = re.compile(rb"^[^\S\n]*(data ?file\s*:|ElementDataFile\s*=(?!\s*LOCAL\s*$))", re.IGNORECASE | re.MULTILINE)


def open_itk(path: Path) -> FileVolume:
    """Read the header of an NRRD or MetaImage file. Raises :class:`VolumeError`."""
    import SimpleITK as sitk

    try:
        with open(path, "rb") as stream:
            start = stream.read(HEADER_BYTES)
    except OSError as error:
        raise VolumeError(f"it cannot be read: {why(error)}", path) from error
    header = start.partition(b"\n\n")[0] if start.startswith(b"NRRD") else start
    if DETACHED.search(header):
        raise VolumeError("its voxels stand in another file: write it as one file", path)
    if start.startswith(b"NRRD") and b"\nspace:" not in header.replace(b"\r", b""):
        raise VolumeError(
            "its header names no space: which side is left, and which end is the head's, cannot be told. Write it "
            "again with an orientation that is known",
            path,
        )
    try:
        check_header(start)
    except VolumeError as error:
        raise VolumeError(error.reason, path) from error
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError("it is no NRRD or MetaImage file, or its header is damaged", path) from error
    size = tuple(int(n) for n in reader.GetSize())
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) != 3 or reader.GetDimension() != 3:
        raise VolumeError(f"it has {len(size)} axes ({'x'.join(map(str, size))}): a file a phase is needed", path)
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(f"it holds {reader.GetNumberOfComponents()} numbers a voxel; one is needed", path)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * np.array(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    return FileVolume(path, size, affine, lambda axis: _planes(path, reader, axis))


def _planes(path: Path, reader: Any, axis: int) -> Iterator[Array]:
    """See :class:`FileVolume`; the volume is in memory as the file has it."""
    import SimpleITK as sitk

    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError("it is cut short or damaged: its voxels cannot be read", path) from error
    voxels = sitk.GetArrayViewFromImage(image)  # (k, j, i)
    for index in range(voxels.shape[2 - axis]):
        yield np.take(voxels, index, axis=2 - axis)
