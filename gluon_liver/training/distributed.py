"""Devices and workers that train together, and what MXNet cannot do with them."""

from __future__ import annotations

import itertools
import os
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config, ParallelConfig
from gluon_liver.errors import ConfigError

FIRST_KEY = 1000000  # of the workers' own numbers; those of parameters count from 0
LAUNCHED = "DMLC_ROLE"  # set in processes that `launch` started


def even_parts(items: Sequence[Any], count: int) -> List[List[Any]]:
    """Consecutive parts whose lengths differ by one at most, longer ones first."""
    least, longer = divmod(len(items), count)
    ends = [least * place + min(place, longer) for place in range(count + 1)]
    return [list(items[first:end]) for first, end in zip(ends, ends[1:])]


class Worker:
    """This process among those that train together.

    rank: from 0; the first one keeps the log and the checkpoints. count: of all workers.
    """

    def __init__(self, kvstore: Optional[mx.kvstore.KVStoreBase] = None):
        self._kvstore = kvstore
        self.rank: int = kvstore.rank if kvstore is not None else 0
        self.count: int = kvstore.num_workers if kvstore is not None else 1
        self.updates_on_server = kvstore is not None and "async" in kvstore.type
        self._keys: Dict[int, Any] = {}

    @classmethod
    def join(cls, parallel: ParallelConfig) -> Worker:
        """Meet the other workers where the kvstore is distributed; blocks until all are there."""
        if not parallel.kvstore.startswith("dist"):
            return ALONE
        return cls(mx.kv.create(parallel.kvstore))

    @property
    def leads(self) -> bool:
        """Whether this worker writes what the run leaves."""
        return self.rank == 0

    def trainer_options(self, parallel: ParallelConfig) -> Dict[str, Any]:
        """Of gluon.Trainer. Every worker updates its own copy, so that optimisers stay out of the servers and their
        state can be saved without pickle; dist_async updates on the servers.
        """
        kvstore = parallel.kvstore if self._kvstore is None else self._kvstore
        options = {"kvstore": kvstore, "update_on_kvstore": self.updates_on_server}
        if parallel.compression is not None:
            options["compression_params"] = {"type": "2bit", "threshold": parallel.compression}
        return options

    def total(self, values: Mapping[str, float]) -> Dict[str, float]:
        """Sums over the workers, each of which must call this in the same order; own values with dist_async."""
        if self._kvstore is None or self.updates_on_server:
            return dict(values)
        return dict(zip(values, (float(value) for value in self.total_of(list(values.values())))))

    def total_of(self, values: Sequence[float]) -> np.ndarray:
        """:meth:`total` of values without names, float32."""
        sent = mx.nd.array(values)  # float32
        if self._kvstore is None or self.updates_on_server:
            return sent.asnumpy()
        key = FIRST_KEY + len(values)
        if key not in self._keys:
            self._keys[key] = mx.nd.zeros_like(sent)
            self._kvstore.init(key, self._keys[key])
        received = self._keys[key]
        self._kvstore.pushpull(key, sent, out=received)
        return received.asnumpy()

    def any(self, flag: bool) -> bool:
        """Whether any worker says so; each of them must ask. With dist_async each decides for itself."""
        return self.total({"flag": float(flag)})["flag"] > 0


ALONE = Worker()


def check_parallel(config: Config, contexts: Sequence[mx.Context], *, workers: int = 1) -> None:
    """Raise :class:`ConfigError` with the reason for what MXNet 1.9.1 cannot do."""
    devices = {context.device_type for context in contexts}
    for reason in itertools.chain(
        _refused_kvstore(config.parallel, devices),
        _refused_gradients(config, devices, len(contexts)),
        _refused_parts(config, len(contexts), workers),
    ):
        raise ConfigError(reason)


def _refused_kvstore(parallel: ParallelConfig, devices: Set[str]) -> Iterator[str]:
    """Where gradients are exchanged: ``devices`` are kinds, cpu and gpu."""
    store, distributed = parallel.kvstore, parallel.kvstore.startswith("dist")
    if len(devices) > 1:
        yield "--devices mixes cpu and gpu: gradients would travel through the host at each step; name one kind"
    if store == "nccl" and (devices == {"cpu"} or not mx.runtime.Features().is_enabled("NCCL")):
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


def _refused_gradients(config: Config, devices: Set[str], count: int) -> Iterator[str]:
    """What is done to gradients on the way, of ``count`` devices."""
    parallel, clips = config.parallel, config.train.clip_norm is not None
    asynchronous = parallel.kvstore == "dist_async"
    if parallel.compression is not None and parallel.kvstore != "device":
        yield f"parallel.compression is for kvstore device: MXNet 1.9.1 has none for {parallel.kvstore}"
    if parallel.compression is not None and count < 2:
        yield "parallel.compression needs two devices or more: a single one exchanges no gradients"
    if parallel.amp and devices == {"cpu"}:
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


def _refused_parts(config: Config, devices: int, workers: int) -> Iterator[str]:
    """How a step's images are parted."""
    accumulate, images = config.parallel.accumulate, config.train.batch_size
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
