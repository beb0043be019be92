"""The parts of LiteFlowNet (Hui, Tang, Loy, CVPR 2018): features, matching, sub-pixel refinement, regularisation.

Sizes of layers are those of the authors' release. Levels count from 1 (the input's size) to 6 (a 32nd of it). Inside
the network a flow is in pixels of the input divided by ``FLOW_SCALE``, whatever the level.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union

import mxnet as mx
from mxnet.gluon import nn

from gluon_liver.structures.channels import scaled

from .operators import DISPLACEMENTS, correlation, neighbours, similarity, warp, zero_mean

FLOW_SCALE = 20.0
SLOPE = 0.1  # of every LeakyReLU
# channels of the convolutions of each level's features; the first one of a level but level 1 has stride 2
FEATURES = {1: (32,), 2: (32, 32, 32), 3: (64, 64), 4: (96, 96), 5: (128,), 6: (192,)}
WINDOW = {2: 7, 3: 5, 4: 5, 5: 3, 6: 3}  # kernel of the layer that gives the flow, and of the local convolution
SPARSE = (2, 3)  # levels that correlate every second cell (release)
MATCHED_CHANNELS = 64  # level 2 widens its 32 channels for matching and refinement
GUIDE_CHANNELS = 128  # levels 2 to 4 bring their features to 128 channels for the regularisation
DECODER = (128, 64, 32)  # matching and sub-pixel refinement
GUIDE = (128, 128, 64, 64, 32, 32)  # regularisation


def cells(level: int) -> float:
    """What a flow of the network must be multiplied by to be in cells of the level's maps."""
    return FLOW_SCALE / 2 ** (level - 1)


def moved(F: Any, x: Any, flow: Any, level: int) -> Any:
    """What ``x``, a map or an image at the level's size, shows where the network's flow points."""
    # images are of 32 pixels or more: maps of a single row or column are of level 6
    return warp(F, x, flow * cells(level), single_cells=level == 6)


def convolution(channels: int, kernel: Union[int, Tuple[int, int]], *, in_channels: int, stride: int = 1) -> nn.Conv2D:
    """A convolution that keeps the size at stride 1; weights start as in the release (He et al., by fan-in)."""
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    start, padding = mx.init.MSRAPrelu("in", slope=0.0), (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2D(channels, kernel, stride, padding, in_channels=in_channels, weight_initializer=start)


def chain(channels: Sequence[int], kernel: int, *, in_channels: int, stride: int = 1) -> nn.HybridSequential:
    """Convolutions, each followed by a LeakyReLU; the first one strides."""
    layers = nn.HybridSequential(prefix="")
    for count in channels:
        layers.add(convolution(count, kernel, in_channels=in_channels, stride=stride), nn.LeakyReLU(SLOPE))
        in_channels, stride = count, 1
    return layers


def upsampling(channels: int) -> nn.Conv2DTranspose:
    """Each channel alone to twice the size, bilinear. Not trained, as in the release."""
    options = dict(groups=channels, in_channels=channels, use_bias=False, weight_initializer=mx.init.Bilinear())
    layer = nn.Conv2DTranspose(channels, kernel_size=4, strides=2, padding=1, **options)
    layer.weight.grad_req = "null"
    return layer


def summation(count: int) -> nn.Conv2D:
    """The sum over the neighbours of the local convolution, which the release writes as a 1x1 convolution of ones.

    Not trained; kept as parameters because files of weights have them.
    """
    layer = nn.Conv2D(1, 1, in_channels=count, weight_initializer="ones", bias_initializer="zeros")
    layer.weight.grad_req = layer.bias.grad_req = "null"
    return layer


class Features(nn.HybridBlock):
    """NetC: the pyramid of features, the same for both images."""

    def __init__(self, *, width: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        channels = 3
        with self.name_scope():
            for level, full_counts in FEATURES.items():
                counts = [scaled(count, width) for count in full_counts]
                stage = chain(counts, 7 if level == 1 else 3, in_channels=channels, stride=1 if level == 1 else 2)
                setattr(self, f"level{level}", stage)
                channels = counts[-1]

    def hybrid_forward(self, F: Any, image: Any) -> List[Any]:
        """(B, 3, H, W) -> maps of levels 1 to 6, (B, C_l, H / 2^(l - 1), W / 2^(l - 1))."""
        maps = [self.level1(image)]
        for level in range(2, 7):
            maps.append(getattr(self, f"level{level}")(maps[-1]))
        return maps


class Matching(nn.HybridBlock):
    """NetE's M (descriptor matching): the flow of the level above, improved by the best match within 3 (or 6) cells."""

    def __init__(self, level: int, *, width: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self._level, self._stride = level, 2 if level in SPARSE else 1
        channels = [scaled(count, width) for count in DECODER]
        with self.name_scope():
            if level < 6:
                self.upsample_flow = upsampling(2)
            if level in SPARSE:
                self.upsample_cost = upsampling(DISPLACEMENTS)
            self.decoder = chain(channels, 3, in_channels=DISPLACEMENTS)
            self.flow = convolution(2, WINDOW[level], in_channels=channels[-1])

    def hybrid_forward(self, F: Any, first: Any, second: Any, flow: Optional[Any] = None) -> Any:
        """Maps (B, C, H, W) and, but on level 6, the flow (B, 2, H / 2, W / 2) -> (B, 2, H, W)."""
        if flow is not None:
            flow = self.upsample_flow(flow)
            second = moved(F, second, flow, self._level)
        cost = F.LeakyReLU(correlation(F, first, second, stride=self._stride), slope=SLOPE)
        if self._stride == 2:
            cost = self.upsample_cost(cost)
        residual = self.flow(self.decoder(cost))
        return residual if flow is None else flow + residual


class SubPixel(nn.HybridBlock):
    """NetE's S (sub-pixel refinement): the flow refined from the maps themselves, the second one warped."""

    def __init__(self, level: int, *, in_channels: int, width: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self._level = level
        channels = [scaled(count, width) for count in DECODER]
        with self.name_scope():
            self.decoder = chain(channels, 3, in_channels=2 * in_channels + 2)
            self.flow = convolution(2, WINDOW[level], in_channels=channels[-1])

    def hybrid_forward(self, F: Any, first: Any, second: Any, flow: Any) -> Any:
        """Maps (B, C, H, W) and flow (B, 2, H, W) -> (B, 2, H, W)."""
        second = moved(F, second, flow, self._level)
        return flow + self.flow(self.decoder(F.concat(first, second, flow, dim=1)))


class Regularization(nn.HybridBlock):
    """NetE's R (flow regularization): each flow vector becomes a mean of its neighbours.

    This is the feature-driven local convolution. The filter of a place follows from the features, the flow and how
    badly the flow explains the images.
    """

    def __init__(self, level: int, *, in_channels: int, width: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self._level, self._window = level, WINDOW[level]
        count = self._window**2
        channels = [scaled(number, width) for number in GUIDE]
        with self.name_scope():
            self.reduce = None
            if level < 5:
                self.reduce = chain([scaled(GUIDE_CHANNELS, width)], 1, in_channels=in_channels)
                in_channels = scaled(GUIDE_CHANNELS, width)
            self.guide = chain(channels, 3, in_channels=in_channels + 3)
            self.distance = nn.HybridSequential(prefix="")
            # a large kernel as a column and a row
            kernels = [(self._window, 1), (1, self._window)] if level < 5 else [(self._window, self._window)]
            for kernel, incoming in zip(kernels, (channels[-1], count)):
                self.distance.add(convolution(count, kernel, in_channels=incoming))
                self.distance[-1].bias.grad_req = "null"  # stays zero in the release
            self.sum_x, self.sum_y = summation(count), summation(count)

    def hybrid_forward(self, F: Any, first_image: Any, second_image: Any, features: Any, flow: Any) -> Any:
        """Images (B, 3, H, W) at the level's size, the first one's features and the flow -> (B, 2, H, W)."""
        difference = first_image - moved(F, second_image, flow, self._level)
        # no gradient: that of the root is infinite where the images agree
        error = F.stop_gradient(F.sqrt(F.sum(F.square(difference), axis=1, keepdims=True)))
        features = features if self.reduce is None else self.reduce(features)
        guide = self.guide(F.concat(error, zero_mean(F, flow), features, dim=1))
        weights = similarity(F, self.distance(guide))
        return self.local_convolution(F, weights, flow)

    def local_convolution(self, F: Any, weights: Any, flow: Any) -> Any:
        """Weights (B, k * k, H, W), divided by their sum here, and flow (B, 2, H, W) -> (B, 2, H, W)."""
        summed = [
            add(weights * neighbours(F, component, like=weights, kernel=self._window))
            for add, component in zip((self.sum_x, self.sum_y), F.split(flow, num_outputs=2, axis=1))
        ]
        return F.broadcast_div(F.concat(*summed, dim=1), F.sum(weights, axis=1, keepdims=True))
