"""End-point error of optical flow (Baker et al., "A database and evaluation methodology for optical flow", 2011)."""

from __future__ import annotations

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import BoolArray, FloatArray


def end_point_error(flow: FloatArray, truth: FloatArray, valid: BoolArray) -> float:
    """Mean length in pixels of the difference of two flows, (2, H, W) each, over the pixels of ``valid``, bool (H, W).

    Raises :class:`InputError` when no pixel is valid, or a flow is not finite at one that is.
    """
    if not valid.any():
        raise InputError("no pixel of the pair has a known motion: there is no end-point error to tell")
    error = np.hypot(*(flow.astype(np.float64) - truth)[:, valid])
    if not np.isfinite(error).all():
        raise InputError(f"the flow is not finite at {(~np.isfinite(error)).sum()} of {error.size} pixels")
    return float(error.mean())
