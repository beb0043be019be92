"""What MXNet cannot do with several devices or workers, told before it is imported."""

from __future__ import annotations

import itertools
import os
from typing import Iterator

from gluon_liver.errors import ConfigError

from .schema import Config, ParallelConfig

LAUNCHED = "DMLC_ROLE"  # set in processes that `launch` started


def check_parallel(config: Config, *, workers: int = 1) -> None:
    """Raise :class:`ConfigError` with the reason for what MXNet 1.9.1 cannot do with the devices of a configuration.

    MXNet is imported where its build alone can tell. Whether the devices are there is not asked.
    """
    on_cpu = config.parallel.devices.startswith("cpu")
    for reason in itertools.chain(
        _refused_kvstore(config.parallel, on_cpu),
        _refused_gradients(config, on_cpu),
        _refused_parts(config, workers),
    ):
        raise ConfigError(reason)


def _refused_kvstore(parallel: ParallelConfig, on_cpu: bool) -> Iterator[str]:
    """Where gradients are exchanged."""
    store, distributed = parallel.kvstore, parallel.kvstore.startswith("dist")
    if store == "nccl" and (on_cpu or not _has_nccl()):
        yield "kvstore nccl needs GPUs and an MXNet built with NCCL: take device or local"
    if distributed and LAUNCHED not in os.environ:
        yield (
            f"kvstore {store} needs servers and workers: start it with `python -m gluon_liver launch`, or take device"
        )
    if not distributed and LAUNCHED in os.environ:
        yield f"kvstore {store} in a job of `launch`: every worker would train on its own; take dist_sync"
    if distributed and "PORT" in os.environ:
        port = os.environ["PORT"]
        yield f"the environment has PORT={port}: MXNet's servers take it for their own and abort; unset it"


def _has_nccl() -> bool:
    import mxnet as mx

    return bool(mx.runtime.Features().is_enabled("NCCL"))


def _refused_gradients(config: Config, on_cpu: bool) -> Iterator[str]:
    """What is done to gradients on the way."""
    parallel, clips = config.parallel, config.train.clip_norm is not None
    asynchronous = parallel.kvstore == "dist_async"
    if parallel.compression is not None and parallel.kvstore != "device":
        yield f"parallel.compression is for kvstore device: MXNet 1.9.1 has none for {parallel.kvstore}"
    if parallel.compression is not None and parallel.device_count < 2:
        yield "parallel.compression needs two devices or more: a single one exchanges no gradients"
    if parallel.amp and on_cpu:
        yield "--amp needs GPUs: MXNet's float16 operators on CPU are emulated or missing, and slower than float32"
    if parallel.amp and clips:
        yield "train.clip_norm with --amp is not there: gradients are scaled until the update; give one of the two"
    if parallel.amp and config.train.mirror:
        yield "train.mirror with --amp is not there: the mirrored graph has no casts and trains in float32; give one"
    if asynchronous and clips:
        yield "train.clip_norm needs the gradient of all workers, which with kvstore dist_async never is in one place"
    if asynchronous and config.train.schedule == "cosine":
        yield "train.schedule cosine is not there with dist_async, whose servers change the rate at epochs: take steps"
    if asynchronous and parallel.amp:
        yield "--amp scales losses from the gradient of all workers: not with dist_async"


def _refused_parts(config: Config, workers: int) -> Iterator[str]:
    """How a step's images are parted."""
    accumulate, images, devices = config.parallel.accumulate, config.train.batch_size, config.parallel.device_count
    if config.network.batch_norm == "live" and workers > 1 and config.parallel.kvstore == "dist_async":
        yield (
            "network.batch_norm is live: with dist_async workers never meet, so that nobody can average the running "
            "statistics that each has of its own images; take dist_sync, or batch_norm frozen with pretrained weights"
        )
    parts = workers * accumulate * devices
    if images < parts:
        yield (
            f"train.batch_size is {images}: {workers} worker(s), {accumulate} accumulated part(s) and {devices} "
            f"device(s) need {parts} images at least"
        )
    elif config.network.batch_norm == "live" and images < 2 * parts:
        yield (
            "network.batch_norm is live and some devices would get one image: its statistics need two, so "
            f"{2 * parts} images a step, or batch_norm frozen with pretrained weights"
        )
