"""What a training step takes of a device's memory, by MXNet's own plan of the training graph.

The graph of :class:`TrainingNet` and its backward pass is bound as MXNet's symbolic executor binds it, and the bytes
that its planner (``MXPlanMemory``, src/nnvm/plan_memory.cc of MXNet 1.9.1) shares among all maps and their gradients
are read from ``debug_str``. Binding computes nothing and touches no map, so that a plan of 20 GB costs milliseconds
and the memory of the parameters.

``NNVM_AUTO_SEARCH_MATCH_RANGE=1`` in the environment lets the planner try several ways to share: 3 to 4 % less here.

The planner is the same on a GPU, the graph nearly so: this plan is a CPU bind of a wheel with oneDNN, whose max pooling
has a workspace of its output's size (CUDA wheels are built with it too), and MXNet's pointwise fusion
(``MXNET_USE_FUSION``, on by default on GPUs alone) then drops some maps between elementwise operators.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.test_utils import environment

from gluon_liver.config.schema import Config
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import TrainingNet

from .mirror import INPUTS, VIEWS, mirror_blocks, training_symbol

MIB = 2**20
NOTES = """\
Mirrored: bottlenecks run again in the backward pass (train.mirror: true).
Left out of the plan:
- the CUDA context and cuDNN's and cuBLAS's own memory: 300 to 500 MiB of a GTX 1080's 8 GiB;
- the workspace of operators, which share one buffer as large as the largest of them: a convolution may take up to its
  `workspace` attribute, 1,024 MiB (cuDNN's autotuning uses it where that is faster; MXNET_CUDNN_AUTOTUNE_DEFAULT=0
  takes the first algorithm instead);
- what the memory pool rounds up and cannot hand out again, the next batch if it is copied ahead, and the losses
  (some arrays of one number an anchor);
- Gluon's CachedOp, which trains on GPUs without train.mirror, plans forward and backward apart, so that backward
  takes over nothing from forward. Measured on a CPU, r50 at 256 and 400 pixels, r50-2.5d at 256: hybridize with
  static_alloc takes 1.14 to 1.19 times what is planned for maps and their gradients, an executor, which CPUs train in,
  1.01 to 1.05 times (with its workspace)."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of one training step on one device."""

    parameters: int  # what is learned
    gradients: int
    optimizer: int  # its state, SGD's momentum or Adam's two moments
    constants: int  # running statistics and arrays that are never learned (anchors)
    batch: int  # the inputs, and the gradients of the losses with respect to the graph's outputs
    maps: int  # MXNet's plan for all other arrays of forward and backward, in whole MiB (rounded down)
    # output of the forward graph -> bytes that the backward pass reads, before the planner's sharing and without an
    # operator's hidden outputs (batch statistics, masks)
    kept: Mapping[str, int]
    mirrored: bool = False  # whether the bottlenecks are recomputed (mirror_blocks)

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return self.parameters + self.gradients + self.optimizer + self.constants + self.batch + self.maps

    def kept_by_part(self) -> Dict[str, int]:
        """``kept`` summed over the parts of the network (``backbone_block1``, ``rpn``, ...), the largest first."""
        parts: Counter = Counter()
        for name, size in self.kept.items():
            # backbone_block1_bottleneck0_conv0_fwd -> backbone_block1
            words = name.split("_")
            parts["_".join(words[:2]) if words[0] == "backbone" else words[0].split(":")[0]] += size
        return _largest_first(parts)


def format_plans(plans: Sequence[MemoryPlan], limit_bytes: int, *, largest: int = 8) -> str:
    """Plans of one network side by side, in MiB: what is left of the limit, or by how much it is exceeded, and the
    ``largest`` parts of what backward reads."""
    rows: List[Tuple[str, Sequence[str]]] = [("MiB", ["mirrored" if plan.mirrored else "plain" for plan in plans])]
    parts = {"optimizer": "optimiser state", "constants": "running statistics, constants"}
    parts.update(batch="batch, gradients of outputs", maps="maps and their gradients")
    for field in "parameters gradients optimizer constants batch maps total".split():
        rows.append((parts.get(field, field), [_mib(getattr(plan, field)) for plan in plans]))
    rows.append(("limit", [_mib(limit_bytes)] * len(plans)))
    rows.append(("", ["fits" if plan.total <= limit_bytes else "TOO LARGE" for plan in plans]))
    rows.append(("left, or exceeded by (-)", [_mib(limit_bytes - plan.total) for plan in plans]))
    rows.append(("forward maps that backward reads", [""] * len(plans)))
    kept = [plan.kept_by_part() for plan in plans]
    names = list(dict.fromkeys(name for parts in kept for name in list(parts)[:largest]))
    rows += [("  " + name, [_mib(parts.get(name, 0)) for parts in kept]) for name in names]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}" + "".join(f"{cell:>12}" for cell in cells) for label, cells in rows)


def memory_plan(
    config: Config, *, classes: int, phases: int = 1, batch_size: Optional[int] = None, mirror: bool = False
) -> MemoryPlan:
    """The plan of a configuration's training step at its full size.

    classes: foreground classes.
    phases: contrast phases of the input, 1 with ``network.relation`` off.
    batch_size: images a device, by default what ``train.batch_size`` leaves for each device and accumulated part.
    mirror: recompute the insides of bottlenecks (:func:`mirror_blocks`).
    """
    batch_size = config.images_a_device if batch_size is None else batch_size
    names = [f"class{number}" for number in range(classes)]
    detector = make_detector(config, classes=names, phases=phases, context=mx.cpu())
    boxes, size = config.network.head.max_boxes, config.data.size
    image = [phases, 1, config.data.slices] if config.task == "ct" else [frames_of(config), 3]
    one_image = [(*image, size, size), (boxes, 4), (boxes,), (detector.random_number_count,)]
    one_image += [(phases,)] if phases > 1 else []
    shapes = {name: (batch_size, *shape) for name, shape in zip(INPUTS, one_image)}
    # arrays of a parameter's size that MXNet's optimisers keep for each parameter: SGD's momentum or Adam's moments
    states = 2 if config.train.optimizer == "adam" else int(config.train.momentum > 0)
    return plan_symbol(
        training_symbol(TrainingNet(detector, batch_size=batch_size), list(shapes)),
        shapes,
        learned=[p.name for p in detector.collect_learned().values() if p.grad_req != "null"],
        optimizer_states=states,
        mirror=mirror,
    )


def frames_of(config: Config) -> int:
    """Frames of a recording that an ultrasound network takes at once."""
    return 2 if config.model == "us-flow" else 1


def plan_symbol(
    symbol: mx.sym.Symbol,
    shapes: Mapping[str, Sequence[int]],
    *,
    learned: Collection[str],
    optimizer_states: int = 1,
    mirror: bool = False,
) -> MemoryPlan:
    """The plan of any symbol. ``shapes`` are those of its inputs, ``learned`` the arguments that get a gradient."""
    if mirror:
        symbol = mirror_blocks(symbol)
    requests = {name: "write" if name in learned else "null" for name in symbol.list_arguments()}
    # what the user's shell sets must not mix with mirror_blocks; the other variable silences a message of each bind
    with environment({"MXNET_BACKWARD_DO_MIRROR": "0", "MXNET_SUBGRAPH_VERBOSE": "0"}):
        executor = symbol.simple_bind(mx.cpu(), grad_req=requests, **shapes)
    graph = executor.debug_str()
    parameters = sum(_bytes(array) for name, array in executor.arg_dict.items() if name in learned)
    others = [array for name, array in executor.arg_dict.items() if name not in learned and name not in shapes]
    inputs = [executor.arg_dict[name] for name in shapes]
    return MemoryPlan(
        parameters=parameters,
        gradients=sum(_bytes(array) for array in executor.grad_dict.values() if array is not None),
        optimizer=optimizer_states * parameters,
        constants=sum(_bytes(array) for array in others + list(executor.aux_dict.values())),
        batch=sum(_bytes(array) for array in inputs + executor.outputs),
        maps=int(re.findall(r"^Total (\d+) MB allocated$", graph, re.MULTILINE)[0]) * MIB,
        kept=_kept(symbol, shapes, graph),
        mirrored=mirror,
    )


def _kept(symbol: mx.sym.Symbol, shapes: Mapping[str, Sequence[int]], graph: str) -> Dict[str, int]:
    """Forward outputs that nodes of the backward pass read in ``graph``, an executor's ``debug_str``."""
    nodes = json.loads(symbol.tojson())["nodes"]
    forward = {node["name"]: node for node in nodes}
    internals = symbol.get_internals()
    _, output_shapes, _ = internals.infer_shape(**shapes)
    sizes: Dict[Tuple[str, int], int] = {}
    seen: Counter = Counter()
    for output, shape in zip(internals, output_shapes):
        sizes[output.name, seen[output.name]] = 4 * int(np.prod(shape))  # the planner takes all types to have 4 bytes
        seen[output.name] += 1

    def origin(name: str, index: int) -> Tuple[str, int]:
        while forward[name]["op"] in VIEWS:  # a view shares its input's memory
            source, index, *_ = forward[name]["inputs"][0]
            name = nodes[source]["name"]
        return name, index

    kept = {}
    for block in graph.split("\n--------------------\n"):
        head = re.match(r"Op:(\S+), Name=(\S+)", block)
        # the first node of backward takes an output for its shape alone
        if head is None or head.group(1) == "_identity_with_attr_like_rhs" or head.group(2) in forward:
            continue
        for name, index in re.findall(r"^\targ\[\d+\]=(\S+)\((\d+)\)", block, re.MULTILINE):
            if name in forward:
                entry = origin(name, int(index))
                if forward[entry[0]]["op"] != "null" and entry in sizes:
                    # Gluon numbers the nets of a process: detector0_, detector1_, ...
                    short = re.sub(r"^(\w*detector|trainingnet)\d+_", "", entry[0])
                    kept[f"{short}:{entry[1]}" if entry[1] else short] = sizes[entry]
    return _largest_first(kept)


def _largest_first(sizes: Mapping[str, int]) -> Dict[str, int]:
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def _bytes(array: mx.nd.NDArray) -> int:
    return array.size * np.dtype(array.dtype).itemsize


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f}"
