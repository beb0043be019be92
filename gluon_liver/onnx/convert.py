"""An MXNet symbol as an ONNX model, operator by operator.

MXNet's own converter stops at half of the operators that detectors use. Here every shape is known but for the batch
axis: it is asked of MXNet for two batches, so that its codes for shapes (0, -1, -2, -3, -4) need no reading.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
import onnx
from onnx import helper

from gluon_liver.errors import InputError

from .operators.table import OPERATORS
from .writing.constants import settle
from .writing.node import Attributes, Node, SymbolNode, symbol_nodes
from .writing.shapes import BATCHES, PerImage, Shape, told_apart
from .writing.writer import Writer

OPSET = 17
IR_VERSION = 8  # that came with opset 17: newer ones are refused by older runtimes
PRODUCER = "gluon_liver"
TYPES = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int64): onnx.TensorProto.INT64}
Entry = Tuple[int, int]  # number of a node and of its output
Readers = Dict[int, List[Tuple[str, Mapping[str, str]]]]


def convert(
    symbol: mx.sym.Symbol,
    params: Mapping[str, np.ndarray],
    *,
    inputs: Mapping[str, Sequence[Optional[int]]],
    outputs: Sequence[str],
    name: str,
    names: Optional[Mapping[str, str]] = None,
) -> onnx.ModelProto:
    """The model of a symbol, checked, with constants computed.

    params: arrays of the symbol's variables by name.
    inputs: shapes of the other variables, float32; None for the batch axis.
    outputs: names of the symbol's outputs in the model, in their order.
    name: of the graph.
    names: of variables that get another one in the model.

    Raises :class:`InputError` for an operator, or a form of one, that has no translation.
    """
    # JSON leaves out casts of mixed precision; copies have names of their own, which blocks that are called twice lack
    symbol = mx.sym.Group([mx.sym.identity(one) for one in mx.sym.load_json(symbol.tojson())])
    internals = symbol.get_internals()
    tree = json.loads(internals.tojson())
    entries = [(number, output) for number, output, *_ in tree["heads"]]
    by_name = dict(zip(internals.list_outputs(), entries))
    nodes, heads = list(symbol_nodes(tree)), [by_name[one] for one in symbol.list_outputs()]
    shapes = dict(zip(entries, _shapes(internals, params, inputs)))
    readers: Readers = defaultdict(list)
    for node in nodes:
        for number, _ in node.inputs:
            readers[number].append((node.operator, node.attributes))
    for number, _ in heads:
        readers[number].append(("output", {}))
    write, values = Writer(names), {}
    for number, node in enumerate(nodes):
        if node.operator == "null":
            values[number, 0] = node.name if node.name in inputs else write.weight(node.name, params[node.name])
            continue
        made = _write(write, node, values, shapes, number, readers)
        values.update({(number, output): value for output, value in enumerate(made)})
    given = {one: tuple(PerImage(1) if length is None else length for length in inputs[one]) for one in inputs}
    told = symbol.infer_type(**dict.fromkeys(symbol.list_arguments(), np.float32))[1]
    kinds = [TYPES[np.dtype(kind)] for kind in told]
    ends = {one: (values[head], shapes[head], kind) for one, head, kind in zip(outputs, heads, kinds)}
    graph = write.graph(name, inputs=given, outputs=ends)
    settle(graph, opset=OPSET)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=PRODUCER
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _write(
    write: Writer, node: SymbolNode, values: Dict[Entry, str], shapes: Dict[Entry, Shape], number: int, readers: Readers
) -> List[str]:
    """Write one node, and give the names of its outputs."""
    if node.operator not in OPERATORS:
        raise InputError(f"{node.name}: the operator {node.operator} has no translation to ONNX here")
    attributes = Attributes(node.attributes, what=f"{node.name}: the operator {node.operator}")
    count = len([entry for entry in shapes if entry[0] == number]) if node.operator == "SliceChannel" else 1
    read = Node(
        operator=node.operator,
        attributes=attributes,
        inputs=[values[entry] for entry in node.inputs],
        shapes=[shapes[entry] for entry in node.inputs],
        outputs=[shapes[number, output] for output in range(count)],
        readers=readers[number],
    )
    try:
        made = OPERATORS[node.operator](write, read)
    except ValueError as error:
        raise InputError(f"{node.name}: the operator {node.operator}: {error}") from error
    attributes.check_read()
    return [made] if isinstance(made, str) else made


def _shapes(
    internals: mx.sym.Symbol, params: Mapping[str, np.ndarray], inputs: Mapping[str, Sequence[Optional[int]]]
) -> List[Shape]:
    """The shapes of all outputs."""
    told: List[Any] = []
    for batch in BATCHES:
        known = {name: params[name].shape for name in internals.list_arguments() if name not in inputs}
        sizes = {name: tuple(batch if one is None else one for one in shape) for name, shape in inputs.items()}
        known.update({name: size for name, size in sizes.items() if name in internals.list_arguments()})
        told.append(internals.infer_shape(**known)[1])
    return [told_apart(*pair) for pair in zip(*told)]
