"""Training: batches of slices through :class:`TrainingNet`, four losses, one optimiser step."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from tqdm import tqdm

from ..config import Config, TrainConfig
from ..data.annotation import ImageLabel
from ..data.dataset import Dataset
from ..data.loader import SliceLoader, augment, epoch_order, shuffle_labels
from ..errors import DatasetError, TrainingError
from ..nn.detector import Detector, TrainingNet, initialize
from .batches import Batch, make_batch
from .checkpoint import save_checkpoint
from .losses import detection_losses
from .run import Run


def train(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    context: Optional[mx.Context] = None,
    steps: Optional[int] = None,
    progress: bool = True,
) -> Run:
    """Train on the dataset's training patients and leave a run folder.

    Parameters
    ----------
    steps: stop after this many steps instead of after the configured epochs.

    Raises :class:`DatasetError` when nothing can be trained on, :class:`RunError` when ``out`` is taken and
    :class:`TrainingError` with the step when a loss is not finite.
    """
    labels = training_labels(config, dataset)
    loader = SliceLoader(
        dataset, config.data, cases=sorted({label.case for label in labels}), progress=progress
    )
    run = Run.create(out, config, dataset=dataset)
    trainer = DetectorTrainer(config, classes=dataset.classes, context=context or mx.cpu())
    per_epoch = math.ceil(
        len(epoch_order(labels, background_ratio=config.data.background_ratio, seed=0, epoch=0))
        / config.train.batch_size
    )
    total = steps if steps is not None else config.train.epochs * per_epoch
    run.log("start", step=0, epoch=0, images=len(labels), steps=total)
    with tqdm(total=total, desc="training", unit="step", disable=not progress) as bar:
        epoch = 0
        while trainer.step_count < total:
            _train_epoch(trainer, loader, labels, run, epoch=epoch, per_epoch=per_epoch, total=total, bar=bar)
            epoch += 1
            if epoch % config.train.checkpoint_every == 0 or trainer.step_count >= total:
                at = {"step": trainer.step_count, "epoch": epoch}
                path = save_checkpoint(run.folder / "checkpoints", trainer.detector, **at)
                run.log("checkpoint", folder=path.name, **at)
    run.log("end", step=trainer.step_count, epoch=epoch)
    return run


def training_labels(config: Config, dataset: Dataset) -> List[ImageLabel]:
    """Labelled slices of the training patients. Raises :class:`DatasetError` when there is none."""
    cases = dataset.cases_of("train")
    labels = [label for case in cases for _, label in sorted(dataset.annotations.of_case(case).items())]
    if not labels:
        raise DatasetError(
            "no labelled slice among the {} training studies of {}: import the studies with --labels".format(
                len(cases), dataset.folder
            )
        )
    return shuffle_labels(labels, seed=config.train.seed) if config.data.shuffled_labels else labels


class DetectorTrainer:
    """The network, its optimiser and one step of both."""

    def __init__(self, config: Config, *, classes: Sequence[str], context: mx.Context):
        mx.random.seed(config.train.seed)
        self.config = config
        self.context = context
        self.step_count = 0
        self.detector = Detector(
            config.network, classes=classes, slices=config.data.slices, size=config.data.size
        )
        initialize(self.detector, context)
        self.anchors = self.detector.anchors()
        self.net = TrainingNet(self.detector, batch_size=config.train.batch_size)
        for targets in (self.net.sampler, self.net.targets):
            targets.initialize(ctx=context)
        self.net.hybridize(static_alloc=True, static_shape=True)
        learned = [p for p in self.detector.collect_learned().values() if p.grad_req != "null"]
        self.optimizer = gluon.Trainer(learned, config.train.optimizer, _optimizer_options(config.train), kvstore=None)

    def step(self, batch: Batch, *, learning_rate: float) -> Dict[str, float]:
        """One update; returns the losses. Raises :class:`TrainingError` before the update when one is not finite."""
        images, gt_boxes, gt_labels, rpn_labels, rpn_targets = (
            mx.nd.array(array, ctx=self.context)
            for array in (batch.images, batch.gt_boxes, batch.gt_labels, batch.rpn_labels, batch.rpn_targets)
        )
        with autograd.record():
            outputs = self.net(images, gt_boxes, gt_labels)
            losses = detection_losses(outputs, rpn_labels, rpn_targets)
            total = mx.nd.add_n(*losses.values())
        total.backward()
        values = {name: float(loss.asscalar()) for name, loss in losses.items()}
        values["total"] = sum(values.values())
        if not math.isfinite(values["total"]):
            broken = ", ".join(name for name, value in values.items() if not math.isfinite(value))
            raise TrainingError(
                "step {}: the loss is not finite ({}); nothing was updated. Lower train.learning_rate or set "
                "train.clip_norm".format(self.step_count + 1, broken)
            )
        if self.config.train.clip_norm is not None:
            gradients = [p.grad(self.context) for p in self.optimizer._params]
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


def _train_epoch(trainer, loader, labels, run, *, epoch, per_epoch, total, bar) -> None:
    config = trainer.config
    started, sums, count = time.monotonic(), {}, 0
    order = epoch_order(
        labels, background_ratio=config.data.background_ratio, seed=config.train.seed, epoch=epoch
    )
    size = config.train.batch_size
    # the graph has a fixed batch: the last one is filled from the start of the epoch's own order
    order += order[: -len(order) % size] if len(order) >= size else list(np.resize(order, size - len(order)))
    for first in range(0, len(order), size):
        if trainer.step_count >= total:
            return
        batch = _load_batch(trainer, loader, labels, order[first : first + size], epoch=epoch)
        rate = learning_rate(config.train, step=trainer.step_count, per_epoch=per_epoch)
        losses = trainer.step(batch, learning_rate=rate)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        bar.update(1)
        if trainer.step_count % config.train.log_every == 0 or trainer.step_count == total:
            means = {name: value / count for name, value in sums.items()}
            speed = count * size / (time.monotonic() - started)
            run.log(
                "step", step=trainer.step_count, epoch=epoch, losses=means, learning_rate=rate,
                images_per_second=round(speed, 3),
            )
            bar.set_postfix(loss="{:.3f}".format(means["total"]), epoch=epoch)
            started, sums, count = time.monotonic(), {}, 0


def _load_batch(trainer, loader, labels, indices, *, epoch) -> Batch:
    config = trainer.config
    samples = [
        augment(
            loader.load(labels[index].case, labels[index].slice, label=labels[index]),
            config.data.augment, seed=config.train.seed, epoch=epoch, index=index,
        )
        for index in indices
    ]
    return make_batch(
        samples,
        anchors=trainer.anchors,
        rpn=config.network.rpn,
        max_boxes=config.network.head.max_boxes,
        rngs=[np.random.default_rng([config.train.seed, epoch, index, 1]) for index in indices],
    )
