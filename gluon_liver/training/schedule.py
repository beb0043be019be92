"""The learning rate of each step, here and on the servers of dist_async."""

from __future__ import annotations

import math
from typing import List, Optional

import mxnet as mx

from gluon_liver.config.schema import TrainConfig

from .distributed import Worker


def learning_rate(config: TrainConfig, *, step: int, per_epoch: int) -> float:
    """The rate of ``step`` (from 0): the one per image times the batch, warmed up, and falling as ``schedule`` says.

    per_epoch: steps of an epoch. A cosine begins where warm-up ends, and ends with the last of ``train.epochs``.
    """
    rate = config.learning_rate * config.batch_size * warm_up(config, step)
    if config.schedule == "cosine":
        past, all_steps = (max(0, count - config.warmup_steps) for count in (step, config.epochs * per_epoch))
        return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, past / max(1, all_steps))))
    return rate * config.decay_factor ** sum(step >= epoch * per_epoch for epoch in config.decay_epochs)


def warm_up(config: TrainConfig, step: int) -> float:
    """The share of the rate that ``step`` (from 0) has: from ``warmup_from`` in a line to 1."""
    if step >= config.warmup_steps:
        return 1.0
    return config.warmup_from + (1 - config.warmup_from) * step / config.warmup_steps


def schedule_notes(config: TrainConfig, *, steps: Optional[int], per_epoch: int) -> List[str]:
    """What nobody means by a schedule: all epochs within warm-up, or ``steps`` (of --steps) beyond a cosine's end."""
    end = config.epochs * per_epoch
    epochs = f"train.epochs, {config.epochs} of {per_epoch} steps"
    if steps is None and end <= config.warmup_steps:
        wanted = "lower train.warmup_steps or train longer"
        return [f"warm-up takes {config.warmup_steps} steps and {epochs}, end before the rate is reached: {wanted}"]
    end = max(end, config.warmup_steps)
    if config.schedule == "cosine" and steps is not None and steps > end:
        wanted = "raise train.epochs or lower --steps"
        return [
            f"after step {end} of {steps} the rate is 0 and nothing is learned: the cosine ends with {epochs}: {wanted}"
        ]
    return []


def async_schedule(
    config: TrainConfig, *, per_epoch: int, worker: Worker, step: int = 0
) -> Optional[mx.lr_scheduler.LRScheduler]:
    """The recipe's rates from ``step`` on as servers of dist_async apply them; None for all other kvstores.

    Servers get their rates from the scheduler alone and count the updates of all workers from 0: an epoch is as many
    updates as workers times steps. The scheduler is one of MXNet's own, for it travels pickled. They have none for a
    cosine that is gone on with, which ``check_parallel`` refuses.
    """
    if not worker.updates_on_server:
        return None
    ends = [int(round(epoch * per_epoch)) for epoch in config.decay_epochs]
    rate = config.learning_rate * config.batch_size * config.decay_factor ** sum(end <= step for end in ends)
    begin, warmup = rate * warm_up(config, step), max(0, config.warmup_steps - step)
    options = {"base_lr": rate, "warmup_steps": warmup * worker.count, "warmup_begin_lr": begin}
    left = [(end - step) * worker.count for end in ends if end > step]
    if not left:
        return mx.lr_scheduler.FactorScheduler(step=2**31, factor=1.0, **options)
    return mx.lr_scheduler.MultiFactorScheduler(step=left, factor=config.decay_factor, **options)
