"""Where the voxels of a volume file lie -> the stored grid: slices that rise to the head, turned to patient axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from gluon_liver.errors import VolumeError
from gluon_liver.readers.dicom.tags import MAX_SIDE, MAX_SLICES, MAX_VOXELS
from gluon_liver.structures.arrays import FloatArray
from gluon_liver.structures.geometry import Geometry, triple
from gluon_liver.structures.slice_mapping import SliceMapping

MOST_SHEAR = 1e-3  # cosine between two axes
TIE = 1e-6  # at 45 degrees rounding must not decide

FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI's axes to the right, front and head -> DICOM's


@dataclass(frozen=True)
class VolumeGrid:
    """The grid of a volume file.

    axes: which axes of the file (0 is the one whose neighbours lie side by side) are slices, rows and columns: slices
    are those that lie across the body.
    downward: the file's slices run to the feet, so that source slice 0 is its last one.
    geometry, mapping: see :class:`VolumeStack`.
    """

    axes: Tuple[int, int, int]
    downward: bool
    geometry: Geometry
    mapping: SliceMapping


def file_geometry(affine: FloatArray, shape: Tuple[int, ...]) -> Geometry:
    """The grid of a file as it is: its axes 0, 1, 2 are x, y, z, wherever they point to.

    affine: (4, 4), index (i, j, k) of a voxel centre -> patient coordinates (LPS) in mm. Raises :class:`VolumeError`
    for numbers that are not finite, axes that are not at right angles, and sizes beyond those of a CT.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise VolumeError(f"it has the shape {'x'.join(map(str, shape))}, no slices of rows and columns")
    if max(shape) > MAX_SIDE or np.prod([int(n) for n in shape], dtype=np.float64) > MAX_VOXELS:
        bounds = f"{MAX_SIDE} a side and {MAX_VOXELS} voxels in all"
        raise VolumeError(f"it announces {'x'.join(map(str, shape))} voxels; the bounds are {bounds}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() <= 0:
        raise VolumeError("its affine matrix holds an axis without length, or numbers that are not finite")
    direction = affine[:3, :3] / spacing
    angles = direction.T @ direction - np.eye(3)
    if np.abs(angles).max() > MOST_SHEAR:
        degrees = np.degrees(np.arcsin(min(np.abs(angles).max(), 1.0)))
        raise VolumeError(
            f"its axes are not at right angles ({degrees:.1f} degrees off): a tilted gantry? Resample it to a grid "
            "that is, or import the DICOM files it was made from with --regrid"
        )
    x_row, y_row, z_row = (triple(row) for row in direction + 0.0)  # no -0
    nx, ny, nz = map(int, shape)
    return Geometry(triple(affine[:3, 3]), triple(spacing[::-1]), (x_row, y_row, z_row), (nz, ny, nx))


def stored_grid(affine: FloatArray, shape: Tuple[int, ...]) -> VolumeGrid:
    """The stored grid of a file. affine, errors: as :func:`file_geometry`."""
    spacing, direction = _axes_of(file_geometry(affine, shape))
    heights = np.abs(direction[2])
    across = max((2, 1, 0), key=lambda axis: heights[axis] + TIE * axis)
    along_row, along_column = (axis for axis in range(3) if axis != across)
    count, size = int(shape[across]), (int(shape[along_column]), int(shape[along_row]))
    if count > MAX_SLICES:
        raise VolumeError(f"it has {count} slices; the bound is {MAX_SLICES}")
    row, column = direction[:, along_row], direction[:, along_column]
    pixel = float(spacing[along_column]), float(spacing[along_row])
    mapping = SliceMapping.to_patient_axes([*row, *column], size, pixel).with_slices(range(count))
    downward = bool(direction[2, across] < 0)
    upward = -direction[:, across] if downward else direction[:, across]
    index = np.zeros(3)
    index[along_column], index[along_row] = mapping.source_index(0.5, 0.5)
    index[across] = count - 1 if downward else 0
    corner = affine[:3, :3] @ index + affine[:3, 3]
    along_y, along_x = (row, column) if mapping.turned else (column, row)
    flip_y, flip_x = mapping.flipped
    axes = np.stack([-along_x if flip_x else along_x, -along_y if flip_y else along_y, upward], axis=1)
    x_row, y_row, z_row = (triple(line) for line in axes + 0.0)
    height, width = mapping.stored_size
    if max(height, width) > MAX_SIDE or count * height * width > MAX_VOXELS:
        raise VolumeError(f"it would need {count} slices of {height}x{width} square pixels, more than this reads")
    step = triple((spacing[across], *mapping.stored_spacing))
    geometry = Geometry(triple(corner), step, (x_row, y_row, z_row), (count, height, width))
    return VolumeGrid((across, along_column, along_row), downward, geometry, mapping)


def _axes_of(geometry: Geometry) -> Tuple[FloatArray, FloatArray]:
    """(spacing (3,), direction (3, 3)) by the axes x, y, z."""
    return np.array(geometry.spacing[::-1]), np.array(geometry.direction)
