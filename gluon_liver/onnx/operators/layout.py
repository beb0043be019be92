"""Operators that move numbers and change none."""

from __future__ import annotations

from typing import List

import numpy as np

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.shapes import Shape, is_fixed, lengths
from gluon_liver.onnx.writing.writer import LARGEST, Writer


def reshape(write: Writer, node: Node) -> str:
    """Reshape, Flatten, expand_dims, squeeze and reshape_like: what comes out has a shape that is known."""
    for name in ("shape", "reverse", "axis"):
        node.attributes.get(name, None)
    node.attributes.only(target_shape=(0,), keep_highest=False, lhs_begin=None, lhs_end=None)
    return node.inputs[0] if node.shape == node.shapes[0] else write.reshape(node.inputs[0], node.shape)


def transpose(write: Writer, node: Node) -> str:
    axes = node.attributes.axes("axes") or tuple(reversed(range(len(node.shape))))
    return write("Transpose", node.inputs[0], perm=axes)


def swap_axes(write: Writer, node: Node) -> str:
    first, second = node.attributes.get("dim1", 0), node.attributes.get("dim2", 0)
    order = list(range(len(node.shape)))
    order[first], order[second] = order[second], order[first]
    return write("Transpose", node.inputs[0], perm=order)


def slice_axis(write: Writer, node: Node) -> str:
    axis, begin, end = (node.attributes.get(name, None) for name in ("axis", "begin", "end"))
    return write.sliced(node.inputs[0], [axis], [begin], [LARGEST if end is None else end])


def slice_several(write: Writer, node: Node) -> str:
    """A part along the first axes, with steps."""
    begins, ends, steps = (node.attributes.axes(name) for name in ("begin", "end", "step"))
    steps = tuple(1 if step is None else step for step in steps or (None,) * len(begins))
    if any(step < 1 for step in steps):
        raise node.refuse(f"the step {steps}")
    begins = tuple(begin or 0 for begin in begins)
    ends = tuple(LARGEST if end is None else end for end in ends)
    return write.sliced(node.inputs[0], range(len(begins)), begins, ends, steps)


def slice_like(write: Writer, node: Node) -> str:
    """The first entries along some axes, as many as another array has."""
    axes = [axis % len(node.shape) for axis in node.attributes.axes("axes") or range(len(node.shape))]
    changed = [axis for axis in axes if node.shape[axis] != node.shapes[0][axis]]
    if not changed:
        return node.inputs[0]
    ends = lengths(tuple(node.shape[axis] for axis in changed))
    if -1 in ends:
        raise node.refuse("an axis of the length of the batch")
    return write.sliced(node.inputs[0], changed, [0] * len(changed), ends)


def split(write: Writer, node: Node) -> List[str]:
    axis, count = node.attributes.get("axis", 1), len(node.outputs)
    node.attributes.only(squeeze_axis=False)
    if count == 1:
        return [node.inputs[0]]
    return write.several("Split", node.inputs[0], outputs=count, axis=axis)


def concat(write: Writer, node: Node) -> str:
    return _concat(write, list(node.inputs), node.attributes.get("dim", 1))


def stack(write: Writer, node: Node) -> str:
    axis = node.attributes.get("axis", 0) % len(node.shape)
    shape = node.shapes[0][:axis] + (1,) + node.shapes[0][axis:]
    return _concat(write, [write.reshape(one, shape) for one in node.inputs], axis)


def _concat(write: Writer, inputs: List[str], axis: int) -> str:
    return inputs[0] if len(inputs) == 1 else write("Concat", *inputs, axis=axis)


def tile(write: Writer, node: Node) -> str:
    repeats = list(node.attributes.axes("reps"))
    axes = max(len(repeats), len(node.shapes[0]))
    repeats = [1] * (axes - len(repeats)) + repeats
    x = node.inputs[0]
    if axes > len(node.shapes[0]):
        x = write.reshape(x, (1,) * (axes - len(node.shapes[0])) + tuple(node.shapes[0]))
    return write("Tile", x, write.integers(*repeats))


def broadcast(write: Writer, node: Node) -> str:
    """broadcast_like, broadcast_axis and broadcast_to."""
    for name in ("axis", "size", "shape"):
        node.attributes.get(name, None)
    node.attributes.only(lhs_axes=None, rhs_axes=None)
    like = node.inputs[1] if len(node.inputs) > 1 else None
    return write.expanded(node.inputs[0], node.shapes[0], node.shape, like)


def reverse(write: Writer, node: Node) -> str:
    axes = node.attributes.axes("axis")
    return write.sliced(node.inputs[0], axes, [-1] * len(axes), [-LARGEST] * len(axes), [-1] * len(axes))


def pad(write: Writer, node: Node) -> str:
    mode, widths = node.attributes.get("mode", "constant"), node.attributes.axes("pad_width")
    value = node.attributes.get("constant_value", 0.0)
    pads = write.integers(*widths[::2], *widths[1::2])
    if mode == "constant":
        return write("Pad", node.inputs[0], pads, write.constant(float(value)), mode=mode)
    return write("Pad", node.inputs[0], pads, mode=mode)


def shape_array(write: Writer, node: Node) -> str:
    shape: Shape = node.shapes[0]
    if is_fixed(shape):
        return write.constant(shape, np.int64)
    # the batch is no constant, the other lengths are
    axis = [isinstance(length, int) for length in shape].index(False)
    batch = write.sliced(write("Shape", node.inputs[0]), [0], [axis], [axis + 1])
    known = [write.integers(length) if isinstance(length, int) else batch for length in shape]
    return write("Concat", *known, axis=0)
