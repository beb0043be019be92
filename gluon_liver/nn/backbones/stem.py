"""The layers of the CT paper that reach across slices: conv1, pool1 and pool2, with slices folded into the batch."""

from __future__ import annotations

from typing import Any, Dict, Optional

from mxnet.gluon import nn

from gluon_liver.nn.layers.normalised import FOLDED, batch_norm, convolve, own_array, relu
from gluon_liver.structures.channels import scaled

from .blocks import STEM_CHANNELS


def half(depth: int) -> int:
    """Slices left by one stride-2 layer over depth (conv1, pool1, pool2 all pad to ceil(depth / 2))."""
    return (depth + 1) // 2


def stem_depth(slices: int) -> int:
    """Slices after pool2 for an input of ``slices``: 32 -> 4 (Table 2), 9 -> 2, 1 -> 1."""
    return half(half(half(slices)))


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
