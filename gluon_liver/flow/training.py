"""Training of LiteFlowNet on pairs with exact ground truth: flying shapes and ultrasound phantoms.

The paper trains its levels one after the other on FlyingChairs and FlyingThings3D; here all are trained at once.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from tqdm import tqdm

from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import ConfigError, InputError, TrainingError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.digest import hash_file
from gluon_liver.files.output_folder import whole_folder
from gluon_liver.phantoms.us.folder import TRUTH_FILE
from gluon_liver.system.environment import describe_environment

from .feature_matching import (
    matching_costs,
    matching_losses,
    matching_parameters,
    start_decoders,
    start_features,
    start_flows,
)
from .flow_file import FLOW_MANIFEST, FLOW_PARAMETERS, flow_input, save_flow
from .flying_shapes import FlowPair, FlyingConfig, flying_pair
from .liteflownet import MULTIPLE, LiteFlowNet
from .loss import Target, flow_losses, level_targets
from .phantom_pairs import PhantomPairs, random_crop, read_pairs
from .released_weights import parameters
from .scores import Scores, score_flow

HELD_OUT_SEED = MAX_SEED  # of the flying shapes; no training may take it, and all are scored on the same pairs
HELD_OUT_PAIRS = 40
STARTING_PAIRS = 8  # that the random weights are scaled by
SHARE_OF_PHANTOMS = 0.5  # where there are any
LOG, RESULTS = "log.jsonl", "results.json"
_CROPS = 31  # purpose of random numbers
NOTE = "synthetic pairs with exact motion; says nothing about accuracy in patients"


@dataclass(frozen=True)
class FlowTraining:
    """Options of :func:`train_flow`.

    width: fraction of the channels. size: side of the training pictures, a multiple of 32. matching_steps: of the
    features alone (:mod:`.flow_matching`), before ``steps`` of the whole network. learning_rate: Adam's; in each of the
    two phases it rises over the first ``warmup`` steps and falls to 0 along half a cosine. clip_norm: largest length of
    all gradients together.
    """

    width: float = 0.25
    size: int = 64
    steps: int = 2400
    matching_steps: int = 600
    batch_size: int = 4
    seed: int = 0
    learning_rate: float = 2e-3
    warmup: int = 30
    clip_norm: float = 100.0
    log_every: int = 50

    def __post_init__(self) -> None:
        """Raises ConfigError that names the option, its value and what it must be."""
        for name, good, rule in (
            ("width", 0.0 < self.width <= 1.0, "above 0 and at most 1"),
            ("size", 64 <= self.size <= 1024 and self.size % MULTIPLE == 0, "a multiple of 32 from 64 to 1024"),
            ("steps", self.steps >= 1, "1 or more"),
            ("matching_steps", self.matching_steps >= 0, "0 or more"),
            ("batch_size", self.batch_size >= 1, "1 or more"),
            ("seed", 0 <= self.seed < HELD_OUT_SEED, f"from 0 to {HELD_OUT_SEED - 1}"),
            ("learning_rate", 0.0 < self.learning_rate < math.inf, "above 0"),
            ("warmup", self.warmup >= 0, "0 or more"),
            ("clip_norm", self.clip_norm > 0.0, "above 0"),
            ("log_every", self.log_every >= 1, "1 or more"),
        ):
            if not good:
                raise ConfigError(f"train-flow: {name} is {getattr(self, name)!r}; it must be {rule}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of ``step``, from 0, of a phase of ``steps``."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * rise * 0.5 * (1.0 + math.cos(math.pi * step / steps))


class FlowTrainer:
    """The network, its optimisers and one step of each."""

    def __init__(self, options: FlowTraining, pairs: Sequence[FlowPair], *, context: mx.Context):
        """The random weights are scaled by what they answer to ``pairs``."""
        mx.random.seed(options.seed)
        self.options, self.context, self.step_count, self.matching_count = options, context, 0, 0
        self.net = LiteFlowNet(width=options.width)
        self.net.initialize(ctx=context)
        start_features(self.net.pyramid, self._batch(pairs)[0][0])
        start_flows(self.net.pyramid)
        # MXNet 1.9.1 crashes in the backward pass of the network where it is not hybridized
        self.net.pyramid.hybridize(static_alloc=True)
        self._matching = matching_parameters(self.net.pyramid)
        self._learned = [p for p in self.net.collect_params().values() if p.grad_req != "null"]
        rate = {"learning_rate": options.learning_rate}
        self._matcher = gluon.Trainer(self._matching, "adam", rate, kvstore=None)
        self._optimizer = gluon.Trainer(self._learned, "adam", rate, kvstore=None)

    def match(self, pairs: Sequence[FlowPair]) -> Dict[str, float]:
        """One update of the features alone from pairs (size, size); returns losses. Raises as :meth:`step`."""
        images, targets = self._batch(pairs)
        with autograd.record():
            losses = matching_losses(matching_costs(self.net.pyramid, *images), targets)
            total = mx.nd.add_n(*losses.values())
        total.backward()
        rate = self.options.rate(self.matching_count, self.options.matching_steps)
        values = self._update(self._matcher, self._matching, losses, rate)
        self.matching_count += 1
        return values

    def end_matching(self, pairs: Sequence[FlowPair]) -> None:
        """Let the decoders see what the costs have become; from here the network trains as a whole."""
        images, _ = self._batch(pairs)
        start_decoders(self.net.pyramid, matching_costs(self.net.pyramid, *images))

    def step(self, pairs: Sequence[FlowPair]) -> Dict[str, float]:
        """One update from pairs (size, size); returns the losses of the levels.

        Raises :class:`TrainingError`, with nothing updated, when one is not finite.
        """
        images, targets = self._batch(pairs)
        with autograd.record():
            losses = flow_losses(self.net.pyramid(*images), targets)
            total = mx.nd.add_n(*losses.values())
        total.backward()
        rate = self.options.rate(self.step_count, self.options.steps)
        values = self._update(self._optimizer, self._learned, losses, rate)
        self.step_count += 1
        return values

    def _batch(self, pairs: Sequence[FlowPair]) -> Tuple[List[mx.nd.NDArray], List[Target]]:
        first, second, flow, valid = (np.stack(arrays) for arrays in zip(*pairs))
        return [flow_input(frames, context=self.context) for frames in (first, second)], level_targets(flow, valid)

    def _update(
        self,
        optimizer: gluon.Trainer,
        learned: Sequence[mx.gluon.Parameter],
        losses: Dict[int, mx.nd.NDArray],
        rate: float,
    ) -> Dict[str, float]:
        values = {f"level{level}": float(loss.asscalar()) for level, loss in losses.items()}
        values["total"] = sum(values.values())
        gradients = [parameter.grad(self.context) for parameter in learned]
        norm = gluon.utils.clip_global_norm(gradients, self.options.clip_norm, check_isfinite=False)
        if not (math.isfinite(values["total"]) and math.isfinite(float(norm.asscalar()))):
            raise TrainingError(
                f"step {self.matching_count + self.step_count + 1}: a loss or a gradient is not finite ({values}); "
                "nothing was written. Lower --learning-rate"
            )
        optimizer.set_learning_rate(rate)
        optimizer.step(1)
        return values


class PairSource:
    """The pairs that a training sees, drawn from (seed, place) alone, and those that it is scored on."""

    def __init__(self, options: FlowTraining, phantoms: Optional[PhantomPairs]):
        self._options, self.phantoms = options, phantoms
        self.shapes = FlyingConfig(size=options.size)
        self.held_out: Dict[str, List[FlowPair]] = {
            "flying": [flying_pair(self.shapes, seed=HELD_OUT_SEED, index=index) for index in range(HELD_OUT_PAIRS)]
        }
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

    Raises :class:`InputError` when ``out`` exists, lies inside the phantoms or cannot be made, :class:`DatasetError`
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
    for place in tqdm(range(total), desc="training", unit="step", disable=not progress):
        matching = place < options.matching_steps
        if place == options.matching_steps:
            trainer.end_matching(source.batch(0, count=STARTING_PAIRS))
        pairs = source.batch(place + 1)
        meter.append(trainer.match(pairs) if matching else trainer.step(pairs))
        if (place + 1) % options.log_every == 0 or place + 1 in (options.matching_steps, total):
            losses = {name: sum(values[name] for values in meter) / len(meter) for name in meter[0]}
            record = {
                "event": "matching" if matching else "step",
                "time": round(time.monotonic() - started, 3),
                "step": place + 1,
                "losses": losses,
            }
            log.write(json.dumps(record, allow_nan=False) + "\n")
            meter = []


def _about_phantoms(source: PairSource, folder: Optional[Path]) -> Optional[Dict[str, Any]]:
    pairs = source.phantoms
    if pairs is None or folder is None:
        return None
    counts = {"train": len(pairs.train), "held_out": len(pairs.held_out)}
    return {
        "truth_sha256": hash_file(folder / TRUTH_FILE),
        "scenes": dict(zip(counts, pairs.scenes)),
        "pairs": counts,
    }


def _check_out(out: Path, phantoms: Optional[Path]) -> None:
    if os.path.lexists(out):
        raise InputError(f"--out {out} exists; choose another folder")
    if phantoms is not None:
        real, source = Path(os.path.realpath(out)), Path(os.path.realpath(phantoms))
        if source in real.parents:
            raise InputError(f"--out {out} lies inside the phantoms: choose a folder outside of them")
    out.parent.mkdir(parents=True, exist_ok=True)


def _save(net: LiteFlowNet, folder: Path, about: Dict[str, Any]) -> None:
    """flow.params and flow.json. Raises InputError when the disk did not take them."""
    arrays = {name: parameter.data().asnumpy() for name, parameter in parameters(net).items()}
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise TrainingError(f"{broken[0]} is not finite after the last step, so nothing was written")
    source = {"kind": "train-flow", **about}
    save_flow(folder / FLOW_PARAMETERS, folder / FLOW_MANIFEST, arrays, width=about["options"]["width"], source=source)
