"""A series of DICOM CT images that is a mask: as public sets store them, a folder for each structure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Set, Tuple

import numpy as np

from gluon_liver.errors import DicomError, GeometryError
from gluon_liver.readers.dicom.file_header import SliceHeader
from gluon_liver.readers.dicom.header import NotDicom, read_header
from gluon_liver.readers.dicom.pixels import read_words, stored_values
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.slice_grid import build_grid
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.geometry import Geometry, triple
from gluon_liver.structures.label_volume import LabelVolume

LABELS = 65535
MOST_VALUES = 256  # that a slice of a mask has


@dataclass(frozen=True, eq=False)
class MaskSeries:
    """The headers of a mask series. Its identifiers are patient data: to be compared, never shown.

    name: of its folder, which says what it marks. slices: as they come.
    """

    name: str
    where: str
    study_uid: str
    frame_of_reference: str
    slices: Tuple[SliceHeader, ...]

    def read(self) -> List[LabelVolume]:
        """The mask: 1 where a voxel is marked, or its value where the series has several. Rescaling is not applied.

        Raises a :class:`DicomError` for damaged files, and :class:`GeometryError` where they make no regular grid.
        """
        geometry, ordered = own_grid(self.slices, self.where)
        labels: Array = np.zeros(geometry.size, np.uint16)
        values: Set[int] = set()
        with quiet_pydicom():
            for place, header in enumerate(ordered):
                words = read_words(header, self.where)
                plane = stored_values(words[header.frame or 0], header.layout)
                if plane.min() < 0 or plane.max() > LABELS:
                    raise DicomError(f"{self.where} is no mask: it holds values below 0, or above {LABELS}")
                values |= set(np.unique(plane).tolist())
                labels[place] = plane
        return [one_mark(geometry, labels, values, self.name)]


def own_grid(slices: Sequence[SliceHeader], where: str) -> Tuple[Geometry, List[SliceHeader]]:
    """The grid of slices with rows and columns as their files have them, and the slices in z order.

    Raises :class:`GeometryError` where they make no regular grid.
    """
    looks = {(one.rows, one.columns, one.orientation, one.pixel_spacing) for one in slices}
    if len(looks) > 1:
        raise GeometryError(f"{where}: its slices differ in size, orientation or pixel spacing")
    grid = build_grid(slices, where)
    ordered = [slices[index] for index in grid.order]
    first = ordered[0]
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    upward = np.array(grid.geometry.direction)[:, 2]
    x_row, y_row, z_row = (triple(line) for line in np.stack([row, column, upward], axis=1) + 0.0)
    size = (len(ordered), first.rows, first.columns)
    spacing = triple((grid.geometry.spacing[0], *first.pixel_spacing))
    return Geometry(triple(first.position), spacing, (x_row, y_row, z_row), size), ordered


def one_mark(geometry: Geometry, labels: Array, values: Set[int], name: str) -> LabelVolume:
    """A mask whose only value is 1, and has the name, where there is one value beside 0."""
    if len(values - {0}) == 1:
        return LabelVolume(geometry, (labels > 0).astype(np.uint8), {1: name})
    return LabelVolume(geometry, labels)


def open_mask_series(paths: Sequence[Path], name: str, where: str) -> Optional[MaskSeries]:
    """The mask series of one folder's files, None where they are no CT images, or CT of a patient and no mask.

    ``where`` stands for the folder in messages. Raises a :class:`DicomError` for a damaged file.
    """
    slices: List[SliceHeader] = []
    study = ""
    with quiet_pydicom():
        for number, path in enumerate(sorted(paths), 1):
            try:
                header = read_header(path, number, f"{where}, file {number}", rescaled=False)
            except NotDicom:
                continue
            if header.defect is not None:
                raise header.defect
            slices += header.slices
            study = study or header.study_uid
    if not slices or _looks_like_ct(slices, where):
        return None
    return MaskSeries(name, where, study, slices[0].frame_of_reference, tuple(slices))


def _looks_like_ct(slices: Sequence[SliceHeader], where: str) -> bool:
    """Whether the slice in the middle has the values of CT: more than any mask has, or some below 0."""
    middle = sorted(slices, key=lambda one: one.position[2])[len(slices) // 2]
    with quiet_pydicom():
        plane = stored_values(read_words(middle, where)[middle.frame or 0], middle.layout)
    return bool(plane.min() < 0 or len(np.unique(plane)) > MOST_VALUES)
