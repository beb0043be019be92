"""MXNet's names of the operators, and what writes each of them."""

from __future__ import annotations

from typing import Callable, Dict, List, Union

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.writer import Writer

from . import elementwise, layers, layout, reductions, regions, sampling

Operator = Callable[[Writer, Node], Union[str, List[str]]]

COMPARED = [*elementwise.COMPARISONS, "not_equal"]

OPERATORS: Dict[str, Operator] = {
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    **{f"_{name}": elementwise.compared for name in COMPARED},
    **{f"_{name}_scalar": elementwise.compared for name in COMPARED},
    **{f"broadcast_{name}": elementwise.compared for name in COMPARED},
    **dict.fromkeys([*elementwise.SCALARS, *elementwise.REVERSED], elementwise.with_scalar),
    "square": elementwise.square,
    "add_n": elementwise.total,
    "ElementWiseSum": elementwise.total,
    "Activation": elementwise.activation,
    "LeakyReLU": elementwise.leaky_relu,
    "clip": elementwise.clip,
    "where": elementwise.where,
    "BlockGrad": elementwise.same,
    "_copy": elementwise.same,
    "ones_like": elementwise.filled,
    "zeros_like": elementwise.filled,
    "Cast": elementwise.cast,
    "_arange": elementwise.arange,
    "_contrib_arange_like": elementwise.arange_like,
    **dict.fromkeys(["Reshape", "Flatten", "expand_dims", "squeeze", "reshape_like"], layout.reshape),
    "transpose": layout.transpose,
    "SwapAxis": layout.swap_axes,
    "slice_axis": layout.slice_axis,
    "slice": layout.slice_several,
    "slice_like": layout.slice_like,
    "SliceChannel": layout.split,
    "Concat": layout.concat,
    "stack": layout.stack,
    "tile": layout.tile,
    **dict.fromkeys(["broadcast_like", "broadcast_axis", "broadcast_to"], layout.broadcast),
    "reverse": layout.reverse,
    "Pad": layout.pad,
    "shape_array": layout.shape_array,
    **dict.fromkeys(reductions.REDUCTIONS, reductions.reduce),
    "softmax": reductions.softmax,
    "batch_dot": reductions.batch_dot,
    "Convolution": layers.convolution,
    "Deconvolution": layers.deconvolution,
    "FullyConnected": layers.fully_connected,
    "Pooling": layers.pooling,
    "GroupNorm": layers.group_norm,
    "GridGenerator": sampling.grid_generator,
    "BilinearSampler": sampling.bilinear_sampler,
    "_contrib_BilinearResize2D": sampling.bilinear_resize,
    "UpSampling": sampling.upsampling,
    "Correlation": sampling.correlation,
    "im2col": sampling.im2col,
    "_contrib_ROIAlign": regions.roi_align,
    "ROIPooling": regions.roi_pooling,
    "_contrib_box_decode": regions.box_decode,
    "_contrib_box_nms": regions.box_nms,
}
