"""What computes a network: an engine takes its inputs as arrays and gives its rows. MXNet's is here.

An engine is one network with the numbers of one checkpoint. How images are read and boxes scaled and joined is the same
with all.
"""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple, TypeVar

import mxnet as mx
import numpy as np

from gluon_liver.nn.cascade import Cascade, FeatureNet, check_numbers
from gluon_liver.nn.folding import FLOAT32, folded
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.nn.streaming import FrameNet, StreamNet

Kept = TypeVar("Kept")


class StreamRows(NamedTuple):
    """Of a frame rows (K, 6) as :class:`DetectionNet` has them, and the flow (2, H, W) to it where one is estimated."""

    rows: np.ndarray
    flow: Optional[np.ndarray]


class StreamEngine(Protocol[Kept]):
    """A network of recordings, one frame at a time; ``Kept`` is a frame with its features, wherever the engine has it.

    frames: that the network sees at once, 1 or 2.
    """

    frames: int

    def read(self, frame: np.ndarray) -> Kept:
        """float32 (1, 3, H, W) from 0 to 1 -> what later frames need of it."""

    def detect(self, current: Kept, previous: Optional[Kept]) -> StreamRows:
        """``previous`` is of a network that sees two frames, and of no other.

        Raises :class:`gluon_liver.errors.RunError` where no numbers come out.
        """


class Engine(Protocol):
    """A network on a batch of images."""

    def detect(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """float32 (B, P, 1, D, H, W) or (B, frames, 3, H, W), and for several phases which are present (B, P), to rows
        (K, 6) of each image, as of :class:`DetectionNet`.

        Raises :class:`gluon_liver.errors.RunError` where no numbers come out.
        """

    def stream(self) -> StreamEngine[Any]:
        """The same network on frames, of ultrasound alone."""

    def record(self) -> Dict[str, Any]:
        """What results say of it: ``name``, ``version``, ``device``, ``precision`` and what it has beside these."""


def engine_record(engine: Engine) -> Dict[str, Any]:
    """What results say: ``engine``, and ``precision`` beside it, where they had it before there were engines."""
    record = engine.record()
    return {"engine": record, "precision": record["precision"]}


class MXNetEngine:
    """A detector, as its numbers are now, on an MXNet device.

    precision: as of :func:`gluon_liver.nn.folding.folded`.
    """

    def __init__(self, detector: RegionDetector, *, context: mx.Context, precision: str = FLOAT32):
        self.context, self._precision = context, precision
        self.network = folded(detector, context=context, precision=precision)
        self.net = DetectionNet(self.network)
        self.net.hybridize(static_alloc=True, static_shape=True)
        self.stages: Optional[Tuple[FeatureNet, Cascade]] = None
        if detector.config.texture_head:
            self.stages = FeatureNet(self.network), Cascade(self.network)
            self.stages[0].hybridize(static_alloc=True, static_shape=True)

    def load(self, inputs: Sequence[np.ndarray]) -> List[mx.nd.NDArray]:
        """Arrays on the device."""
        return [mx.nd.array(part, ctx=self.context) for part in inputs]

    def detect(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """See :class:`Engine`; a texture stage goes before stage two."""
        arrays = self.load(inputs)
        if self.stages is not None:
            net, cascade = self.stages
            return cascade.detect(arrays[0].reshape((0, -1, *arrays[0].shape[-2:])), net(*arrays))
        rows, check = (out.asnumpy() for out in self.net(*arrays))
        check_numbers(check)
        return list(rows)

    def stream(self) -> MXNetStream:
        return MXNetStream(self)

    def record(self) -> Dict[str, Any]:
        return {
            "name": "mxnet",
            "version": mx.__version__,
            "device": self.context.device_type,
            "precision": self._precision,
        }


class LoadedFrame(NamedTuple):
    """A frame (1, 3, H, W) and its map (1, C, h, w) on the device."""

    frame: mx.nd.NDArray
    map: mx.nd.NDArray


class MXNetStream:
    """See :class:`StreamEngine`."""

    def __init__(self, engine: MXNetEngine):
        self.network: Any = engine.network
        self.frames, self._context = self.network.frames, engine.context
        self._frame_net, self._stream_net = FrameNet(self.network), StreamNet(self.network)
        for net in (self._frame_net, self._stream_net):
            net.hybridize(static_alloc=True, static_shape=True)

    def read(self, frame: np.ndarray) -> LoadedFrame:
        loaded = mx.nd.array(frame, ctx=self._context)
        with _parts():
            # A precaution: the CPU gives each output memory of its own (MXNet 1.9.1), static_alloc promises it nowhere.
            return LoadedFrame(loaded, self._frame_net(loaded).copy())

    def detect(self, current: LoadedFrame, previous: Optional[LoadedFrame]) -> StreamRows:
        with _parts():
            outputs = self._stream_net(*current, *(previous or ()))
        check_numbers(outputs.check.asnumpy())
        return StreamRows(outputs.rows.asnumpy()[0], None if outputs.flow is None else outputs.flow.asnumpy()[0])


class _parts(warnings.catch_warnings):
    """Each of the two nets of a stream is a part of the detector and leaves the other's parameters alone."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=".* not used by any computation", category=UserWarning)
        return entered
