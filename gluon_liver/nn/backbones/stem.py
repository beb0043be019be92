"""The layers of the CT paper that reach across slices: conv1, pool1 and pool2, with slices folded into the batch.

Which slices a layer's outputs are centred on (``network.slice_fusion``), of nine slices around the annotated one, 0:

    pools      conv1 -4 -2 0 2 4    pool1 -4 0 4    pool2 -4 4      printed: every second slice, from the first
    centre     conv1 -4 -2 0 2 4    pool1 -4 0 4    pool2 0         every second slice from the centre on, to both sides
    channels   conv1 0                                              all slices are channels of one 2D convolution

With ``pools`` the two positions that are left lie as far from the annotated slice as can be. With ``centre`` the number
of positions stays odd and the middle one is the annotated slice's, after every layer.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

import mxnet as mx
from mxnet.gluon import nn

from gluon_liver.nn.layers.normalised import FOLDED, batch_norm, convolve, own_array, relu
from gluon_liver.structures.channels import scaled

from .blocks import STEM_CHANNELS

POOLS, CENTRE, CHANNELS = "pools", "centre", "channels"  # of network.slice_fusion
TAPS = {"7x7x7": 7, "1x7x7": 1}  # of conv1 over depth, by network.stem


def halved(slices: int, fusion: str) -> range:
    """Of ``slices`` positions those that a layer of stride 2 over depth is centred on: 9 -> 0, 2, 4, 6, 8.

    pools: every second one from the first, ceil(slices / 2) of them. centre: those at an even distance from the middle.
    """
    return range(slices // 2 % 2 if fusion == CENTRE else 0, slices, 2)


class DepthPool(nn.HybridBlock):
    """Max over depth, kernel 3, stride 2, centred on the positions of :func:`halved`: pool2, and the depth of pool1.

    One pooling of a view, not maxima of slices: those would be copies, which training keeps.
    """

    def __init__(self, slices: int, *, channels: int, fusion: str = POOLS, **kwargs: Any):
        super().__init__(**kwargs)
        positions = halved(slices, fusion)
        self.slices_out, self._slices, self._channels = len(positions), slices, channels
        # three into one: oneDNN cannot add the gradient of a pooling of all three to another one (MXNet 1.9.1)
        self._in_two = slices == 3 and self.slices_out == 1
        # the first window reaches one position below the one that it is centred on
        self._pad = 1 if self._in_two else 1 - positions[0]

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N * slices, C, H, W) -> (N * slices_out, C, H, W)."""
        if self._slices == 1:
            return x
        x = F.reshape(x, (-4, -1, self._slices, -3, 0))  # (N, D, C * H, W)
        x = F.Pooling(
            F.expand_dims(x, axis=1), kernel=(3, 1, 1), stride=(2, 1, 1), pad=(self._pad, 0, 0), pool_type="max"
        )  # (N, 1, slices_out, C * H, W)
        x = F.reshape(x, (-3, 0, 0, 0))
        if self._in_two:
            x = F.maximum(*(F.slice_axis(x, axis=1, begin=at, end=at + 1) for at in (0, 1)))
        return F.reshape(x, (-3, -4, self._channels, -1, 0))


class CentreTap(mx.init.Initializer):
    """conv1 of slices as channels: the centre slice's filters as those of a net of one slice, the others zero.

    They are the sum over depth of filters (C, 1, 7, 7, 7) of He's initialisation, as :class:`StemConv` sums those of
    one slice, from the same random numbers: the net starts as the one-slice net of the same seed.
    """

    def _init_weight(self, name: Any, arr: mx.nd.NDArray) -> None:
        arr[:] = 0
        channels, one, slices, *plane = arr.shape
        whole = mx.nd.zeros((channels, one, TAPS["7x7x7"], *plane), ctx=arr.context)
        mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)._init_weight(name, whole)
        arr[:, :, slices // 2] = whole.sum(axis=2)


class StemConv(nn.HybridBlock):
    """conv1: 7x7x7 or 1x7x7, stride 2, slices folded into the batch; or 7x7 of all slices as channels.

    A 3D convolution of one channel is a 2D one whose input channels are the slices of a window. In-plane it pads with
    zeros, over depth it repeats the end slices: a stack whose slices are alike then gives what one of them gives,
    whatever its depth, so weights inflated from a 2D net are exact for any number of slices. For a single slice the
    kernel is summed over depth, which is the same.

    The weight is (channels, 1, taps, 7, 7), ``taps`` 7 or 1 by network.stem, or with network.slice_fusion channels as
    many as slices.
    """

    def __init__(
        self,
        channels: int,
        *,
        slices: int,
        fusion: str = POOLS,
        stem: str = "7x7x7",
        use_bias: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._channels, self._slices = channels, slices
        self.positions = range(slices // 2, slices // 2 + 1) if fusion == CHANNELS else halved(slices, fusion)
        self.taps = slices if fusion == CHANNELS else TAPS[stem]
        with self.name_scope():
            init = CentreTap() if fusion == CHANNELS else None
            self.weight = self.params.get("weight", shape=(channels, 1, self.taps, 7, 7), init=init)
            self.bias = self.params.get("bias", shape=(channels,), init="zeros") if use_bias else None

    def windows(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> the slices of each window as channels, (N * positions, taps, H, W), or the only slice."""
        x = F.reshape(x, (0, -3, 0, 0))  # (N, D, H, W)
        if self._slices == 1:
            return x
        reach, last = self.taps // 2, self._slices - 1
        below, above = max(0, reach - self.positions[0]), max(0, self.positions[-1] + reach - last)
        ends = [F.slice_axis(x, axis=1, begin=at, end=at + 1) for at in (0, last)]
        if below or above:
            x = F.concat(*[ends[0]] * below, x, *[ends[1]] * above, dim=1)
        firsts = [position - reach + below for position in self.positions]
        windows = [F.slice_axis(x, axis=1, begin=first, end=first + self.taps) for first in firsts]
        return F.reshape(F.stack(*windows, axis=1), (-3, 0, 0, 0))

    def convolve(self, F: Any, windows: Any, norm: Optional[nn.HybridBlock]) -> Any:
        """What :meth:`windows` gives -> (N * positions, channels, H / 2, W / 2), rounded up, normalised."""
        weight = own_array(F, windows, self.weight)
        weight = F.sum(weight, axis=2) if self._slices == 1 else F.squeeze(weight, axis=1)
        bias = None if self.bias is None else own_array(F, windows, self.bias)
        options: Dict[str, Any] = {"kernel": (7, 7), "stride": (2, 2), "pad": (3, 3), "num_filter": self._channels}
        return convolve(F, windows, weight, bias, norm, **options)


class Stem(nn.HybridBlock):
    """conv1 and pool1 of the table, slices folded into the batch.

    slices, fusion, stem: data.slices, network.slice_fusion and network.stem.
    """

    def __init__(
        self,
        *,
        slices: int,
        width: float = 1.0,
        norm: str = "live",
        fusion: str = POOLS,
        stem: str = "7x7x7",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        channels = scaled(STEM_CHANNELS, width)
        with self.name_scope():
            options: Dict[str, Any] = {"slices": slices, "fusion": fusion, "stem": stem, "use_bias": norm == FOLDED}
            self.conv1 = StemConv(channels, prefix="conv1_", **options)
            self.bn1 = batch_norm(norm, in_channels=channels)
            self.pool1 = DepthPool(len(self.conv1.positions), channels=channels, fusion=fusion, prefix="pool1_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> (N * pool1.slices_out, channels, H / 4, W / 4)."""
        # pool1 is 3x3x3: the largest of the largest in each plane
        return self.pool1(self.in_plane(F, self.conv1.windows(F, x)))

    def in_plane(self, F: Any, windows: Any) -> Any:
        """conv1 and pool1 in every plane, windows (N, taps, H, W) -> (N, channels, H / 4, W / 4)."""
        x = self.conv1.convolve(F, windows, self.bn1)
        # the ReLU of maxima is the maximum of ReLUs, on a quarter of the cells
        return relu(F, F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"))
