"""Operators of optical flow: maps read at other places, compared with each other, and enlarged."""

from __future__ import annotations

import numpy as np

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.writer import Writer


def grid_generator(write: Writer, node: Node) -> str:
    """A flow (B, 2, H, W) in cells -> the places that it points to, -1 the middle of the first cell, 1 of the last."""
    node.attributes.only(transform_type="warp", target_shape=(0, 0))
    height, width = node.shape[2:]
    assert isinstance(height, int) and isinstance(width, int)
    across, down = np.zeros((1, 2, 1, width)), np.zeros((1, 2, height, 1))
    across[0, 0, 0], down[0, 1, :, 0] = np.arange(width), np.arange(height)
    places = write("Add", write("Add", node.inputs[0], write.constant(across)), write.constant(down))
    half = np.array([width - 1, height - 1]).reshape(1, 2, 1, 1) / 2
    return write("Sub", write("Div", places, write.constant(half)), write.constant(1.0))


def bilinear_sampler(write: Writer, node: Node) -> str:
    """Maps (B, C, H, W) read at places (B, 2, h, w); zero outside."""
    places = write("Transpose", node.inputs[1], perm=(0, 2, 3, 1))
    options = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 1}  # called linear from opset 20 on
    return write("GridSample", node.inputs[0], places, **options)


def bilinear_resize(write: Writer, node: Node) -> str:
    """Bilinear between the middles of cells, edges repeated."""
    for name in ("scale_height", "scale_width", "height", "width"):
        node.attributes.get(name, None)
    node.attributes.only(mode="size", align_corners=False, like=False)
    return _resized(write, node, mode="linear", coordinate_transformation_mode="half_pixel")


def upsampling(write: Writer, node: Node) -> str:
    """Every cell repeated."""
    node.attributes.get("scale", 1)
    node.attributes.only(sample_type="nearest", num_filter=0, multi_input_mode="concat")
    if len(node.inputs) > 1:
        raise node.refuse("more than one input")
    options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resized(write, node, mode="nearest", **options)


def _resized(write: Writer, node: Node, **options: str) -> str:
    """By a whole factor along height and width, for which lengths and factors say the same."""
    factors = []
    for before, after in zip(node.shapes[0][2:], node.shape[2:]):
        assert isinstance(before, int) and isinstance(after, int)
        if after % before:
            raise node.refuse(f"{before} cells to {after}, no multiple,")
        factors.append(after // before)
    return write("Resize", node.inputs[0], "", write.constant([1, 1, *factors]), **options)


def correlation(write: Writer, node: Node) -> str:
    """Means over channels of one map times the other one displaced, a channel for each displacement, dy by dy."""
    node.attributes.only(kernel_size=1, is_multiply=True)
    reach, pad = node.attributes.get("max_displacement", 1), node.attributes.get("pad_size", 0)
    stride, step = node.attributes.get("stride1", 1), node.attributes.get("stride2", 1)
    widths = write.integers(0, 0, pad, pad, 0, 0, pad, pad)
    first, second = (write("Pad", x, widths, mode="constant") for x in node.inputs)
    height, width = node.shape[2:]
    assert isinstance(height, int) and isinstance(width, int)

    def cells(x: str, y0: int, x0: int) -> str:
        ends = [y0 + (height - 1) * stride + 1, x0 + (width - 1) * stride + 1]
        return write.sliced(x, [2, 3], [y0, x0], ends, [stride, stride])

    first = cells(first, reach, reach)
    displacements = range(-(reach // step) * step, reach + 1, step)
    products = [
        write("ReduceMean", write("Mul", first, cells(second, reach + dy, reach + dx)), axes=[1], keepdims=1)
        for dy in displacements
        for dx in displacements
    ]
    return write("Concat", *products, axis=1)


def im2col(write: Writer, node: Node) -> str:
    """The window around each cell as channels: a convolution whose filters are 1 in one place each."""
    kernel, pad = node.attributes.axes("kernel"), node.attributes.axes("pad") or (0, 0)
    stride, dilation = node.attributes.axes("stride") or (1, 1), node.attributes.axes("dilate") or (1, 1)
    channels, places = node.shapes[0][1], int(np.prod(kernel))
    assert isinstance(channels, int)
    filters = np.tile(np.eye(places).reshape(places, 1, *kernel), (channels, 1, 1, 1))
    options = {"kernel_shape": kernel, "strides": stride, "pads": pad + pad, "dilations": dilation}
    columns = write("Conv", node.inputs[0], write.constant(filters), group=channels, **options)
    return write.reshape(columns, node.shape)
