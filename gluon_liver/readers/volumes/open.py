"""Files of volumes and of masks, by the ending of their names."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Callable, Iterator, Optional, Tuple, Union

import numpy as np

from gluon_liver.errors import InputError, VolumeError
from gluon_liver.readers.dicom.pixels import AIR_HU
from gluon_liver.readers.dicom.planes import stored_plane
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.label_volume import LabelVolume
from gluon_liver.structures.modality import grey_range, stored_grey
from gluon_liver.structures.slice_mapping import SliceHistory
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

from .file_volume import FileVolume
from .grid import VolumeGrid, file_geometry, stored_grid
from .itk import open_itk
from .nifti import open_nifti
from .reading import reading

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".mha")
ENDINGS = NIFTI + ITK
Path_ = Union[str, Path]
Convert = Callable[[Array], Array]


def ending_of(name: str) -> str:
    """Which of :data:`ENDINGS` a file's name has, "" where none."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def open_volume(path: Path_, *, value: str = "hu", convert: Optional[Convert] = None) -> VolumeStack:
    """A NIfTI, NRRD or MetaImage file as slices that rise to the head, turned to patient axes.

    value: "hu", or "mri" for intensities without a unit, which are scaled volume by volume (see
    :mod:`gluon_liver.structures.modality`). convert: makes HU of the file's numbers where a set is
    known to keep others, from a plane to one of the same shape. Only the header is read before slices are decoded.

    Raises :class:`VolumeError` for a file that cannot be read, says not where it lies, or has axes that are not at
    right angles; decoding raises it for a damaged one and for values that are no numbers (see
    :class:`.reading.VolumeReading`).
    """
    source = open_file(Path(path))
    try:
        grid = stored_grid(source.affine, source.shape)
    except VolumeError as error:
        raise VolumeError(error.reason, path) from error
    decode = partial(_decode_mri if value == "mri" else _decode, source, grid, convert, reading().nan_is_air)
    return VolumeStack(grid.geometry, grid.mapping, SliceHistory(), decode)


def open_mask(path: Path_) -> LabelVolume:
    """A NIfTI, NRRD or MetaImage file of whole numbers as a mask on its own grid.

    Raises :class:`VolumeError` for a file that cannot be read, and for values that are no whole numbers of 0 to 65535.
    """
    source = open_file(Path(path))
    try:
        geometry = file_geometry(source.affine, source.shape)
    except VolumeError as error:
        raise VolumeError(error.reason, path) from error
    planes = source.planes(2)
    first = next(planes)  # before room is made for the others: a header announces anything
    labels: Array = np.zeros(geometry.size, dtype=np.uint8)
    for z, plane in enumerate(chain([first], planes)):
        if plane.dtype.kind == "f" and not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
            raise VolumeError("it is no mask: it holds values that are no whole numbers", path)
        low, high = int(plane.min()), int(plane.max())
        if low < 0 or high > np.iinfo(np.uint16).max:
            raise VolumeError(f"it is no mask: it holds {low if low < 0 else high}; 0 to 65535 are labels", path)
        if high > np.iinfo(labels.dtype).max:
            labels = labels.astype(np.uint16)
        labels[z] = plane
    return LabelVolume(geometry, labels)


def open_file(path: Path) -> FileVolume:
    """The header of a file, its axes and numbers as they are. Raises :class:`VolumeError`."""
    ending = ending_of(path.name)
    if not ending:
        raise VolumeError(f"volumes are read from {', '.join(ENDINGS)}", path)
    return open_nifti(path, form=reading().form) if ending in NIFTI else open_itk(path)


def _decode(source: FileVolume, grid: VolumeGrid, convert: Optional[Convert], nan_is_air: bool, put: PutPlane) -> None:
    """See :class:`VolumeStack`."""
    for place, plane in _planes(source, grid, convert):
        put(place, stored_plane(_hounsfield(_numbers(plane, nan_is_air, AIR_HU, source.path)), grid.mapping, place))


def _decode_mri(
    source: FileVolume, grid: VolumeGrid, convert: Optional[Convert], nan_is_air: bool, put: PutPlane
) -> None:
    """See :class:`VolumeStack`; the volume is in memory, because its scale is that of all its voxels."""
    planes = {place: _numbers(plane, nan_is_air, 0, source.path) for place, plane in _planes(source, grid, convert)}
    try:
        grey = grey_range(np.stack([*planes.values()]))
    except InputError as error:
        raise VolumeError(str(error), source.path) from error
    for place in sorted(planes):
        put(place, stored_plane(stored_grey(planes.pop(place), grey), grid.mapping, place))


def _planes(source: FileVolume, grid: VolumeGrid, convert: Optional[Convert]) -> Iterator[Tuple[int, Array]]:
    """The planes across the body as real numbers, with their places from the feet."""
    across, count = grid.axes[0], len(grid.mapping.slices)
    for index, plane in enumerate(source.planes(across)):
        yield count - 1 - index if grid.downward else index, plane if convert is None else convert(plane)


def _numbers(plane: Array, nan_is_air: bool, air: int, path: Path) -> Array:
    """The plane, where NaN and infinite values are ``air`` or an error."""
    unknown = ~np.isfinite(plane) if plane.dtype.kind == "f" else None
    if unknown is None or not unknown.any():
        return plane
    if not nan_is_air:
        raise VolumeError(
            f"a slice holds {int(unknown.sum())} values that are no numbers (NaN or infinite): padding of "
            "another tool? --accept nan takes them for air",
            path,
        )
    filled: Array = np.where(unknown, air, plane)
    return filled


def _hounsfield(plane: Array) -> Array:
    """int16 of real numbers, never below -1024."""
    plane = np.rint(plane) if plane.dtype.kind == "f" else plane
    return np.clip(plane, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
