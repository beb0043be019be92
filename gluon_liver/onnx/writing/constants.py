"""What of a graph is known before it runs, and what nothing reads."""

from __future__ import annotations

from typing import Dict, List, Set

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

REPEATING = ("ConstantOfShape", "Expand", "Range", "Tile")  # make much out of little: larger ones stay nodes
MOST_REPEATED = 1024  # numbers of an output of theirs that becomes a constant


def settle(graph: onnx.GraphProto, *, opset: int) -> None:
    """Compute nodes of constants alone, and drop nodes and constants that no output depends on."""
    drop_unread(graph)
    _compute(graph, opset)
    drop_unread(graph)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Drop nodes and constants that no output depends on."""
    read: Set[str] = {one.name for one in graph.output}
    nodes: List[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    constants = [one for one in graph.initializer if one.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(constants)


def _compute(graph: onnx.GraphProto, opset: int) -> None:
    known: Dict[str, np.ndarray] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    made: Set[str] = set()
    rest = []
    for node in graph.node:
        if not all(name in known or not name for name in node.input):
            rest.append(node)
            continue
        values = _run(node, known, opset)
        if node.op_type in REPEATING and values[0].size > MOST_REPEATED:
            rest.append(node)
            continue
        known.update(zip(node.output, values))
        made.update(node.output)
    used = {name for node in rest for name in node.input} | {one.name for one in graph.output}
    # an output that is a constant still needs a node that gives it
    outputs = {one.name for one in graph.output} & made
    nodes = [helper.make_node("Identity", [f"{name}.value"], [name]) for name in sorted(outputs)]
    del graph.node[:]
    graph.node.extend([*rest, *nodes])
    for name in sorted(made & used):
        stored = f"{name}.value" if name in outputs else name
        graph.initializer.append(numpy_helper.from_array(np.array(known[name], order="C"), stored))


def _run(node: onnx.NodeProto, known: Dict[str, np.ndarray], opset: int) -> List[np.ndarray]:
    """The outputs of a node, by the reference implementation of the standard."""
    names = list(dict.fromkeys(name for name in node.input if name))
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(known[name].dtype), known[name].shape)
        for name in names
    ]
    outputs = [helper.make_value_info(name, onnx.TypeProto()) for name in node.output]
    graph = helper.make_graph([node], "constant", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    evaluated = ReferenceEvaluator(model).run(None, {name: known[name] for name in names})
    return [np.asarray(value) for value in evaluated]
