"""Two frames in one map (ultrasound paper, "Aggregation framework based on two sequential frames").

The summation layer adds the motion to the previous frame's features as two more channels; the aggregation layer is a
bottleneck that combines them with the current frame's features and keeps those as its skip. Its one 3x3 convolution
cannot meet what has moved by more than a cell; :func:`follow` moves the previous frame's features first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mxnet.gluon import nn

from gluon_liver.flow.operators import warp

from .fusion import averaging, resample
from .layers.normalised import FOLDED, batch_norm, conv_norm, relu

FLOW_CHANNELS = 2


class FlowCells(nn.HybridBlock):
    """A flow in pixels to the cells of a map: its mean over one stride around each cell's pixel, in cells."""

    def __init__(self, *, size: int, stride: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._cells, self._stride = -(-size // stride), stride
        with self.name_scope():
            matrix = averaging(size, 1, self._cells, stride).astype(np.float32)
            self.matrix = self.params.get_constant("matrix", matrix)

    def hybrid_forward(self, F: Any, flow: Any, matrix: Any) -> Any:
        """(B, 2, size, size) -> (B, 2, size / stride, size / stride)."""
        return resample(F, flow, matrix, self._cells) / self._stride


def follow(F: Any, previous: Any, flow: Any) -> Any:
    """The previous frame's map (B, C, h, w) on the cells of the current one, bilinear, zero where it saw nothing.

    flow: (B, 2, h, w) in cells, previous to current, given at cells of the previous frame: what cell p showed is at
    p + flow(p) now. A cell q of the current frame shows what p = q - flow(p) did, and flow(p) is taken as the flow at
    q - flow(q), edges repeated. That is right for tissue that moves together; what moves alone, and by more than its
    own size, is lost.
    """
    places = F.clip(F.GridGenerator(-flow, transform_type="warp"), -1, 1)
    return warp(F, previous, -F.BilinearSampler(flow, places), single_cells=False)


class Aggregation(nn.HybridBlock):
    """Summation and aggregation layer. Starts as the current frame's features, whatever the previous ones are."""

    def __init__(self, channels: int, *, norm: str, **kwargs: Any):
        super().__init__(**kwargs)
        inner = channels // 4
        with self.name_scope():
            self.conv1 = nn.Conv2D(inner, 1, use_bias=norm == FOLDED, in_channels=2 * channels + FLOW_CHANNELS)
            self.bn1 = batch_norm(norm, in_channels=inner)
            self.conv2 = nn.Conv2D(inner, 3, padding=1, use_bias=norm == FOLDED, in_channels=inner)
            self.bn2 = batch_norm(norm, in_channels=inner)
            self.conv3 = nn.Conv2D(channels, 1, use_bias=norm == FOLDED, in_channels=inner)
            self.bn3 = batch_norm(norm, in_channels=channels, gamma_initializer="zeros")

    def hybrid_forward(self, F: Any, current: Any, previous: Any, flow: Any) -> Any:
        """Features (B, C, h, w) of both frames, not negative, and the flow (B, 2, h, w) in cells -> (B, C, h, w)."""
        summed = F.concat(previous, flow, dim=1)  # the summation layer: C + 2 channels
        y = relu(F, conv_norm(F, F.concat(current, summed, dim=1), self.conv1, self.bn1))
        y = relu(F, conv_norm(F, y, self.conv2, self.bn2))
        return relu(F, conv_norm(F, y, self.conv3, self.bn3) + current)
