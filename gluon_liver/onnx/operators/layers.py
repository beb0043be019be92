"""Convolutions, dense layers, poolings, GroupNorm."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.shapes import Shape
from gluon_liver.onnx.writing.writer import Writer


def _window(node: Node, kernel: Tuple[int, ...]) -> Dict[str, Any]:
    """kernel_shape, strides and pads: MXNet pads both ends alike."""
    axes = len(kernel)
    stride, pad = node.attributes.axes("stride") or (1,) * axes, node.attributes.axes("pad") or (0,) * axes
    return {"kernel_shape": kernel, "strides": stride, "pads": pad + pad}


def _channels_first(node: Node) -> None:
    layout = node.attributes.get("layout", None)
    if layout not in (None, "NCW", "NCHW", "NCDHW"):
        raise node.refuse(f"the layout {layout}")


def convolution(write: Writer, node: Node) -> str:
    _channels_first(node)
    kernel = node.attributes.axes("kernel")
    node.attributes.get("no_bias", False)  # there is an input less
    dilation, group = node.attributes.axes("dilate") or (1,) * len(kernel), node.attributes.get("num_group", 1)
    return write("Conv", *node.inputs, dilations=dilation, group=group, **_window(node, kernel))


def deconvolution(write: Writer, node: Node) -> str:
    _channels_first(node)
    kernel = node.attributes.axes("kernel")
    node.attributes.get("no_bias", True)
    node.attributes.only(target_shape=())
    added = node.attributes.axes("adj") or (0,) * len(kernel)
    dilation, group = node.attributes.axes("dilate") or (1,) * len(kernel), node.attributes.get("num_group", 1)
    options = dict(_window(node, kernel), output_padding=added, dilations=dilation, group=group)
    return write("ConvTranspose", *node.inputs, **options)


def fully_connected(write: Writer, node: Node) -> str:
    """Rows times the turned weight (units, inputs); without ``flatten`` along the last axis of any array."""
    node.attributes.get("no_bias", False)
    x, weight, bias = node.inputs[0], node.inputs[1], node.inputs[2:]
    if node.attributes.get("flatten", True):
        if len(node.shapes[0]) > 2:
            x = write("Flatten", x, axis=1)
        return write("Gemm", x, weight, *bias, transB=1)
    product = write("MatMul", x, write("Transpose", weight, perm=(1, 0)))
    return write("Add", product, *bias) if bias else product


def pooling(write: Writer, node: Node) -> str:
    """Largest values or means of windows, or of the whole map."""
    _channels_first(node)
    kind = node.attributes.get("pool_type", "max")
    if kind not in ("max", "avg"):
        raise node.refuse(f"pool_type {kind}")
    kernel, convention = node.attributes.axes("kernel"), node.attributes.get("pooling_convention", "valid")
    counted = node.attributes.get("count_include_pad", True)
    options = _window(node, kernel)
    if node.attributes.get("global_pool", False):
        return write("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", node.inputs[0])
    if convention not in ("valid", "full"):
        raise node.refuse(f"pooling_convention {convention}")
    if convention == "full":
        _check_full(node, options)
        options["ceil_mode"] = 1
    if kind == "max":
        return write("MaxPool", node.inputs[0], **options)
    return write("AveragePool", node.inputs[0], count_include_pad=int(counted), **options)


def _check_full(node: Node, options: Dict[str, Sequence[int]]) -> None:
    """Windows that begin in the padding at the end are there in MXNet and not in ONNX; means there differ too."""
    maps: Shape = node.shapes[0][2:]
    pads = options["pads"][: len(maps)]
    for length, stride, pad, count in zip(maps, options["strides"], pads, node.shape[2:]):
        assert isinstance(length, int) and isinstance(count, int)
        if (count - 1) * stride >= length + pad or node.attributes.get("pool_type", "max") == "avg":
            raise node.refuse("pooling_convention full of means, or with a window in the padding alone,")


def group_norm(write: Writer, node: Node) -> str:
    """Each group of channels less its mean, by its deviation; a scale and a shift a group, as MXNet 1.9.1 has it."""
    groups, epsilon = node.attributes.get("num_groups", 1), node.attributes.get("eps", 1e-5)
    node.attributes.only(output_mean_var=False)
    x = write("Reshape", node.inputs[0], write.constant((0, groups, -1), np.int64))
    x = write("InstanceNormalization", x, *node.inputs[1:], epsilon=float(epsilon))
    return write.reshape(x, node.shape)
