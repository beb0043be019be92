"""Multiplications and bytes of a symbol, from the shapes of its arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Collection, Dict, List, Mapping, Sequence

import mxnet as mx
import numpy as np

from gluon_liver.training.mirror import VIEWS


@dataclass(frozen=True)
class Arithmetic:
    """Of one pass over a symbol.

    forward: multiplications, each with an addition, of convolutions and matrix products.
    step: the same with those of the backward pass: again as many for a weight that is learned, and again as many for
        an input on which something learned depends.
    map_bytes: of all outputs of operators, in float32; views of others are not counted.
    """

    forward: float
    step: float
    map_bytes: float


def arithmetic(symbol: mx.sym.Symbol, shapes: Mapping[str, Sequence[int]], *, learned: Collection[str]) -> Arithmetic:
    """Of a symbol whose inputs have ``shapes``. ``learned``: names of the arguments that get a gradient."""
    inner = symbol.get_internals()
    _, inferred, _ = inner.infer_shape(**shapes)
    shape_of = dict(zip(inner.list_outputs(), inferred))
    nodes: List[Dict[str, Any]] = json.loads(symbol.tojson())["nodes"]

    def shape(entry: Sequence[int]) -> Sequence[int]:
        node = nodes[entry[0]]
        if node["op"] == "null":
            return shape_of[node["name"]]
        return shape_of.get(f"{node['name']}_output") or shape_of[f"{node['name']}_output{entry[1]}"]

    forward = step = 0.0
    leads: List[bool] = []  # whether a gradient goes on from the node's output
    for place, node in enumerate(nodes):
        inputs = [leads[source[0]] for source in node["inputs"]]
        if node["op"] == "null":
            leads.append(node["name"] in learned)
            continue
        leads.append(node["op"] != "BlockGrad" and any(inputs))
        count = _multiplications(node, (place, 0), shape)
        forward += count
        step += count * (1 + sum(inputs[:2]))
    plain = {node["name"] for node in nodes if node["op"] == "null"}
    plain |= {f"{node['name']}_output" for node in nodes if node["op"] in VIEWS}
    maps = sum(4.0 * float(np.prod(size)) for name, size in shape_of.items() if name not in plain)
    return Arithmetic(forward=forward, step=step, map_bytes=maps)


def _multiplications(node: Mapping[str, Any], output: Sequence[int], shape: Any) -> float:
    """Of one operator; ``shape`` gives that of an entry (node, output)."""
    op, inputs = node["op"], node["inputs"]
    if op == "Convolution":  # each output element takes one weight of each input channel and kernel place
        return float(np.prod(shape(output)) * np.prod(shape(inputs[1])[1:]))
    if op == "FullyConnected":
        return float(np.prod(shape(output)) * shape(inputs[1])[1])
    if op == "Deconvolution":  # each input element meets its filters
        return float(np.prod(shape(inputs[0])) * np.prod(shape(inputs[1])[1:]))
    if op in ("batch_dot", "dot"):
        transposed = node.get("attrs", {}).get("transpose_a", "False") in ("True", "1")
        return float(np.prod(shape(output)) * shape(inputs[0])[-2 if transposed else -1])
    return 0.0
