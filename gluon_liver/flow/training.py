"""Training of LiteFlowNet on pairs with exact ground truth: flying shapes and ultrasound phantoms.

The paper trains its levels one after the other on FlyingChairs and FlyingThings3D; here all are trained at once.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, TextIO

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from gluon_liver.errors import InputError, TrainingError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.digest import hash_file
from gluon_liver.files.output_folder import check_new, whole_folder
from gluon_liver.phantoms.us.folder import TRUTH_FILE
from gluon_liver.system.environment import describe_environment
from gluon_liver.system.terminal import progress_bar

from . import feature_matching
from .flow_file import FLOW_MANIFEST, FLOW_PARAMETERS, flow_input, save_flow
from .flying_shapes import FlowPair, FlyingConfig, flying_pair
from .liteflownet import LiteFlowNet
from .loss import flow_losses, level_targets
from .options import HELD_OUT_SEED, FlowTraining
from .phantom_pairs import PhantomPairs, random_crop, read_pairs
from .scores import Scores, score_flow

HELD_OUT_PAIRS = 40
STARTING_PAIRS = 8  # that the random weights are scaled by
SHARE_OF_PHANTOMS = 0.5  # where there are any
LOG, RESULTS = "log.jsonl", "results.json"
_CROPS = 31  # purpose of random numbers
NOTE = "synthetic pairs with exact motion; says nothing about accuracy in patients"


class Phase:
    """What one of the two phases of training learns, and how many of its ``steps`` are done."""

    def __init__(self, learned: List[mx.gluon.Parameter], steps: int):
        self.learned, self.steps, self.done = learned, steps, 0
        self.optimizer = gluon.Trainer(learned, "adam", kvstore=None)


class FlowTrainer:
    """The network, its optimisers and one step of each."""

    def __init__(self, options: FlowTraining, pairs: Sequence[FlowPair], *, context: mx.Context):
        """The random weights are scaled by what they answer to ``pairs``."""
        mx.random.seed(options.seed)
        self.options, self.context = options, context
        self.net = LiteFlowNet(width=options.width)
        self.net.initialize(ctx=context)
        feature_matching.start_features(self.net.pyramid, self._images(pairs)[0])
        feature_matching.start_flows(self.net.pyramid)
        # MXNet 1.9.1 crashes in the backward pass of the network where it is not hybridized
        self.net.pyramid.hybridize(static_alloc=True)
        learned = [p for p in self.net.collect_params().values() if p.grad_req != "null"]
        self._matching = Phase(feature_matching.matching_parameters(self.net.pyramid), options.matching_steps)
        self._whole = Phase(learned, options.steps)

    def match(self, pairs: Sequence[FlowPair]) -> Dict[str, float]:
        """One update of the features alone from pairs (size, size); returns losses. Raises as :meth:`step`."""
        return self._update(self._matching, pairs, self._costs, feature_matching.matching_losses)

    def end_matching(self, pairs: Sequence[FlowPair]) -> None:
        """Let the decoders see what the costs have become; from here the network trains as a whole."""
        feature_matching.start_decoders(self.net.pyramid, self._costs(*self._images(pairs)))

    def step(self, pairs: Sequence[FlowPair]) -> Dict[str, float]:
        """One update from pairs (size, size); returns the losses of the levels.

        Raises :class:`TrainingError`, with nothing updated, when one is not finite.
        """
        return self._update(self._whole, pairs, self.net.pyramid, flow_losses)

    def _costs(self, first: mx.nd.NDArray, second: mx.nd.NDArray) -> Dict[int, mx.nd.NDArray]:
        return feature_matching.matching_costs(self.net.pyramid, first, second)

    def _images(self, pairs: Sequence[FlowPair]) -> List[mx.nd.NDArray]:
        frames = (np.stack(images) for images in list(zip(*pairs))[:2])
        return [flow_input(images, context=self.context) for images in frames]

    def _update(
        self, phase: Phase, pairs: Sequence[FlowPair], network: Callable[..., Any], losses_of: Callable[..., Any]
    ) -> Dict[str, float]:
        images, targets = self._images(pairs), level_targets(*map(np.stack, list(zip(*pairs))[2:]))
        with autograd.record():
            losses = losses_of(network(*images), targets)
            total = mx.nd.add_n(*losses.values())
        total.backward()
        values = {f"level{level}": float(loss.asscalar()) for level, loss in losses.items()}
        values["total"] = sum(values.values())
        gradients = [parameter.grad(self.context) for parameter in phase.learned]
        norm = gluon.utils.clip_global_norm(gradients, self.options.clip_norm, check_isfinite=False)
        if not (math.isfinite(values["total"]) and math.isfinite(float(norm.asscalar()))):
            raise TrainingError(
                f"step {self._matching.done + self._whole.done + 1}: a loss or a gradient is not finite ({values}); "
                "nothing was written. Lower --learning-rate"
            )
        phase.optimizer.set_learning_rate(self.options.rate(phase.done, phase.steps))
        phase.optimizer.step(1)
        phase.done += 1
        return values


class PairSource:
    """The pairs that a training sees, drawn from (seed, place) alone, and those that it is scored on."""

    def __init__(self, options: FlowTraining, phantoms: Optional[PhantomPairs]):
        self._options, self.phantoms = options, phantoms
        self.shapes = FlyingConfig(size=options.size)
        flying = [flying_pair(self.shapes, seed=HELD_OUT_SEED, index=index) for index in range(HELD_OUT_PAIRS)]
        self.held_out = {"flying": flying}
        if phantoms is not None:
            self.held_out["ultrasound"] = phantoms.held_out

    def batch(self, place: int, *, count: Optional[int] = None) -> List[FlowPair]:
        """``count`` pairs (default: the batch size), (size, size); half of them of phantoms where there are any."""
        count = self._options.batch_size if count is None else count
        rng = np.random.default_rng([self._options.seed, _CROPS, place])
        pairs = []
        for number in range(count):
            if self.phantoms is not None and rng.random() < SHARE_OF_PHANTOMS:
                pair = self.phantoms.train[rng.integers(len(self.phantoms.train))]
                pairs.append(random_crop(pair, self._options.size, rng))
            else:
                pairs.append(flying_pair(self.shapes, seed=self._options.seed, index=place * count + number))
        return pairs


def train_flow(
    options: FlowTraining,
    out: Path,
    *,
    phantoms: Optional[Path] = None,
    context: Optional[mx.Context] = None,
    progress: bool = True,
) -> Scores:
    """Train, score on held-out pairs, and leave flow.params, flow.json, results.json and log.jsonl in the folder
    ``out``, which appears when all is done or not at all. Returns the scores.

    Raises :class:`InputError` when ``out`` exists, lies inside the phantoms or cannot be made, ``DatasetError``
    when the phantoms cannot be used and :class:`TrainingError` when a loss is not finite.
    """
    out, context = Path(out), context or mx.cpu()
    _check_out(out, phantoms)
    source = PairSource(options, None if phantoms is None else read_pairs(Path(phantoms)))
    trainer = FlowTrainer(options, source.batch(0, count=STARTING_PAIRS), context=context)
    started = time.monotonic()
    with whole_folder(out) as partial:
        with open(partial / LOG, "w", encoding="utf-8") as log:
            _train(trainer, source, log, started, progress=progress)
        seconds = time.monotonic() - started
        scores = score_flow(trainer.net, source.held_out, context=context)
        about = {
            "options": asdict(options),
            "flying": asdict(source.shapes),
            "phantoms": _about_phantoms(source, phantoms),
            "seconds": round(seconds, 1),
            "end_point_error": scores,
        }
        write_json(partial / RESULTS, {"format": 1, "kind": "flow", "note": NOTE, **about})
        _save(trainer.net, partial, {**about, "environment": describe_environment(options.seed)})
    return scores


def _train(trainer: FlowTrainer, source: PairSource, log: TextIO, started: float, *, progress: bool) -> None:
    options = trainer.options
    meter: List[Dict[str, float]] = []
    total = options.matching_steps + options.steps
    for place in progress_bar(range(total), text="training", unit="step", show=progress):
        matching = place < options.matching_steps
        if place == options.matching_steps:
            trainer.end_matching(source.batch(0, count=STARTING_PAIRS))
        pairs = source.batch(place + 1)
        meter.append(trainer.match(pairs) if matching else trainer.step(pairs))
        if (place + 1) % options.log_every == 0 or place + 1 in (options.matching_steps, total):
            losses = {name: sum(values[name] for values in meter) / len(meter) for name in meter[0]}
            seconds = round(time.monotonic() - started, 3)
            record = dict(event="matching" if matching else "step", time=seconds, step=place + 1, losses=losses)
            log.write(json.dumps(record, allow_nan=False) + "\n")
            meter = []


def _about_phantoms(source: PairSource, folder: Optional[Path]) -> Optional[Dict[str, Any]]:
    pairs = source.phantoms
    if pairs is None or folder is None:
        return None
    counts = {"train": len(pairs.train), "held_out": len(pairs.held_out)}
    truth = hash_file(folder / TRUTH_FILE)
    return {"truth_sha256": truth, "scenes": dict(zip(counts, pairs.scenes)), "pairs": counts}


def _check_out(out: Path, phantoms: Optional[Path]) -> None:
    check_new(out)
    if phantoms is not None and Path(os.path.realpath(phantoms)) in Path(os.path.realpath(out)).parents:
        raise InputError(f"--out {out} lies inside the phantoms: choose a folder outside of them")
    out.parent.mkdir(parents=True, exist_ok=True)


def _save(net: LiteFlowNet, folder: Path, about: Dict[str, Any]) -> None:
    """flow.params and flow.json. Raises InputError when the disk did not take them."""
    arrays = {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise TrainingError(f"{broken[0]} is not finite after the last step, so nothing was written")
    source = {"kind": "train-flow", **about}
    save_flow(folder / FLOW_PARAMETERS, folder / FLOW_MANIFEST, arrays, width=about["options"]["width"], source=source)
