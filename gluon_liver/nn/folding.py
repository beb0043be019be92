"""A detector for inference: BatchNorm inside the convolutions before it, Block4 in bfloat16 where that is wanted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.system.runtime import cpu_flags

from .layers.normalised import BN_EPSILON, FOLDED, GROUP
from .rcnn import RegionDetector, initialize

FLOAT32, REDUCED = "float32", "bfloat16"
INSTRUCTIONS = "avx512_bf16"  # of a CPU that multiplies bfloat16; on others oneDNN is slower with it than with float32


def folded(detector: RegionDetector, *, context: mx.Context, precision: str = FLOAT32) -> RegionDetector:
    """A copy of a detector on ``context`` that gives the same numbers in inference and has no BatchNorm.

    A BatchNorm multiplies each channel by gamma / sqrt(variance + epsilon) and adds a shift. The convolution before it
    (conv2 of bn2, skip_conv of skip_bn, conv of bn) takes both, computed in float64.

    GroupNorm has no such form, for it knows each map's statistics alone: a detector that has it is as it is.

    precision: bfloat16 for a copy whose Block4 computes in it and gives other numbers, as far off as its rounding. A
    detector that is folded is as it is.

    Raises :class:`InputError` as :func:`check_precision` does, and for GroupNorm in bfloat16.
    """
    check_precision(precision, context)
    if detector.config.batch_norm == GROUP and precision == REDUCED:
        raise InputError(f"precision {REDUCED}: not with network.batch_norm group: leave it out")
    if detector.config.batch_norm in (FOLDED, GROUP):
        return detector
    copy = detector.rebuilt(dataclasses.replace(detector.config, batch_norm=FOLDED))
    initialize(copy, context, weights=mx.init.Zero())  # all of them are set below
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
    if precision == REDUCED and copy.block4 is not None:
        copy.block4.reduce()
    return copy


def check_precision(precision: str, context: mx.Context, *, proc: Path = Path("/proc")) -> None:
    """Raise :class:`InputError` for a precision that is not known, or that the device does not compute in."""
    if precision == FLOAT32:
        return
    if precision != REDUCED:
        raise InputError(f"precision {precision!r}: expected {FLOAT32} or {REDUCED}")
    if context.device_type != "cpu":
        raise InputError(f"precision {REDUCED} is for CPUs, not for {context}: leave it out")
    if INSTRUCTIONS not in cpu_flags(proc=proc):
        lacks = f"this CPU does not have {INSTRUCTIONS} (flags in {proc / 'cpuinfo'})"
        raise InputError(f"precision {REDUCED}: {lacks} and would be slower with it than with {FLOAT32}: leave it out")


def scale_and_shift(numbers: Dict[str, np.ndarray], norm: str) -> Tuple[np.ndarray, np.ndarray]:
    """What the BatchNorm of that name multiplies each channel with and then adds, float64."""
    gamma, beta, mean, variance = (
        numbers[f"{norm}.{name}"].astype(np.float64) for name in ("gamma", "beta", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + BN_EPSILON)
    return scale, beta - mean * scale
