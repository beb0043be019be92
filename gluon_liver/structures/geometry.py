"""Where the voxels of a volume lie in the patient: DICOM patient coordinates (LPS), millimetres."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Tuple

import numpy as np

from gluon_liver.errors import GeometryError

from .arrays import Array, FloatArray

Triple = Tuple[float, float, float]


def triple(values: Iterable[float]) -> Triple:
    """Three numbers of any sequence or array as plain floats."""
    first, second, third = map(float, values)
    return first, second, third


@dataclass(frozen=True)
class Geometry:
    """A regular grid of voxels.

    World coordinates are DICOM patient coordinates in mm: x to the patient's left, y to the back, z to the head. An
    index names a voxel centre; the edge coordinate e of a box is the voxel index e - 0.5.

    origin: (x, y, z) mm of the centre of voxel (0, 0, 0).
    spacing: (dz, dy, dx) mm.
    direction: (3, 3), its COLUMNS are the unit world vectors of the index axes x, y, z (the order of SimpleITK).
    size: (nz, ny, nx) voxels.
    """

    origin: Triple
    spacing: Triple
    direction: Tuple[Triple, Triple, Triple]
    size: Tuple[int, int, int]

    def index_to_world(self, zyx: Array) -> FloatArray:
        """(..., 3) indices (z, y, x), fractions allowed -> (..., 3) world (x, y, z) in mm."""
        xyz = np.asarray(zyx, dtype=np.float64)[..., ::-1] * np.asarray(self.spacing[::-1])
        world: FloatArray = np.asarray(self.origin) + xyz @ np.asarray(self.direction).T
        return world

    def world_to_index(self, xyz: Array) -> FloatArray:
        """(..., 3) world (x, y, z) in mm -> (..., 3) indices (z, y, x), fractions."""
        offset = np.asarray(xyz, dtype=np.float64) - np.asarray(self.origin)
        along_axes = offset @ np.linalg.inv(np.asarray(self.direction)).T
        index: FloatArray = (along_axes / np.asarray(self.spacing[::-1]))[..., ::-1]
        return index

    def slice_centres(self) -> FloatArray:
        """(nz, 3) world points in mm at the middle of every slice."""
        nz, ny, nx = self.size
        return self.index_to_world(np.array([(z, (ny - 1) / 2, (nx - 1) / 2) for z in range(nz)]))

    def same_grid(self, other: Geometry, *, tolerance: float = 1e-3) -> bool:
        """Whether both grids put every voxel at the same place, within ``tolerance`` voxels at the corners."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1).T
        moved = other.world_to_index(self.index_to_world(corners))
        return bool(np.abs(moved - corners).max() <= tolerance)

    def to_json(self) -> Dict[str, Any]:
        """The fields as lists, for :func:`json.dumps`."""
        lists: Dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))  # tuples become lists
        return lists

    @classmethod
    def from_json(cls, record: Any) -> Geometry:
        """The inverse of :meth:`to_json`. Raises :class:`GeometryError` on anything else."""
        needs = "a geometry needs finite numbers: origin (3), spacing above 0 (3), direction (3x3), size above 0 (3)"
        shapes, values = {"origin": (3,), "spacing": (3,), "direction": (3, 3), "size": (3,)}, []
        for key, shape in shapes.items():
            try:
                values.append(np.array(record[key], dtype=np.float64))
            except (KeyError, TypeError, ValueError) as error:
                raise GeometryError(f"{needs}; {key}: {error}") from error
            good = values[-1].shape == shape and np.isfinite(values[-1]).all()
            if not good or (key in ("spacing", "size") and values[-1].min() <= 0):
                raise GeometryError(f"{needs}; {key} is {values[-1].tolist()!r:.60}")
        origin, spacing, direction, size = values
        x_row, y_row, z_row = (triple(row) for row in direction)
        nz, ny, nx = (int(n) for n in size)
        return cls(triple(origin), triple(spacing), (x_row, y_row, z_row), (nz, ny, nx))

    def to_sitk(self, array: Array) -> Any:
        """``array`` (z, y, x) as a SimpleITK image on this grid. Raises :class:`GeometryError` for another shape."""
        import SimpleITK as sitk

        if array.shape != self.size:
            raise GeometryError(f"the array has shape {array.shape}, the grid {self.size}")
        image: Any = sitk.GetImageFromArray(array)
        image.SetOrigin(self.origin)
        image.SetSpacing(self.spacing[::-1])
        image.SetDirection(np.asarray(self.direction).ravel().tolist())
        return image
