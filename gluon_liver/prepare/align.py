"""Contrast phases of a study on the grid of its reference phase."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

import numpy as np

from gluon_liver.errors import PhaseError
from gluon_liver.readers.dicom.pixels import AIR_HU
from gluon_liver.readers.dicom.volume import Volume
from gluon_liver.structures.geometry import Geometry

# A slice centre this little inside the half slice around the moving stack counts as outside: rounding decides
# otherwise.
EDGE_TOLERANCE = 1e-3


def assemble(
    volumes: Mapping[str, Volume], phases: Sequence[str], reference: str
) -> Tuple[np.ndarray, np.ndarray, Geometry]:
    """Phases on the reference grid: (hu int16 (P, Z, Y, X), present bool (P, Z), geometry of the reference).

    Other phases are resampled by world coordinates (linear; -1024 HU outside). A slice whose centre lies half
    a slice or more outside the moving stack is absent, and so is every slice of a phase that has no volume.
    Nothing is registered: the patient is taken to lie still, as the paper does. Raises PhaseError without a
    reference volume and where frames of reference differ, for then coordinates cannot be compared.
    """
    if reference not in phases or reference not in volumes:
        raise PhaseError(f"there is no volume of the reference phase {reference!r}")
    fixed = volumes[reference]
    hu = np.full((len(phases),) + fixed.hu.shape, AIR_HU, dtype=np.int16)
    present = np.zeros((len(phases), len(fixed.hu)), dtype=bool)
    for index, phase in enumerate(phases):
        if phase not in volumes:
            continue
        moving = volumes[phase]
        if phase != reference:
            check_frame_of_reference(fixed.frame_of_reference, moving.frame_of_reference, phase, reference)
        if moving.geometry.same_grid(fixed.geometry):
            hu[index], present[index] = moving.hu, True
            continue
        z = moving.geometry.world_to_index(fixed.geometry.slice_centres())[:, 0]
        inside = 0.5 - EDGE_TOLERANCE
        present[index] = (z > -inside) & (z < len(moving.hu) - 1 + inside)
        if present[index].any():
            hu[index] = _resample(moving, fixed.geometry)
            hu[index, ~present[index]] = AIR_HU
    return hu, present, fixed.geometry


def check_frame_of_reference(fixed: str, moving: str, phase: str, reference: str) -> None:
    """Raise PhaseError unless both series say that they share one frame of reference."""
    if not fixed or fixed != moving:
        why = "its FrameOfReferenceUID is another one" if fixed and moving else "a series has no FrameOfReferenceUID"
        raise PhaseError(f"phase {phase} cannot be put on the grid of {reference}: {why}")


def _resample(moving: Volume, grid: Geometry) -> np.ndarray:
    import SimpleITK as sitk

    # float32 in between: with integer output ITK cuts towards zero instead of rounding.
    image = moving.geometry.to_sitk(moving.hu)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in grid.size[::-1]])
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputSpacing(grid.spacing[::-1])
    resampler.SetOutputDirection(np.asarray(grid.direction).ravel().tolist())
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(AIR_HU)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    # The view below borrows the memory of this image, which must therefore stay alive.
    resampled = resampler.Execute(image)
    return np.rint(sitk.GetArrayViewFromImage(resampled)).astype(np.int16)
