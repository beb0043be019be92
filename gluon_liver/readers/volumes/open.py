"""Files of volumes and of masks, by the ending of their names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union

import numpy as np

from gluon_liver.errors import VolumeError
from gluon_liver.readers.dicom.pixels import AIR_HU
from gluon_liver.readers.dicom.planes import stored_plane
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.label_volume import LabelVolume
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

    value: "hu", or "mri" for intensities as the file has them. convert: makes HU of the file's numbers where a set is
    known to keep others, from a plane to one of the same shape. Only the header is read before slices are decoded.

    Raises :class:`VolumeError` for a file that cannot be read, says not where it lies, or has axes that are not at
    right angles; decoding raises it for a damaged one and for values that are no numbers (see
    :class:`.reading.VolumeReading`).
    """
    source = _open(Path(path))
    try:
        grid = stored_grid(source.affine, source.shape)
    except VolumeError as error:
        raise VolumeError(error.reason, path) from error
    decode = partial(_decode, source, grid, value, convert, reading().nan_is_air)
    return VolumeStack(grid.geometry, grid.mapping, SliceHistory(), decode)


def open_mask(path: Path_) -> LabelVolume:
    """A NIfTI, NRRD or MetaImage file of whole numbers as a mask on its own grid.

    Raises :class:`VolumeError` for a file that cannot be read, and for values that are no whole numbers of 0 to 65535.
    """
    source = _open(Path(path))
    try:
        geometry = file_geometry(source.affine, source.shape)
    except VolumeError as error:
        raise VolumeError(error.reason, path) from error
    labels: Array = np.zeros(geometry.size, dtype=np.uint8)
    for z, plane in enumerate(source.planes(2)):
        if plane.dtype.kind == "f" and not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
            raise VolumeError("it is no mask: it holds values that are no whole numbers", path)
        low, high = int(plane.min()), int(plane.max())
        if low < 0 or high > np.iinfo(np.uint16).max:
            raise VolumeError(f"it is no mask: it holds {low if low < 0 else high}; 0 to 65535 are labels", path)
        if high > np.iinfo(labels.dtype).max:
            labels = labels.astype(np.uint16)
        labels[z] = plane
    return LabelVolume(geometry, labels)


def _open(path: Path) -> FileVolume:
    ending = ending_of(path.name)
    if not ending:
        raise VolumeError(f"volumes are read from {', '.join(ENDINGS)}", path)
    return open_nifti(path, form=reading().form) if ending in NIFTI else open_itk(path)


def _decode(
    source: FileVolume, grid: VolumeGrid, value: str, convert: Optional[Convert], nan_is_air: bool, put: PutPlane
) -> None:
    """See :class:`VolumeStack`."""
    across, count = grid.axes[0], len(grid.mapping.slices)
    for index, plane in enumerate(source.planes(across)):
        place = count - 1 - index if grid.downward else index
        plane = plane if convert is None else convert(plane)
        put(place, stored_plane(_whole_numbers(plane, value, nan_is_air, source.path), grid.mapping, place))


def _whole_numbers(plane: Array, value: str, nan_is_air: bool, path: Path) -> Array:
    """int16 of real numbers: HU never below -1024, intensities as they are."""
    if plane.dtype.kind == "f":
        unknown = ~np.isfinite(plane)
        if unknown.any():
            if not nan_is_air:
                raise VolumeError(
                    f"a slice holds {int(unknown.sum())} values that are no numbers (NaN or infinite): padding of "
                    "another tool? --accept nan takes them for air",
                    path,
                )
            plane = np.where(unknown, AIR_HU if value == "hu" else 0, plane)
        plane = np.rint(plane)
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    if value == "hu":
        return np.clip(plane, AIR_HU, high).astype(np.int16)
    if plane.min() < low or plane.max() > high:
        raise VolumeError(
            f"it holds values from {plane.min():.6g} to {plane.max():.6g}; {low} to {high} are kept", path
        )
    return plane.astype(np.int16)
