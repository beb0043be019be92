"""The ultrasound detectors one frame at a time: what the previous frame gave is kept and not computed again."""

from __future__ import annotations

from typing import Any, List

from mxnet import autograd
from mxnet.gluon import nn

from .nets import detect_regions
from .rcnn import Features
from .us_detector import USDetector


class FrameNet(nn.HybridBlock):
    """A frame (1, 3, H, W) from 0 to 1 -> its map (1, C, H / stride, W / stride)."""

    def __init__(self, detector: USDetector, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def hybrid_forward(self, F: Any, frame: Any) -> Any:
        return self.detector.frame_map(F, frame)


class StreamNet(nn.HybridBlock):
    """The rest of the detector on a frame and its map; for us-flow on the previous frame and its map too.

    Returns rows and check value as :class:`gluon_liver.nn.nets.DetectionNet`, and for us-flow the flow (1, 2, H, W)
    in pixels of the input.
    """

    def __init__(self, detector: USDetector, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def forward(self, *args):
        if autograd.is_training():
            raise RuntimeError("StreamNet in training mode: use TrainingNet inside autograd.record()")
        return super().forward(*args)

    def hybrid_forward(self, F, frame, frame_map, previous=None, previous_map=None) -> List[Any]:
        parts = self.detector
        if previous is None:
            return list(detect_regions(F, parts, Features(frame, [frame_map])))
        flow = parts.flow_between(F, previous, frame)
        return [*detect_regions(F, parts, parts.aggregate(F, frame, flow, previous_map, frame_map)), flow]
