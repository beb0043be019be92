"""What training needs beside the parameters to go on bit for bit: optimiser, sampler position, seed, best metric.

Plain numbers and arrays. MXNet's own ``Trainer.save_states`` pickles, ``load_states`` runs what a pickle says, and
brings back the old learning rate; nothing here touches the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter, Trainer

from gluon_liver.errors import RunError
from gluon_liver.files.typed import Limit, at_least, one_of, required

Arrays = Dict[str, mx.nd.NDArray]
COUNTS = Limit(lambda counts: all(count >= 1 for count in counts.values()), "numbers of 1 or more")


@dataclass
class TrainingState:
    """Where a training run stands.

    Attributes
    ----------
    step: updates done.
    epoch, batch: of the batch that comes next; ``batch`` is 0 at an epoch's start.
    seed: what the random numbers of each step are derived from.
    optimizer: "sgd" or "adam".
    update_counts: updates by parameter name, for Adam's bias correction; empty before the first step.
    arrays: "momentum/NAME", or "mean/NAME" and "variance/NAME", of the parameter's shape, on the CPU; {} for SGD
        without momentum and before the first step.
    best: what best.json says, or None.
    """

    step: int = required(at_least(0))
    epoch: int = required(at_least(0))
    batch: int = required(at_least(0))
    seed: int = required(at_least(0))
    optimizer: str = required(one_of("sgd", "adam"))
    update_counts: Dict[str, int] = required(COUNTS)
    arrays: Arrays = field(default_factory=dict)
    best: Optional[Dict[str, Any]] = None

    def to_fields(self) -> Dict[str, Any]:
        """All but the arrays, for JSON."""
        return {name: value for name, value in vars(self).items() if name != "arrays"}


def optimizer_state(trainer: Trainer, names: Mapping[str, Parameter]) -> Tuple[Dict[str, int], Arrays]:
    """``update_counts`` and ``arrays`` of a :class:`TrainingState`, copied from the trainer's first device.

    ``names`` are the structural names of (at least) the trainer's parameters: those that Gluon gives count blocks of
    the process and differ from run to run. Raises :class:`RunError` when the state lies on a server.
    """
    _refuse_servers(trainer)
    counts: Dict[str, int] = {}
    arrays: Arrays = {}
    update_counts = trainer._optimizer._all_index_update_counts.get(trainer._contexts[0].device_id, {})
    for index, (name, _) in _indexed(trainer, names).items():
        if index not in update_counts:
            continue
        counts[name] = update_counts[index]
        state = trainer._updaters[0].states[index]
        values = state if isinstance(state, (tuple, list)) else [] if state is None else [state]
        kinds = _kinds(trainer)
        assert len(values) == len(kinds), f"an optimiser state of {len(values)} arrays, not {len(kinds)}"
        arrays.update((f"{kind}/{name}", value.copyto(mx.cpu())) for kind, value in zip(kinds, values))
    return counts, arrays


def restore_optimizer(trainer: Trainer, names: Mapping[str, Parameter], state: TrainingState) -> None:
    """Set the optimiser state of every device, and its update counts. Checks everything before it sets anything.

    Raises :class:`RunError` when the state is another optimiser's, of other parameters, or not finite.
    """
    _refuse_servers(trainer)
    _check(trainer, names, state)
    optimizer, kinds = trainer._optimizer, _kinds(trainer)
    # updated parameters alone have a state; MXNet makes the others' at their first update
    indexed = {index: name for index, (name, _) in _indexed(trainer, names).items() if name in state.update_counts}
    counts = {index: state.update_counts[name] for index, name in indexed.items()}
    for updater, context in zip(trainer._updaters, trainer._contexts):
        # MXNet counts by the number of the device, whatever its kind
        optimizer._all_index_update_counts[context.device_id] = dict(counts)
        updater.states = {
            index: _as_mxnet([state.arrays[f"{kind}/{name}"].copyto(context) for kind in kinds])
            for index, name in indexed.items()
        }
        updater.states_synced = dict.fromkeys(indexed, True)
    optimizer._set_current_context(trainer._contexts[0].device_id)
    optimizer.num_update = max(state.update_counts.values(), default=optimizer.begin_num_update)


def _as_mxnet(values: List[mx.nd.NDArray]) -> Any:
    """None, one array, or a tuple of them, as the optimisers' ``create_state`` returns it."""
    return tuple(values) if len(values) > 1 else values[0] if values else None


def _check(trainer: Trainer, names: Mapping[str, Parameter], state: TrainingState) -> None:
    theirs, ours = state.optimizer, type(trainer.optimizer).__name__.lower()
    if theirs != ours:
        raise RunError(f"the checkpoint was trained with {theirs}, not with {ours}: set train.optimizer to the former")
    learned = {name: p for name, p in _indexed(trainer, names).values() if p.grad_req != "null"}
    # nothing has a state before the first update (the first step, but for mixed precision), then all that is learned
    updated = set(learned) if state.update_counts or state.arrays else set()
    _same_names("update counts", set(state.update_counts), updated)
    _same_names("optimiser arrays", set(state.arrays), {k + "/" + name for k in _kinds(trainer) for name in updated})
    for key, value in state.arrays.items():
        parameter = learned[key.split("/", 1)[1]]
        given, wanted = (f"{one.shape} {np.dtype(one.dtype).name}" for one in (value, parameter))
        if value.stype != "default" or given != wanted:
            raise RunError(f"{key} of the checkpoint is {value.stype} {given}, not a dense array {wanted}")
        if not np.isfinite(value.asnumpy()).all():
            raise RunError(f"{key} of the checkpoint holds values that are not finite")


def _same_names(what: str, given: Set[str], wanted: Set[str]) -> None:
    odd = sorted(given ^ wanted)
    if odd:
        verb, more = "have" if odd[0] in given else "lack", " and more" if len(odd) > 1 else ""
        why = "network, frozen layers or optimiser of the configuration are others"
        raise RunError(f"the checkpoint's {what} {verb} {odd[0]!r}{more}: {why}")


def _indexed(trainer: Trainer, names: Mapping[str, Parameter]) -> Dict[int, Tuple[str, Parameter]]:
    """Index in the trainer -> structural name and parameter."""
    by_parameter = {id(parameter): name for name, parameter in names.items()}
    return {index: (by_parameter[id(parameter)], parameter) for index, parameter in enumerate(trainer._params)}


def _kinds(trainer: Trainer) -> Tuple[str, ...]:
    """What the trainer's optimiser keeps for a parameter, in the order of MXNet's state."""
    optimizer = trainer.optimizer
    if isinstance(optimizer, mx.optimizer.Adam):
        return ("mean", "variance")
    if isinstance(optimizer, mx.optimizer.SGD):
        return ("momentum",) if optimizer.momentum != 0 else ()
    raise NotImplementedError(f"the state of {type(optimizer).__name__} is not known")


def _refuse_servers(trainer: Trainer) -> None:
    store, asked = trainer._kvstore_params["kvstore"], trainer._kvstore_params["update_on_kvstore"]
    if trainer._update_on_kvstore or asked or "async" in str(getattr(store, "type", store)):
        raise RunError("parameters are updated in the key-value store, which keeps the optimiser's state to itself")
