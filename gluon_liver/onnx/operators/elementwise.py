"""Operators that see every number by itself."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.shapes import is_fixed, lengths
from gluon_liver.onnx.writing.writer import Writer

UNARY = {"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "abs": "Abs"}
BINARY = {
    "elemwise_add": "Add",
    "elemwise_sub": "Sub",
    "elemwise_mul": "Mul",
    "elemwise_div": "Div",
    "_maximum": "Max",
    "_minimum": "Min",
    "broadcast_add": "Add",
    "broadcast_sub": "Sub",
    "broadcast_mul": "Mul",
    "broadcast_div": "Div",
    "broadcast_maximum": "Max",
    "broadcast_minimum": "Min",
}
COMPARISONS = {"equal": "Equal", "greater": "Greater", "lesser": "Less"}
COMPARISONS.update(greater_equal="GreaterOrEqual", lesser_equal="LessOrEqual")
SCALARS = {"_plus_scalar": "Add", "_minus_scalar": "Sub", "_mul_scalar": "Mul", "_div_scalar": "Div"}
SCALARS.update(_maximum_scalar="Max", _minimum_scalar="Min", _power_scalar="Pow")
REVERSED = {"_rminus_scalar": "Sub", "_rdiv_scalar": "Div"}  # the scalar comes first
ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32}


def unary(write: Writer, node: Node) -> str:
    return write(UNARY[node.operator], *node.inputs)


def square(write: Writer, node: Node) -> str:
    return write("Mul", node.inputs[0], node.inputs[0])


def binary(write: Writer, node: Node) -> str:
    return write(BINARY[node.operator], *node.inputs)


def total(write: Writer, node: Node) -> str:
    """The sum of any number of arrays of one shape."""
    return write("Sum", *node.inputs)


def compared(write: Writer, node: Node) -> str:
    """1 where it is so, else 0; a NaN is not even equal to itself."""
    name = node.operator.replace("broadcast_", "_")[1:]
    other = node.inputs[1:]
    if name.endswith("_scalar"):
        name, other = name[: -len("_scalar")], [_scalar(write, node)]
    if name == "not_equal":
        return write.number(write("Not", write("Equal", node.inputs[0], *other)))
    return write.number(write(COMPARISONS[name], node.inputs[0], *other))


def with_scalar(write: Writer, node: Node) -> str:
    scalar = _scalar(write, node)
    if node.operator in REVERSED:
        return write(REVERSED[node.operator], scalar, node.inputs[0])
    return write(SCALARS[node.operator], node.inputs[0], scalar)


def _scalar(write: Writer, node: Node) -> str:
    node.attributes.get("is_int", None)  # how the number was written
    return write.constant(float(node.attributes.get("scalar", 0.0)))


def activation(write: Writer, node: Node) -> str:
    kind = node.attributes.get("act_type", "")
    if kind not in ACTIVATIONS:
        raise node.refuse(f"act_type {kind}")
    return write(ACTIVATIONS[kind], node.inputs[0])


def leaky_relu(write: Writer, node: Node) -> str:
    node.attributes.only(act_type="leaky")
    node.attributes.get("lower_bound", None), node.attributes.get("upper_bound", None)  # of the kind rrelu alone
    return write("LeakyRelu", node.inputs[0], alpha=float(node.attributes.get("slope", 0.25)))


def clip(write: Writer, node: Node) -> str:
    least, most = (write.constant(float(node.attributes.get(name, 0.0))) for name in ("a_min", "a_max"))
    return write("Clip", node.inputs[0], least, most)


def where(write: Writer, node: Node) -> str:
    """A condition of one axis chooses whole entries of the first axis."""
    condition = write.true(node.inputs[0])
    given, wanted = node.shapes[0], node.shapes[1]
    if len(given) == 1 and len(wanted) > 1:
        condition = write.reshape(condition, given + (1,) * (len(wanted) - 1))
    return write("Where", condition, *node.inputs[1:])


def same(write: Writer, node: Node) -> str:
    """What only training looks at."""
    return node.inputs[0]


def filled(write: Writer, node: Node) -> str:
    """Ones or zeros in the shape of an array."""
    value = TensorProto(data_type=TensorProto.FLOAT, dims=[1], float_data=[float(node.operator == "ones_like")])
    fixed = is_fixed(node.shape)
    shape = write.integers(*lengths(node.shape)) if fixed else write("Shape", node.inputs[0])
    return write("ConstantOfShape", shape, value=value)


def cast(write: Writer, node: Node) -> str:
    kind = node.attributes.get("dtype", "")
    if kind not in TYPES:
        raise node.refuse(f"the type {kind}")
    return write("Cast", node.inputs[0], to=TYPES[kind])


def arange(write: Writer, node: Node) -> str:
    """Numbers from ``start`` on."""
    start, stop = node.attributes.get("start", 0.0), node.attributes.get("stop", None)
    node.attributes.only(repeat=1, infer_range=False, dtype="float32")
    (count,) = lengths(node.shape)
    step = node.attributes.get("step", 1.0)
    # MXNet's numbers up to the first of two, where there is no second one
    return write.constant((0.0 if stop is None else start) + step * np.arange(count))


def arange_like(write: Writer, node: Node) -> str:
    """Numbers from ``start`` on, as many as an axis of an array is long."""
    start, step = node.attributes.get("start", 0.0), node.attributes.get("step", 1.0)
    axis = node.attributes.get("axis", None)
    node.attributes.only(repeat=1)
    if axis is None:
        raise node.refuse("no axis")
    length = node.shape[0]
    if isinstance(length, int):
        return write.constant(start + step * np.arange(length))
    count = write("Gather", write("Shape", node.inputs[0]), write.constant(axis, np.int64))
    numbers = write.number(write("Range", write.constant(0, np.int64), count, write.constant(1, np.int64)))
    return write("Add", write("Mul", numbers, write.constant(step)), write.constant(start))
