"""The ultrasound detectors one frame at a time: what the previous frame gave is not computed again."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional

from mxnet.gluon import nn

from .nets import InferenceNet, detect_regions
from .rcnn import Features
from .us_detector import USDetector


class FrameNet(nn.HybridBlock):
    """A frame (1, 3, H, W) from 0 to 1 -> its map (1, C, H / stride, W / stride)."""

    def __init__(self, detector: USDetector, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def hybrid_forward(self, F: Any, frame: Any) -> Any:
        return self.detector.frame_map(F, frame)


class StreamOutputs(NamedTuple):
    """``rows`` and ``check`` as of :class:`gluon_liver.nn.nets.DetectionOutputs`, the flow where one is estimated."""

    rows: Any
    check: Any
    flow: Optional[Any] = None  # (1, 2, H, W) in pixels of the input


class StreamNet(InferenceNet):
    """The rest of the detector on a frame and its map; for us-flow on the previous frame and its map too."""

    outputs = StreamOutputs

    def hybrid_forward(
        self, F: Any, frame: Any, frame_map: Any, previous: Any = None, previous_map: Any = None
    ) -> List[Any]:
        detector = self.detector
        if previous is None:
            return detect_regions(F, detector, Features(frame, [frame_map]))
        flow = detector.flow_between(F, previous, frame)
        features = detector.aggregate(F, frame, flow, previous_map, frame_map)
        return [*detect_regions(F, detector, features), *([] if flow is None else [flow])]
