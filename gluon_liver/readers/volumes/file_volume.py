"""What every kind of volume file offers: its place in the patient, and its planes one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Tuple

from gluon_liver.structures.arrays import Array, FloatArray

Planes = Callable[[int], Iterator[Array]]


@dataclass(frozen=True)
class FileVolume:
    """A volume whose header was read.

    shape: along the file's axes i, j, k. affine: (4, 4), index (i, j, k) -> patient coordinates (LPS) in mm.
    planes: for an axis, the planes across it in the file's order, as real numbers after the file's own scaling; each is
    (higher axis, lower axis), as (k, j) for i and (j, i) for k. Raises :class:`VolumeError` for a damaged file.
    """

    path: Path
    shape: Tuple[int, ...]
    affine: FloatArray
    planes: Planes
