"""A detector for inference: BatchNorm inside the convolutions before it."""

from __future__ import annotations

import dataclasses
from typing import Dict, Tuple

import mxnet as mx
import numpy as np

from .layers.normalised import BN_EPSILON, FOLDED
from .rcnn import RegionDetector, initialize


def folded(detector: RegionDetector, *, context: mx.Context) -> RegionDetector:
    """A copy of a detector on ``context`` that gives the same numbers in inference and has no BatchNorm.

    A BatchNorm multiplies each channel by gamma / sqrt(variance + epsilon) and adds a shift. The convolution before it
    (conv2 of bn2, skip_conv of skip_bn, conv of bn) takes both, computed in float64.
    """
    if detector.config.batch_norm == FOLDED:
        return detector
    copy = detector.rebuilt(dataclasses.replace(detector.config, batch_norm=FOLDED))
    initialize(copy, context)
    numbers = {name: one.data(one.list_ctx()[0]).asnumpy() for name, one in detector.collect_learned().items()}
    for name, parameter in copy.collect_learned().items():
        layer, _, kind = name.rpartition(".")
        block, _, conv = layer.rpartition(".")
        norm = f"{block}.{conv.replace('conv', 'bn')}"
        if f"{norm}.gamma" in numbers:
            scale, shift = scale_and_shift(numbers, norm)
            weight = numbers[f"{layer}.weight"]
            value = shift if kind == "bias" else weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
        else:
            value = numbers[name]
        parameter.set_data(mx.nd.array(value, ctx=context))
    return copy


def scale_and_shift(numbers: Dict[str, np.ndarray], norm: str) -> Tuple[np.ndarray, np.ndarray]:
    """What the BatchNorm of that name multiplies each channel with and then adds, float64."""
    gamma, beta, mean, variance = (
        numbers[f"{norm}.{name}"].astype(np.float64) for name in ("gamma", "beta", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + BN_EPSILON)
    return scale, beta - mean * scale
