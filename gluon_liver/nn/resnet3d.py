"""The 3D-stem residual network of the CT paper, in its two printed depths (Tables 2 and 3).

Only conv1 and the two pools reach across slices; the 3x3 of every block is in-plane (1x3x3) and blocks stride in-plane
only. Slices are therefore folded into the batch from the first layer on and all layers are 2D, which gives the numbers
of the Conv3D form (its blocks in a half to four fifths of the time on CPU) and avoids Conv3D before BatchNorm, whose
backward MXNet 1.9 cannot compute on CPU for many channel counts (apache/mxnet#20858).
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import mxnet as mx
from mxnet.gluon import nn

from gluon_liver.structures.channels import scaled

from .layers.normalised import FOLDED, batch_norm, conv_norm, convolve, live, own_array, relu
from .layers.precision import Stage

BLOCKS = {50: (3, 4, 6, 3), 101: (6, 8, 12, 6)}  # bottlenecks of Block1 to Block4 (Tables 2 and 3)
CHANNELS = (256, 512, 1024, 2048)  # output channels of Block1 to Block4 at width 1
STEM_CHANNELS = 64


def half(depth: int) -> int:
    """Slices left by one stride-2 layer over depth (conv1, pool1, pool2 all pad to ceil(depth / 2))."""
    return (depth + 1) // 2


def stem_depth(slices: int) -> int:
    """Slices after pool2 for an input of ``slices``: 32 -> 4 (Table 2), 9 -> 2, 1 -> 1."""
    return half(half(half(slices)))


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


class DepthPool(nn.HybridBlock):
    """Max over depth, kernel 3, stride 2, padding 1, of a folded map: pool2, and the depth of pool1.

    One pooling of a view, not maxima of slices: those would be copies, which training keeps.
    """

    def __init__(self, slices: int, *, channels: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._slices, self._channels = slices, channels

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N * slices, C, H, W) -> (N * ceil(slices / 2), C, H, W)."""
        if self._slices == 1:
            return x
        x = F.reshape(x, (-4, -1, self._slices, -3, 0))  # (N, D, C * H, W)
        x = F.Pooling(
            F.expand_dims(x, axis=1), kernel=(3, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), pool_type="max"
        )  # (N, 1, D / 2, C * H, W)
        return F.reshape(F.reshape(x, (-3, 0, 0, 0)), (-3, -4, self._channels, -1, 0))


class StemConv(nn.HybridBlock):
    """conv1: 7x7x7, stride 2, slices folded into the batch.

    A 3D convolution of one channel is a 2D one whose input channels are the seven slices of a window. In-plane it
    pads with zeros, over depth it repeats the end slices: a stack whose slices are alike then gives what one of them
    gives, whatever its depth, so weights inflated from a 2D net are exact for any number of slices. For a single slice
    the kernel is summed over depth, which is the same.
    """

    def __init__(self, channels: int, *, slices: int, use_bias: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self._channels, self._slices = channels, slices
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(channels, 1, 7, 7, 7))
            self.bias = self.params.get("bias", shape=(channels,), init="zeros") if use_bias else None

    def windows(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> the seven slices of each window as channels, (N * D / 2, 7, H, W), or the only slice."""
        x = F.reshape(x, (0, -3, 0, 0))  # (N, D, H, W)
        if self._slices == 1:
            return x
        first, last = (F.slice_axis(x, axis=1, begin=at, end=at + 1) for at in (0, self._slices - 1))
        x = F.concat(first, first, first, x, last, last, last, dim=1)
        windows = [F.slice_axis(x, axis=1, begin=2 * k, end=2 * k + 7) for k in range(half(self._slices))]
        return F.reshape(F.stack(*windows, axis=1), (-3, 0, 0, 0))

    def convolve(self, F: Any, windows: Any, norm: Optional[nn.BatchNorm]) -> Any:
        """What :meth:`windows` gives -> (N * D / 2, channels, H / 2, W / 2), rounded up, normalised."""
        weight = own_array(F, windows, self.weight)
        weight = F.sum(weight, axis=2) if self._slices == 1 else F.squeeze(weight, axis=1)
        bias = None if self.bias is None else own_array(F, windows, self.bias)
        options: Dict[str, Any] = {"kernel": (7, 7), "stride": (2, 2), "pad": (3, 3), "num_filter": self._channels}
        return convolve(F, windows, weight, bias, norm, **options)


class Stem(nn.HybridBlock):
    """conv1 and pool1 of the table, slices folded into the batch."""

    def __init__(self, *, slices: int, width: float = 1.0, norm: str = "live", **kwargs: Any):
        super().__init__(**kwargs)
        channels = scaled(STEM_CHANNELS, width)
        with self.name_scope():
            self.conv1 = StemConv(channels, slices=slices, use_bias=norm == FOLDED, prefix="conv1_")
            self.bn1 = batch_norm(norm, in_channels=channels)
            self.pool1 = DepthPool(half(slices), channels=channels, prefix="pool1_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> (N * D / 4, channels, H / 4, W / 4)."""
        # pool1 is 3x3x3: the largest of the largest in each plane
        return self.pool1(self.in_plane(F, self.conv1.windows(F, x)))

    def in_plane(self, F: Any, windows: Any) -> Any:
        """conv1 and pool1 in every plane, windows (N, 7, H, W) -> (N, channels, H / 4, W / 4)."""
        x = self.conv1.convolve(F, windows, self.bn1)
        # the ReLU of maxima is the maximum of ReLUs, on a quarter of the cells
        return relu(F, F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"))


class ResNet3D(nn.HybridBlock):
    """conv1 to Block3 of Tables 2 and 3: the feature extractor before region proposals.

    Block4 is the ROI head (see :mod:`gluon_liver.nn.ct_detector`), made with :func:`make_block`.

    depth: 50 (Table 2) or 101 (Table 3).
    width: channels as a fraction of the paper's.
    slices: depth of the input. The parameters do not depend on it.
    stride: of Block3's map, 16 as in the table, or 8 where Block3 does not stride (small inputs).
    norm: network.batch_norm, or folded, see :mod:`gluon_liver.nn.layers.normalised`.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        slices: int = 1,
        stride: int = 16,
        norm: str = "live",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        options: Dict[str, Any] = {"depth": depth, "width": width, "norm": norm}
        with self.name_scope():
            self.stem = Stem(slices=slices, width=width, norm=norm, prefix="stem_")
            self.block1 = make_block(1, **options)
            self.pool2 = DepthPool(half(half(slices)), channels=scaled(CHANNELS[0], width), prefix="pool2_")
            self.block2 = make_block(2, **options)
            self.block3 = make_block(3, stride=stride // 8, **options)
        self.slices_out = (half(half(slices)), stem_depth(slices), stem_depth(slices))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> Block1, Block2, Block3 at strides 4, 8, 16, slices folded into the batch.

        Shapes: (N * D / 4, 256, H / 4, W / 4), (N * D / 8, 512, H / 8, W / 8), (N * D / 8, 1024, H / 16, W / 16) at
        width 1 and stride 16, D / 4 and D / 8 rounded up at each halving.
        """
        block1 = self.block1(self.stem(x))
        block2 = self.block2(self.pool2(block1))
        block3 = self.block3(block2)
        return block1, block2, block3
