"""MXNet's automatic mixed precision for these networks: which operators stay in float32, and the losses.

By MXNet's own lists positions would be float16 here, which has whole numbers up to 2,048 and half pixels from 512 on:
decoded proposals, and the numbers of anchors. They also let a map in float16 meet a grid in float32 in BilinearSampler,
which refuses that, and make infinities of constants beyond 65,504. Read in the sources of 1.9.1 and in the types of the
traced graphs (docs/gpu.md); not run on a GPU.
"""

from __future__ import annotations

from mxnet.contrib import amp
from mxnet.contrib.amp.lists.symbol_fp16 import FP32_FUNCS

from gluon_liver.nn.nets import TrainingOutputs

IN_FLOAT32 = (
    "_contrib_arange_like",
    "_contrib_box_decode",
    "_contrib_box_encode",
    "BilinearSampler",
    "GridGenerator",
    "ones_like",
)


def cast_operators() -> None:
    """Let all networks of this process that are traced from now on compute in mixed precision; only the first call
    does something."""
    amp.init(fp32_ops=[*FP32_FUNCS, *IN_FLOAT32])


def in_float32(outputs: TrainingOutputs) -> TrainingOutputs:
    """Outputs whose losses are computed in float32; their gradients go back in their own types."""
    return TrainingOutputs(*[array.astype("float32", copy=False) for array in outputs.arrays()])
