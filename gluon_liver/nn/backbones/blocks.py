"""Block1 to Block4 of both papers' residual networks: bottlenecks in-plane, slices folded into the batch."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import mxnet as mx
from mxnet.gluon import nn

from gluon_liver.nn.layers.normalised import FOLDED, batch_norm, conv_norm, live, relu
from gluon_liver.nn.layers.precision import Stage
from gluon_liver.structures.channels import scaled

STAGES = ("stem", "block1", "block2", "block3")  # of a backbone, in the order in which network.frozen_stages counts
BLOCKS = {50: (3, 4, 6, 3), 101: (6, 8, 12, 6)}  # bottlenecks of Block1 to Block4 (Tables 2 and 3)
CHANNELS = (256, 512, 1024, 2048)  # output channels of Block1 to Block4 at width 1
STEM_CHANNELS = 64


class Bottleneck(nn.HybridBlock):
    """1x1, 3x3, 1x1 with a skip, in-plane, on (batch * slices, channels, height, width).

    The stride sits in the 3x3 (as in ResNet v1b, whose weights can then be transferred). The last BatchNorm starts
    with gamma 0, so that every block starts as its skip.
    """

    def __init__(self, channels: int, *, stride: int, in_channels: int, norm: str, **kwargs: Any):
        super().__init__(**kwargs)
        inner = channels // 4
        with self.name_scope():
            self.conv1 = nn.Conv2D(inner, 1, use_bias=norm == FOLDED, in_channels=in_channels)
            self.bn1 = batch_norm(norm, in_channels=inner)
            self.conv2 = nn.Conv2D(inner, 3, stride, 1, use_bias=norm == FOLDED, in_channels=inner)
            self.bn2 = batch_norm(norm, in_channels=inner)
            self.conv3 = nn.Conv2D(channels, 1, use_bias=norm == FOLDED, in_channels=inner)
            self.bn3 = batch_norm(norm, in_channels=channels, gamma_initializer="zeros")
            if stride != 1 or in_channels != channels:
                self.skip_conv = nn.Conv2D(channels, 1, stride, use_bias=norm == FOLDED, in_channels=in_channels)
                self.skip_bn = batch_norm(norm, in_channels=channels)
            else:
                self.skip_conv = None

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        skip = x if self.skip_conv is None else conv_norm(F, x, self.skip_conv, self.skip_bn)
        return self._rest(F, conv_norm(F, x, self.conv1, self.bn1), skip)

    def before_relu(self, F: Any, x: Any) -> Tuple[Any, Any]:
        """What is linear in x (N, in_channels, H, W), cell by cell: (N, channels / 4, H, W) and, of the skip at stride
        1, (N, channels, H, W). BatchNorm of a batch's own statistics is left to :meth:`after_pooling`."""
        pairs = ((self.conv1, self.bn1), (self.skip_conv, self.skip_bn))
        inner, skip = (conv_norm(F, x, conv, None if live(norm) else norm, stride=(1, 1)) for conv, norm in pairs)
        return inner, skip

    def after_pooling(self, F: Any, inner: Any, skip: Any) -> Any:
        """The block's output from what :meth:`before_relu` gave, pooled, the skip with every second bin alone."""
        if self.bn1 is not None and self.skip_bn is not None and live(self.bn1):
            inner, skip = self.bn1(inner), self.skip_bn(skip)
        return self._rest(F, inner, skip)

    def _rest(self, F: Any, inner: Any, skip: Any) -> Any:
        y = relu(F, conv_norm(F, relu(F, inner), self.conv2, self.bn2))
        return relu(F, conv_norm(F, y, self.conv3, self.bn3) + skip)


class ChannelIdentity(mx.init.Initializer):
    """A 1x1 convolution that passes every channel on as it is."""

    def _init_weight(self, name, arr):
        arr[:] = mx.nd.eye(arr.shape[0]).reshape(arr.shape)


class Transition(nn.HybridBlock):
    """The layer that Table 3's net has after each block "to maintain the feature size": 1x1 conv, BatchNorm, ReLU.

    It starts as the identity, as a bottleneck starts as its skip, so that it does not scramble transferred features.
    """

    def __init__(self, channels: int, *, norm: str, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(
                channels, 1, use_bias=norm == FOLDED, in_channels=channels, weight_initializer=ChannelIdentity()
            )
            self.bn = batch_norm(norm, in_channels=channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, channels, H, W) -> the same shape."""
        return relu(F, conv_norm(F, x, self.conv, self.bn))


def stage_norms(norm: str, frozen_stages: int) -> List[str]:
    """network.batch_norm as each of :data:`STAGES` has it: a frozen one keeps its running statistics."""
    return ["frozen" if number < frozen_stages and norm == "live" else norm for number in range(len(STAGES))]


def freeze(backbone: nn.HybridBlock, frozen_stages: int) -> None:
    """Keep the weights of the first stages as they are given."""
    for name in STAGES[:frozen_stages]:
        getattr(backbone, name).collect_params().setattr("grad_req", "null")


def make_block(
    number: int, *, depth: int = 50, width: float = 1.0, stride: Optional[int] = None, norm: str = "live"
) -> Stage:
    """Block ``number`` (1 to 4) of the table: its bottlenecks, the first of which strides by 2 (by 1 in Block1).

    At depth 101 a transition layer ends the block: 32 bottlenecks of three layers, conv1 and four transitions are the
    101 layers of Table 3.
    """
    if stride is None:
        stride = 1 if number == 1 else 2
    channels = scaled(CHANNELS[number - 1], width)
    in_channels = scaled(STEM_CHANNELS if number == 1 else CHANNELS[number - 2], width)
    block = Stage(prefix=f"block{number}_")
    with block.name_scope():
        for _ in range(BLOCKS[depth][number - 1]):
            block.add(Bottleneck(channels, stride=stride, in_channels=in_channels, norm=norm))
            stride, in_channels = 1, channels
        if depth == 101:
            block.add(Transition(channels, norm=norm, prefix="transition_"))
    return block
