"""What pixels of a study mean: HU of CT, or the grey values of MRI, which have no unit and need a scale of their own.

MRI is stored in the range of int16 that CT uses, so that -1024 is the darkest value of both: nothing was seen there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from gluon_liver.errors import InputError

if TYPE_CHECKING:
    from .arrays import Array

CT, MRI = "CT", "MRI"
MODALITIES = (CT, MRI)
DARK, BRIGHT = -1024, 1024  # what the two percentiles of an MRI volume are stored as
PERCENTILES = (0.5, 99.5)
MRI_WINDOW = (float(BRIGHT - DARK), (BRIGHT + DARK) / 2)  # (width, level) from black at the one to white at the other


def grey_range(volume: Array) -> Tuple[float, float]:
    """The two percentiles of all voxels of one MRI volume (one phase) that become DARK and BRIGHT.

    Zeros that fill the corners of a volume count, as its noise does. Raises :class:`InputError` for voxels that are not
    finite and for a volume with next to nothing on it.
    """
    import numpy as np  # here, for the names above are read where nothing is computed yet

    values = np.asarray(volume)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("the volume holds values that are not finite")
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    if not low < high:
        raise InputError(f"99 % of its voxels have one value, {low:g}: there is nothing on it to see")
    return low, high


def stored_grey(values: Array, grey: Tuple[float, float]) -> Array:
    """MRI intensities of any shape -> int16: ``grey`` linearly to DARK and BRIGHT, above it goes on as far as int16.

    Everything below the darker of both is DARK.
    """
    import numpy as np

    low, high = grey
    scaled = (np.asarray(values, np.float32) - np.float32(low)) * np.float32((BRIGHT - DARK) / (high - low)) + DARK
    stored: Array = np.clip(np.rint(scaled), DARK, np.iinfo(np.int16).max).astype(np.int16)
    return stored


def mri_volume(volume: Array) -> Array:
    """One MRI volume (one phase), numbers of any scale, as prepared data store it: int16 of the same shape.

    Each phase is scaled by itself. Raises as :func:`grey_range`.
    """
    return stored_grey(volume, grey_range(volume))
