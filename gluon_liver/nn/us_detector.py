"""The two detectors of the ultrasound paper: plain Faster R-CNN, and the one that sees the previous frame too.

They differ in the previous frame, its flow and the aggregation alone (Fig. 1 of the paper).
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np
from mxnet.gluon import nn

from gluon_liver.config.network import NetworkConfig
from gluon_liver.config.schema import FlowConfig
from gluon_liver.flow.liteflownet import LiteFlowNet
from gluon_liver.flow.operators import enlarge_flow, shrink
from gluon_liver.structures.channels import scaled

from .aggregation import FLOW_CHANNELS, Aggregation, FlowCells, follow
from .backbones.blocks import CHANNELS, make_block
from .backbones.resnet2d import MEAN, STD, ResNet2D
from .layers.indexing import entry
from .rcnn import Features, RegionDetector


class USDetector(RegionDetector):
    """ResNet-50 features of the current frame, with ``flow`` aggregated with those of the previous one.

    config, classes, size: see :class:`RegionDetector`.
    flow: the ``flow`` section of a configuration for the proposed model, None for plain Faster R-CNN.
    """

    def __init__(
        self, config: NetworkConfig, *, classes: Sequence[str], size: int, flow: Optional[FlowConfig] = None, **kwargs
    ):
        super().__init__(config, classes=classes, size=size, **kwargs)
        norm = config.batch_norm
        channels = [scaled(count, config.width) for count in CHANNELS]
        with self.name_scope():
            self.normalise = Normalise(prefix="normalise_")
            self.backbone = ResNet2D(
                width=config.width,
                stride=config.stride,
                norm=norm,
                frozen_stages=config.frozen_stages,
                prefix="backbone_",
            )
            self.block4 = make_block(4, width=config.width, norm=norm)
            self.flow: Any = None  # none either where ``flow.estimate`` is zero
            self.aggregation: Any = None
            if flow is not None and flow.estimate != "zero":
                self.flow = LiteFlowNet(width=flow.width, last_level=flow.last_level, prefix="flow_")
                self.shrink = flow.shrink
                if not flow.train:
                    self.flow.collect_params().setattr("grad_req", "null")
                self.cells = FlowCells(size=size, stride=config.stride, prefix="cells_")
            if flow is not None:
                self.aggregation = Aggregation(channels[2], norm=norm, prefix="aggregation_")
        self._train_flow, self._flow_config = flow is not None and flow.train, flow
        self.add_regions(map_channels=channels[2], head_channels=channels[3])

    def rebuilt(self, config: NetworkConfig) -> USDetector:
        """A detector that differs in ``config`` alone, without numbers."""
        return USDetector(config, classes=self.classes, size=self.size, flow=self._flow_config)

    @property
    def frames(self) -> int:
        """Frames of an input: the previous and the current one, or the current one alone."""
        return 1 if self.aggregation is None else 2

    def features(self, F: Any, x: Any, present: Any = None) -> Features:
        """(B, frames, 3, H, W), red, green, blue from 0 to 1, the current frame last -> Block3's map, aggregated.

        The frames go through the backbone together. ``present`` is of CT and not looked at.
        """
        current = entry(F, x, self.frames - 1, axis=1)
        if self.frames == 1:
            return Features(current, [self.frame_map(F, current)])
        maps = F.reshape(self.frame_map(F, F.reshape(x, (-3, 0, 0, 0))), (-4, -1, 2, 0, 0, 0))
        previous = entry(F, x, 0, axis=1)
        flow = self.flow_between(F, previous, current)
        return self.aggregate(F, current, flow, entry(F, maps, 0, axis=1), entry(F, maps, 1, axis=1))

    def frame_map(self, F: Any, frames: Any) -> Any:
        """(N, 3, H, W) from 0 to 1 -> (N, C, H / stride, W / stride): what a stream keeps of a frame."""
        return self.backbone(self.normalise(frames))

    def flow_between(self, F: Any, previous: Any, current: Any) -> Any:
        """Frames (B, 3, H, W) from 0 to 1 -> flow (B, 2, H, W) in pixels of the input, previous to current.

        None where ``flow.estimate`` is zero.
        """
        if self.flow is None:
            return None
        frames = [previous, current]
        if self.shrink > 1:
            frames = [shrink(F, frame, self.shrink) for frame in frames]
        flow = self.flow(*(F.reverse(frame, axis=1) for frame in frames))  # LiteFlowNet takes blue, green, red
        if self.shrink > 1:
            flow = enlarge_flow(F, flow, self.shrink)
        return flow if self._train_flow else F.stop_gradient(flow)

    def aggregate(self, F: Any, current: Any, flow: Any, previous_map: Any, current_map: Any) -> Features:
        """The current frame, the flow to it and the maps of both frames -> what proposals and ROIs read."""
        if flow is None:
            cells = F.zeros_like(F.slice_axis(current_map, axis=1, begin=0, end=FLOW_CHANNELS))
        else:
            cells = self.cells(flow)
            if self.config.aggregation == "warp":
                previous_map = follow(F, previous_map, cells)
        return Features(current, [self.aggregation(current_map, previous_map, cells)])


class Normalise(nn.HybridBlock):
    """ImageNet's mean off, divided by its deviation."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            for name, values in (("mean", MEAN), ("std", STD)):
                value = np.array(values, np.float32).reshape((1, 3, 1, 1))
                setattr(self, name, self.params.get_constant(name, value))

    def hybrid_forward(self, F: Any, x: Any, mean: Any, std: Any) -> Any:
        """(N, 3, H, W) from 0 to 1 -> normalised."""
        return F.broadcast_div(F.broadcast_sub(x, mean), std)
