"""Training: batches of slices through :class:`TrainingNet`, four losses, one optimiser step."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import mxnet as mx
from mxnet import autograd, gluon
from tqdm import tqdm

from ..config import Config, TrainConfig
from ..errors import InputError, TrainingError
from ..nn.graphs import TrainingNet
from ..nn.models import make_detector
from .batches import Batch
from .best import BestEpoch
from .checkpoint import save_checkpoint
from .inputs import AnyDataset, TrainingInputs
from .losses import detection_losses
from .mirror import MirroredNet
from .run import Run, has_checkpoint, input_phases, write_json
from .transfer import Pretrained, load_pretrained, set_flow


def train(
    config: Config,
    dataset: AnyDataset,
    out: Path,
    *,
    context: Optional[mx.Context] = None,
    steps: Optional[int] = None,
    pretrained: Optional[Pretrained] = None,
    flow: Optional[Path] = None,
    progress: bool = True,
) -> Run:
    """Train on the dataset's training patients and leave a run folder.

    Parameters
    ----------
    steps: stop after this many steps instead of after the configured epochs.
    pretrained: weights to start backbone and Block4 from; what was done with them goes to pretrained.json.
    flow: parameters of LiteFlowNet for the model us-flow, as convert-flow or train-flow leave them.

    Raises :class:`DatasetError` when nothing can be trained on, :class:`RunError` when ``out`` is taken and
    :class:`TrainingError` with the step when a loss is not finite.
    """
    # whatever the configuration or the data can break breaks here, before there is a run folder
    for given in (pretrained.path if pretrained else None, flow):
        if given is not None and not given.is_file():
            raise InputError("{}: no such file of weights".format(given))
    inputs = TrainingInputs(config, dataset, progress=progress)
    phases = input_phases(config, dataset.phases) if config.is_ct else 1
    trainer = DetectorTrainer(config, classes=dataset.classes, phases=phases, context=context or mx.cpu())
    flow_record = set_flow(trainer.detector, config, flow)
    best = None
    if config.train.best_epoch:
        best = BestEpoch(config, dataset, trainer.detector, context=trainer.context)
    if pretrained is not None:
        report, record = load_pretrained(trainer.detector, config, pretrained)
        if progress:
            print(report.text(), file=sys.stderr)
    run = Run.create(out, config, dataset=dataset)
    try:
        if pretrained is not None:
            write_json(run.folder / "pretrained.json", record)
        if flow_record is not None:
            write_json(run.folder / "flow.json", flow_record)
        _train_steps(trainer, inputs, run, best=best, steps=steps, progress=progress)
    except TrainingError:
        raise  # the log shows how it diverged
    except BaseException:
        if not has_checkpoint(run.folder):
            run.discard()
        raise
    return run


def _train_steps(
    trainer: "DetectorTrainer",
    inputs: TrainingInputs,
    run: Run,
    *,
    best: Optional[BestEpoch],
    steps: Optional[int],
    progress: bool,
) -> None:
    config, per_epoch = trainer.config, inputs.steps_per_epoch
    total = steps if steps is not None else config.train.epochs * per_epoch
    run.log("start", step=0, epoch=0, images=len(inputs.labels), steps=total)
    meter, epoch = LossMeter(), 0
    with tqdm(total=total, desc="training", unit="step", disable=not progress) as bar:
        while trainer.step_count < total:
            for indices in inputs.batches(epoch=epoch)[: total - trainer.step_count]:
                rate = learning_rate(config.train, step=trainer.step_count, per_epoch=per_epoch)
                batch = inputs.load(indices, epoch=epoch, anchors=trainer.anchors)
                meter.add(trainer.step(batch, learning_rate=rate), images=len(indices))
                bar.update(1)
                if trainer.step_count % config.train.log_every == 0 or trainer.step_count == total:
                    record = meter.flush()
                    run.log("step", step=trainer.step_count, epoch=epoch, learning_rate=rate, **record)
                    bar.set_postfix(loss="{:.3f}".format(record["losses"]["total"]), epoch=epoch)
            epoch += trainer.step_count % per_epoch == 0  # --steps may end inside an epoch
            ended, at = trainer.step_count >= total, {"step": trainer.step_count, "epoch": epoch}
            if best is not None and (epoch % config.train.checkpoint_every == 0 or ended):
                best.after_epoch(run, **at)
            elif epoch % config.train.checkpoint_every == 0 or ended:
                path = save_checkpoint(run.checkpoints, trainer.detector, **at)
                run.log("checkpoint", folder=path.name, **at)
    run.log("end", step=trainer.step_count, epoch=epoch)


class DetectorTrainer:
    """The network, its optimiser and one step of both."""

    def __init__(self, config: Config, *, classes: Sequence[str], phases: int = 1, context: mx.Context):
        mx.random.seed(config.train.seed)
        self.config = config
        self.context = context
        self.step_count = 0
        self.detector = make_detector(config, classes=classes, phases=phases, context=context)
        self.anchors = self.detector.anchors()
        self.net = TrainingNet(self.detector, batch_size=config.train.batch_size)
        for targets in (self.net.sampler, self.net.targets):
            targets.initialize(ctx=context)
        self.net.hybridize(static_alloc=True, static_shape=True)
        self._mirrored = MirroredNet(self.net, context=context) if config.train.mirror else None
        self._learned = [p for p in self.detector.collect_learned().values() if p.grad_req != "null"]
        options = _optimizer_options(config.train)
        self.optimizer = gluon.Trainer(self._learned, config.train.optimizer, options, kvstore=None)

    def step(self, batch: Batch, *, learning_rate: float) -> Dict[str, float]:
        """One update; returns the losses. Raises :class:`TrainingError` before the update when one is not finite."""
        images, gt_boxes, gt_labels, rpn_labels, rpn_targets = (
            mx.nd.array(array, ctx=self.context)
            for array in (batch.images, batch.gt_boxes, batch.gt_labels, batch.rpn_labels, batch.rpn_targets)
        )
        present = [mx.nd.array(batch.present, ctx=self.context)] if self.detector.phases > 1 else []
        net = self._mirrored or self.net
        with autograd.record():
            outputs = net(images, gt_boxes, gt_labels, *present)
            losses = detection_losses(outputs, rpn_labels, rpn_targets)
            total = mx.nd.add_n(*losses.values())
        total.backward()
        if self._mirrored:
            self._mirrored.backward()
        values = {name: float(loss.asscalar()) for name, loss in losses.items()}
        values["total"] = sum(values.values())
        if not math.isfinite(values["total"]):
            broken = ", ".join(name for name, value in values.items() if not math.isfinite(value))
            raise TrainingError(
                "step {}: the loss is not finite ({}); nothing was updated. Lower train.learning_rate or set "
                "train.clip_norm".format(self.step_count + 1, broken)
            )
        if self.config.train.clip_norm is not None:
            gradients = [p.grad(self.context) for p in self._learned]
            gluon.utils.clip_global_norm(gradients, self.config.train.clip_norm)
        self.optimizer.set_learning_rate(learning_rate)
        self.optimizer.step(1)  # the losses are means over the batch already
        self.step_count += 1
        return values


def learning_rate(config: TrainConfig, *, step: int, per_epoch: int) -> float:
    """The rate of ``step`` (from 0): per image times batch, warm-up from a tenth, decay at the given epochs."""
    rate = config.learning_rate * config.batch_size
    rate *= config.decay_factor ** sum(step >= epoch * per_epoch for epoch in config.decay_epochs)
    if step < config.warmup_steps:
        rate *= 0.1 + 0.9 * step / config.warmup_steps
    return rate


def _optimizer_options(config: TrainConfig) -> Dict[str, float]:
    options = {"wd": config.weight_decay}
    if config.optimizer == "sgd":
        options["momentum"] = config.momentum
    return options


class LossMeter:
    """Means of what the steps since the last record lost."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._sums: Dict[str, float] = {}
        self._steps, self._images, self._since = 0, 0, time.monotonic()

    def add(self, losses: Dict[str, float], *, images: int) -> None:
        """One step."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        self._images += images

    def flush(self) -> Dict[str, Any]:
        """``losses`` (means over the steps) and ``images_per_second``; starts anew."""
        speed = self._images / max(time.monotonic() - self._since, 1e-9)
        record = {
            "losses": {name: value / self._steps for name, value in self._sums.items()},
            "images_per_second": round(speed, 3),
        }
        self._start()
        return record
