"""Devices and workers that train together."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import ParallelConfig

FIRST_KEY = 1000000  # of the workers' own numbers; those of parameters count from 0


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
