"""The training graph in MXNet's executor, which keeps less; with mirroring the insides of bottlenecks run again.

Gluon's CachedOp plans the memory of both passes apart, so that the backward pass takes over nothing from the forward
one: r50-2.5d at 800x800 needs 4.7 GB in the executor and 5.2 GB in a CachedOp, and is no slower. On CPUs training
therefore always runs in the executor. For mirroring it has to, for in MXNet 1.9.1

- Gluon's CachedOp never mirrors (its ``CreateBackwardGraph`` passes no mirror function), only the executor does;
- ``MXNET_BACKWARD_DO_MIRROR=1`` leaves convolutions out, which then store their inputs: it saves 4 % here at best and
  costs 5 % at worst. With cuDNN it also stops the running statistics of live BatchNorms (they share one lock, which
  the first of them sets; read in the source, not run);
- the attribute ``__force_mirroring__`` of a node works for convolutions too. :func:`mirror_blocks` sets it.

:class:`BoundNet` binds the training graph of a Gluon net to MXNet's executor, over the net's own arrays.
"""

from __future__ import annotations

import json
from typing import AbstractSet, Any, Dict, List, Mapping, Optional, Sequence

import mxnet as mx
from mxnet import autograd

from gluon_liver.nn.nets import TrainingNet, TrainingOutputs

INPUTS = ("image", "gt_boxes", "gt_labels", "random_numbers", "present")
# cheap or large enough to recompute; never random operators, whose second run would differ
RELUS = frozenset(("Activation", "relu"))
NORMS = frozenset(("BatchNorm", "GroupNorm"))
RECOMPUTED = NORMS | frozenset("elemwise_add Pooling Reshape reshape_like slice_axis Concat stack".split()) | RELUS
VIEWS = frozenset("Reshape reshape_like squeeze expand_dims Flatten BlockGrad _copy".split())


class BoundNet:
    """A TrainingNet in MXNet's executor: called like the net inside ``autograd.record()``, then :meth:`backward`.

    It reads and writes the net's own parameters, gradients and running statistics on ``context``. Bound at the first
    batch, whose shapes all others must have. mirror: compute the insides of bottlenecks again in the backward pass.
    """

    def __init__(self, net: TrainingNet, *, context: mx.Context, mirror: bool):
        self._net, self._context, self._mirror = net, context, mirror
        self._executor: Optional[mx.executor.Executor] = None

    def __call__(self, *inputs: mx.nd.NDArray) -> TrainingOutputs:
        """What the net returns, as arrays with a gradient that :meth:`backward` takes from."""
        named = dict(zip(INPUTS, inputs))
        if self._executor is None:
            self._executor = self._bind(named)
        with autograd.pause():
            outputs = self._executor.forward(is_train=True, **named)
            self._outputs = TrainingOutputs(*[output.copy() for output in outputs])
        for output in self._outputs.arrays():
            output.attach_grad()
        return self._outputs

    def backward(self) -> None:
        """Gradients of the parameters, after ``backward()`` of a loss of the outputs."""
        assert self._executor is not None, "backward() before a call"
        self._executor.backward([output.grad for output in self._outputs.arrays()])
        for parameter in self._learned:
            parameter.data(self._context)._fresh_grad = True  # what autograd would note, and Trainer asks for

    def _bind(self, inputs: Dict[str, mx.nd.NDArray]) -> mx.executor.Executor:
        symbol = training_symbol(self._net, list(inputs))
        symbol = mirror_blocks(symbol) if self._mirror else symbol
        own = self._net.collect_params()
        arguments = {
            name: inputs[name].copy() if name in inputs else own[name].data(self._context)
            for name in symbol.list_arguments()
        }
        learned = [name for name in arguments if name in own and own[name].grad_req != "null"]
        self._learned = [own[name] for name in learned]
        return symbol.bind(
            self._context,
            arguments,
            args_grad={name: own[name].grad(self._context) for name in learned},
            grad_req={name: own[name].grad_req if name in learned else "null" for name in arguments},
            aux_states={name: own[name].data(self._context) for name in symbol.list_auxiliary_states()},
        )


def training_symbol(net: TrainingNet, inputs: Sequence[str]) -> mx.sym.Symbol:
    """The graph that hybridize() would trace in training, all outputs grouped."""
    with autograd.train_mode():
        return mx.sym.Group(net(*[mx.sym.var(name) for name in inputs]).arrays())


def mirror_blocks(symbol: mx.sym.Symbol) -> mx.sym.Symbol:
    """A symbol of the same values and gradients whose executor keeps of each bottleneck only its output.

    The insides (convolution, norm, ReLU; the stem and the pools over slices too) run again in the backward pass,
    a second forward pass of the backbone. A copy after each ReLU of a sum is what is kept, and shares its input's
    memory. Were the ReLU itself kept, nobody would read the output of the BatchNorm before the sum when that runs
    again for its statistics, and cuDNN's BatchNorm refuses to run for an output that is not asked for
    (cudnn_batch_norm-inl.h); so do convolutions without oneDNN and cuDNN. A sum of convolutions into which a frozen
    BatchNorm was folded needs no such copy: its ReLU is kept itself.

    Live BatchNorm on cuDNN updates its running statistics in forward, so twice a step (read in the source, not run).
    """
    graph = json.loads(symbol.tojson())
    nodes: List[Dict[str, Any]] = graph["nodes"]
    readers: Dict[int, List[int]] = {}
    for place, node in enumerate(nodes):
        for source in node["inputs"]:
            readers.setdefault(source[0], []).append(place)
    rebuilt: List[Dict[str, Any]] = []
    moved: Dict[int, int] = {}  # place of a node -> where its readers find it now
    for place, node in enumerate(nodes):
        of_sum = node["op"] in RELUS and nodes[node["inputs"][0][0]]["op"] == "elemwise_add"
        ends_block = of_sum and _adds_normalised(nodes, node["inputs"][0][0])
        kept = (of_sum and not ends_block) or (node["op"] == "elemwise_add" and not _adds_normalised(nodes, place))
        runs_again = (node["op"] in RECOMPUTED or _normalises(nodes, place)) and not kept
        if node["op"] == "Convolution":
            folded = nodes[node["inputs"][1][0]]["op"] != "null"  # its weight is computed
            runs_again = _is_read_by(nodes, readers, place, RELUS | {"Pooling"} if folded else NORMS)
        node = dict(node, inputs=[[moved[source], *rest] for source, *rest in node["inputs"]])
        if runs_again:
            node["attrs"] = dict(node.get("attrs", {}), __force_mirroring__="True")
        rebuilt.append(node)
        if ends_block:
            rebuilt.append({"op": "_copy", "name": node["name"] + "_kept", "inputs": [[len(rebuilt) - 1, 0, 0]]})
        moved[place] = len(rebuilt) - 1
    graph["heads"] = [[moved[source], *rest] for source, *rest in graph["heads"]]
    graph["arg_nodes"] = [place for place, node in enumerate(rebuilt) if node["op"] == "null"]
    graph["nodes"] = rebuilt
    graph.pop("node_row_ptr", None)  # an index that loading makes anew
    return mx.sym.load_json(json.dumps(graph))


def _adds_normalised(nodes: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Whether a sum is that of a norm's output."""
    return any(_normalises(nodes, source) for source, *_ in nodes[place]["inputs"])


def _normalises(nodes: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Whether a node is a norm, or the scale or the shift of a GroupNorm, operators of their own."""
    node = nodes[place]
    if node["op"] in ("broadcast_mul", "broadcast_add"):
        return _normalises(nodes, node["inputs"][0][0]) and nodes[node["inputs"][0][0]]["op"] != "BatchNorm"
    return node["op"] in NORMS


def _is_read_by(
    nodes: Sequence[Mapping[str, Any]], readers: Mapping[int, Sequence[int]], place: int, wanted: AbstractSet[str]
) -> bool:
    """Whether such a node reads the output: then its backward pass does too, which mirroring demands."""
    following = readers.get(place, ())
    return any(
        nodes[reader]["op"] in wanted or (nodes[reader]["op"] in VIEWS and _is_read_by(nodes, readers, reader, wanted))
        for reader in following
    )
