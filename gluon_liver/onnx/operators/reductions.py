"""Sums, means and largest values along axes, softmax, products of matrices."""

from __future__ import annotations

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.writer import Writer

REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


def reduce(write: Writer, node: Node) -> str:
    """Along some axes or all; MXNet leaves one axis of length 1 where nothing else is left."""
    operator, axes = REDUCTIONS[node.operator], node.attributes.axes("axis")
    keep = int(bool(node.attributes.get("keepdims", False)))
    node.attributes.only(exclude=False)
    if operator == "ReduceSum":  # takes its axes as an input since opset 13, the others since 18
        reduced = write(operator, node.inputs[0], *([write.integers(*axes)] if axes else []), keepdims=keep)
    else:
        reduced = write(operator, node.inputs[0], keepdims=keep, **({"axes": axes} if axes else {}))
    everything = not axes or len(axes) == len(node.shapes[0])
    return write.reshape(reduced, (1,)) if everything and not keep else reduced


def softmax(write: Writer, node: Node) -> str:
    node.attributes.only(temperature=None, use_length=False, dtype=None)
    return write("Softmax", node.inputs[0], axis=node.attributes.get("axis", -1))


def batch_dot(write: Writer, node: Node) -> str:
    """Products of the matrices of two stacks of them."""
    node.attributes.only(forward_stype=None)
    turned = [node.attributes.get(name, False) for name in ("transpose_a", "transpose_b")]
    return write("MatMul", *(write("Transpose", x, perm=(0, 2, 1)) if t else x for x, t in zip(node.inputs, turned)))
