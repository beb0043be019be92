"""A trained ultrasound run on a stream of frames."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Dict, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.images import unit_range
from gluon_liver.data.us_loader import network_frames
from gluon_liver.data.us_pairs import STEP
from gluon_liver.errors import RunError
from gluon_liver.nn.streaming import FrameNet, StreamNet, StreamOutputs
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections

from .detector import SliceDetector, stored_boxes
from .frame_step import trained_step


class StreamResult(NamedTuple):
    """Detections of a frame, and for us-flow the flow (h, w, 2) from the frame before, both in pixels of the frame.

    No flow with ``flow.estimate: zero``.
    """

    detections: Detections
    flow: Optional[np.ndarray]


class StreamDetector:
    """Detects in one frame after the other; keeps the frames of the last ``step`` and their features.

    The previous frame is the one ``step`` before, by number. The first frames, and the first ones after
    :meth:`restart`, are their own previous frames, and so is one of which the previous one was not seen; with
    ``data.previous_frame: current`` all are.

    Attributes: classes; step; needs_previous, whether the network sees another frame at all; alone, how many frames
    have been their own since the beginning.
    """

    def __init__(self, detector: SliceDetector, *, step: int = STEP):
        self.classes, self.step, self.alone = detector.classes, step, 0
        own = detector.config.data.previous_frame == "current"
        self.needs_previous = detector.network.frames > 1 and not own
        self._context, self._network, self._size = detector.context, detector.network, detector.config.data.size
        self._frame_net, self._stream_net = FrameNet(detector.network), StreamNet(detector.network)
        for net in (self._frame_net, self._stream_net):
            net.hybridize(static_alloc=True, static_shape=True)
        self.restart()

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        context: Optional[mx.Context] = None,
        proposals: Optional[int] = None,
        step: Optional[int] = None,
    ) -> Tuple[StreamDetector, str]:
        """The checkpoint of a run, and its name.

        proposals: at most so many of a frame go through the ROI head, the most likely ones; None for the run's own.
        step: frames from the previous one to the current one; None for that of the run's training data.

        Raises :class:`RunError` for a CT run or one without checkpoint.
        """
        run.check_frames()
        if proposals is not None:
            run = run.with_config(with_proposals(run.config, proposals))
        detector, checkpoint = SliceDetector.from_run(run, context=context)
        return cls(detector, step=trained_step(run.environment) if step is None else step), checkpoint

    def restart(self) -> None:
        """Forget the frames before: another scene begins."""
        self._seen: Dict[int, Tuple[mx.nd.NDArray, mx.nd.NDArray]] = {}  # number -> frame and map, the oldest first
        self._number = -1

    def detect(self, frame: np.ndarray, number: Optional[int] = None) -> StreamResult:
        """uint8 (H, W, 3) RGB -> boxes in pixels of the frame. Raises :class:`RunError` when no numbers come out.

        number: of the frame in its recording, above that of the frame before; None for the next one.
        """
        number = self._number + 1 if number is None else number
        if number <= self._number:
            raise ValueError(f"frame {number} comes after frame {self._number}: restart the stream")
        self._number = number
        image, scale = network_frames(frame[None], self._size)
        current = mx.nd.array(unit_range(image), ctx=self._context)
        with warnings.catch_warnings():
            # each of the two nets is a part of the detector and leaves the other's parameters alone
            warnings.filterwarnings("ignore", message=".* not used by any computation", category=UserWarning)
            outputs = self._forward(current)
        if not np.isfinite(outputs.check.asnumpy()).all():
            raise RunError("the network's scores are not finite: its training diverged, so it cannot detect anything")
        shape = (frame.shape[0], frame.shape[1])
        detections = stored_boxes(outputs.rows.asnumpy()[0], scale, shape)
        flow = None if outputs.flow is None else _stored_flow(outputs.flow, scale, shape)
        return StreamResult(detections, flow)

    def _forward(self, current: mx.nd.NDArray) -> StreamOutputs:
        # A precaution: the CPU gives each output memory of its own (MXNet 1.9.1), static_alloc promises it nowhere.
        frame_map = self._frame_net(current).copy()
        if self._network.frames == 1:
            return self._stream_net(current, frame_map)
        previous, previous_map = current, frame_map
        if self.needs_previous:
            wanted = self._number - self.step
            previous, previous_map = self._seen.get(wanted, (current, frame_map))
            self.alone += wanted not in self._seen
            self._seen = {number: kept for number, kept in self._seen.items() if number > wanted}
            self._seen[self._number] = current, frame_map
        return self._stream_net(current, frame_map, previous, previous_map)


def with_proposals(config: Config, most: int) -> Config:
    """A configuration whose inference takes ``most`` proposals of an image, or as many as before if those are fewer."""
    rpn = config.network.rpn
    fewer = replace(rpn, test_post_nms=min(rpn.test_post_nms, most))
    return replace(config, network=replace(config.network, rpn=fewer))


def _stored_flow(flow: mx.nd.NDArray, scale: float, shape: Tuple[int, int]) -> np.ndarray:
    """(1, 2, size, size) in network pixels -> (h, w, 2) in pixels of the frame, at the network's resolution."""
    height, width = (min(flow.shape[2], int(round(side * scale))) for side in shape)
    return flow.asnumpy()[0, :, :height, :width].transpose(1, 2, 0) / scale
