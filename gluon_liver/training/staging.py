"""The way of a batch from host memory to the devices; to GPUs it runs beside the step before.

Written from the sources of MXNet 1.9.1 (docs/gpu.md has files and lines), not run on a GPU:

- ``mx.nd.array(numpy, ctx=gpu)`` waits until the copy is done; ``copyto(gpu)`` of an array in host memory queues it,
  and copies have threads and streams of their own. CUDA runs only those from page-locked memory beside kernels.
- Page-locked memory has no pool: each array is a cudaHostAlloc and a cudaFreeHost, which hold up the whole device. So
  the arrays stay, two of each: one is written while copies of the other may be under way. Writing waits for copies of
  the same array, and for nothing else.

Copies to contexts of the CPU are made where they are used, as there is nothing that they could run beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Generator, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np

from gluon_liver.inference.ahead import ahead

from .batches import Batch
from .distributed import even_parts


class Share:
    """The images of a step that one device computes at once: their arrays in host memory, then on the device."""

    def __init__(self, arrays: Mapping[str, Union[np.ndarray, mx.nd.NDArray]], context: mx.Context):
        self._arrays, self._context = arrays, context
        self._sent: Optional[Dict[str, mx.nd.NDArray]] = None

    def __len__(self) -> int:
        return len(self._arrays["images"])

    def send(self) -> None:
        """Begin to copy to the device; from page-locked memory this waits for nothing."""
        if self._sent is None:
            self._sent = {name: _copy(array, self._context) for name, array in self._arrays.items()}

    def take(self) -> Dict[str, mx.nd.NDArray]:
        """The fields of :class:`Batch` on the device, which keeps them no longer than the caller does."""
        self.send()
        sent, self._sent = self._sent, None
        assert sent is not None
        return sent


@dataclass(frozen=True)
class StagedBatch:
    """A batch and its way to the devices."""

    batch: Batch
    parts: List[List[Share]]  # for each accumulated part those of the devices


class Staging:
    """Parts batches among accumulated parts and devices, and brings them there.

    fields: of :class:`Batch`, what the network and its losses take.
    pinned: by way of page-locked memory, and ahead of use; by default where the devices are GPUs.
    """

    def __init__(
        self, contexts: Sequence[mx.Context], *, accumulate: int, fields: Sequence[str], pinned: Optional[bool] = None
    ):
        self._contexts, self._accumulate, self._fields = list(contexts), accumulate, list(fields)
        gpus = any(context.device_type == "gpu" for context in contexts)
        self.pinned = gpus if pinned is None else pinned
        self._buffers: Dict[Tuple[int, int, str], mx.nd.NDArray] = {}
        self._turn = 0

    def stage(self, batch: Batch) -> StagedBatch:
        """Write the batch to page-locked memory and begin to copy what the devices start with; later parts of an
        accumulated step follow when the one before is queued. On the CPU: note who gets what.

        Of two staged batches the first one must have been used before a third is staged.
        """
        devices = len(self._contexts)
        pieces = even_parts(range(len(batch)), self._accumulate * devices)
        if self.pinned:
            self._turn = 1 - self._turn
        shares = []
        for place, piece in enumerate(pieces):
            part, context = batch.part(piece[0], piece[-1] + 1), self._contexts[place % devices]
            arrays = {name: self._host_array(getattr(part, name), (place, name), context) for name in self._fields}
            shares.append(Share(arrays, context))
            if self.pinned and place < devices:
                shares[-1].send()
        return StagedBatch(batch, [shares[first : first + devices] for first in range(0, len(shares), devices)])

    def ahead(self, batches: Iterable[Batch]) -> Generator[StagedBatch, None, None]:
        """:meth:`stage` of each batch, to GPUs in a thread, one batch ahead of the one in use."""
        staged = (self.stage(batch) for batch in batches)
        return ahead(staged, count=1) if self.pinned else staged

    def _host_array(
        self, array: np.ndarray, place: Tuple[int, str], context: mx.Context
    ) -> Union[np.ndarray, mx.nd.NDArray]:
        if not self.pinned:
            return array
        key = (self._turn, *place)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.shape != array.shape:
            # of the device that it is for: that of another one would get a CUDA context for it
            buffer = self._buffers[key] = mx.nd.empty(array.shape, ctx=mx.cpu_pinned(context.device_id))
        buffer[:] = array
        return buffer


def _copy(array: Union[np.ndarray, mx.nd.NDArray], context: mx.Context) -> mx.nd.NDArray:
    return array.copyto(context) if isinstance(array, mx.nd.NDArray) else mx.nd.array(array, ctx=context)
