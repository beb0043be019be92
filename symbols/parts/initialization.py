"""How weights start, by name: as those of the Gluon networks do."""

from __future__ import division

import re
import zlib

import numpy as np

# the first pattern that a name fits decides; weights that fit none start after He et al. 2015
RULES = (
    (r"\.running_mean$|\.beta$|\.bias$", "zeros"),
    (r"\.running_var$", "ones"),
    (r"\.bn3\.gamma$", "zeros"),  # every block starts as its skip
    (r"\.gamma$|\.sum_[xy]\.weight$", "ones"),
    (r"block\d\.\d+\.conv\.weight$", "identity"),  # transition layers
    (r"^relation\..*\.(theta|project)\.weight$", "zeros"),
    (r"\.upsample_(flow|cost)\.weight$", "bilinear"),
    (r"^rpn\.|^class_predictor\.|^texture\.score\.", 0.01),
    (r"^box_predictor\.", 0.001),
)


def centre_tap(name, shape, seed):
    """:func:`new_weight` of conv1 whose slices are channels, (C, 1, slices, 7, 7): the centre's filters are those of a
    net of one slice, the sum over depth of 7x7x7 ones, and the others zero."""
    weight = np.zeros(shape, np.float32)
    weight[:, :, shape[2] // 2] = new_weight(name, shape[:2] + (7,) + shape[3:], seed).sum(axis=2)
    return weight


def new_weight(name, shape, seed):
    """Float32 array of ``shape``; random ones depend on ``name`` and ``seed`` alone."""
    rule = next((value for pattern, value in RULES if re.search(pattern, name)), "he")
    if rule in ("zeros", "ones"):
        return np.full(shape, rule == "ones", np.float32)
    if rule == "identity":
        return np.eye(shape[0], dtype=np.float32).reshape(shape)
    if rule == "bilinear":
        side = 1 - np.abs(np.arange(shape[2]) - (shape[2] - 1) / 2.0) / (shape[2] // 2)
        return np.broadcast_to(side[:, None] * side, shape).astype(np.float32)
    deviation = np.sqrt(2.0 / np.prod(shape[1:])) if rule == "he" else rule
    rng = np.random.RandomState((zlib.crc32(name.encode("ascii")) + seed) & 0xFFFFFFFF)
    return rng.normal(0, deviation, shape).astype(np.float32)
