"""A folder of PNG pictures that is a mask: one for each slice of a series, named as the slice's file is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Set, Tuple

import numpy as np
from PIL import Image

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.readers.dicom.file_header import SliceHeader
from gluon_liver.readers.image_size import FAULTS, image_size
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.label_volume import LabelVolume

from .mask_series import one_mark, own_grid

ENDING = ".png"


@dataclass(frozen=True, eq=False)
class PngFolder:
    """The pictures of one folder. name: of the folder, which says what they mark."""

    name: str
    where: str
    paths: Tuple[Path, ...]

    def read(self, slices: Sequence[SliceHeader], pictures: Sequence[int]) -> List[LabelVolume]:
        """The mask on the grid of ``slices``, of each of which ``pictures`` says which path is its picture.

        Raises :class:`AnnotationError` for a picture of another size than its slice or in colours.
        """
        geometry, ordered = own_grid(slices, self.where)
        picture_of = {id(header): self.paths[place] for header, place in zip(slices, pictures)}
        labels: Array = np.zeros(geometry.size, np.uint16)
        values: Set[int] = set()
        for z, header in enumerate(ordered):
            plane = _read(picture_of[id(header)], f"{self.where}, picture of slice {z}")
            if plane.shape != labels.shape[1:]:
                (height, width), (rows, columns) = plane.shape, labels.shape[1:]
                raise AnnotationError(
                    f"{self.where}: the picture of slice {z} has {width}x{height} pixels, its slice {columns}x{rows}"
                )
            values |= set(np.unique(plane).tolist())
            labels[z] = plane
        return [one_mark(geometry, labels, values, self.name)]


def _read(path: Path, where: str) -> Array:
    """The values (rows, columns) of a grey picture, or of one in whose colours red, green and blue are alike."""
    try:
        image_size(path)  # by the header, before anything is decoded
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                plane = np.asarray(picture)
    except (*FAULTS, InputError) as error:
        raise AnnotationError(f"{where} cannot be read: it is cut short, damaged or too large") from error
    if plane.ndim == 3 and plane.shape[2] == 3 and (plane == plane[:, :, :1]).all():
        plane = plane[:, :, 0]
    if plane.ndim != 2 or plane.min() < 0 or plane.max() > np.iinfo(np.uint16).max:
        raise AnnotationError(f"{where} has colours; write masks in grey or with a palette, 0 where nothing is marked")
    return plane.astype(np.uint16)
