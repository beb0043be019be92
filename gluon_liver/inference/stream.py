"""A trained ultrasound run on a stream of frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.images import unit_range
from gluon_liver.data.us_loader import network_frames
from gluon_liver.data.us_pairs import STEP
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections

from .choice import MXNET_ON_CPU, EngineChoice
from .detector import ImageDetector, stored_boxes
from .engine import StreamEngine, StreamRows
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

    def __init__(self, detector: ImageDetector, *, step: int = STEP):
        self.classes, self.step, self.alone = detector.classes, step, 0
        self.engine: StreamEngine[Any] = detector.engine.stream()
        self.needs_previous = self.engine.frames > 1 and detector.config.data.previous_frame != "current"
        self._size = detector.config.data.size
        self.restart()

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        choice: EngineChoice = MXNET_ON_CPU,
        proposals: Optional[int] = None,
        step: Optional[int] = None,
    ) -> Tuple[StreamDetector, str]:
        """The checkpoint of a run, and its name.

        choice: what computes the network.
        proposals: at most so many of a frame go through the ROI head, the most likely ones; None for the run's own.
        step: frames from the previous one to the current one; None for that of the run's training data.

        Raises :class:`RunError` for a CT run or one without checkpoint.
        """
        run.check_frames()
        if proposals is not None:
            choice.check_proposals()
            run = run.with_config(with_proposals(run.config, proposals))
        detector, checkpoint = choice.open(run)
        return cls(detector, step=trained_step(run.environment) if step is None else step), checkpoint

    def restart(self) -> None:
        """Forget the frames before: another scene begins."""
        self._seen: Dict[int, Any] = {}  # number -> what the engine keeps of a frame, the oldest first
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
        rows, flow = self._forward(unit_range(image))
        shape = (frame.shape[0], frame.shape[1])
        return StreamResult(
            stored_boxes(rows, scale, shape), None if flow is None else _stored_flow(flow, scale, shape)
        )

    def _forward(self, frame: np.ndarray) -> StreamRows:
        current = self.engine.read(frame)
        if self.engine.frames == 1:
            return self.engine.detect(current, None)
        previous = current
        if self.needs_previous:
            wanted = self._number - self.step
            previous = self._seen.get(wanted, current)
            self.alone += wanted not in self._seen
            self._seen = {number: kept for number, kept in self._seen.items() if number > wanted}
            self._seen[self._number] = current
        return self.engine.detect(current, previous)


def with_proposals(config: Config, most: int) -> Config:
    """A configuration whose inference takes ``most`` proposals of an image, or as many as before if those are fewer."""
    rpn = config.network.rpn
    fewer = replace(rpn, test_post_nms=min(rpn.test_post_nms, most))
    return replace(config, network=replace(config.network, rpn=fewer))


def _stored_flow(flow: np.ndarray, scale: float, shape: Tuple[int, int]) -> np.ndarray:
    """(2, size, size) in network pixels -> (h, w, 2) in pixels of the frame, at the network's resolution."""
    height, width = (min(flow.shape[1], int(round(side * scale))) for side in shape)
    return flow[:, :height, :width].transpose(1, 2, 0) / scale
