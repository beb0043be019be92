"""LiteFlowNet (Hui, Tang, Loy, CVPR 2018), as gluon_liver.flow.liteflownet and gluon_liver.flow.modules have it.

Both images go through shared layers as one batch of 2 B. Levels count from 1 (the input's size) to 6 (a 32nd of it);
inside the network a flow is in pixels of the input divided by ``FLOW_SCALE``.
"""

from __future__ import division

import mxnet as mx
import numpy as np

from .fusion import resample
from .layers import convolution, exp_of_largest
from .resnet import scaled
from .warp import DISPLACEMENTS, correlation, neighbours, pad_to, shrunk, warp

LEVELS = (6, 5, 4, 3, 2)  # coarse to fine
MULTIPLE = 32
FLOW_SCALE = 20.0
SLOPE = 0.1  # of every LeakyReLU
FEATURES = {1: (32,), 2: (32, 32, 32), 3: (64, 64), 4: (96, 96), 5: (128,), 6: (192,)}
WINDOW = {2: 7, 3: 5, 4: 5, 5: 3, 6: 3}  # kernel of the layer that gives the flow, and of the local convolution
SPARSE = (2, 3)  # levels that correlate every second cell
MATCHED_CHANNELS, GUIDE_CHANNELS = 64, 128
DECODER, GUIDE = (128, 64, 32), (128, 128, 64, 64, 32, 32)
# of blue, green and red over the release's training images, of the first and of the second images
MEANS = ((0.411618, 0.434631, 0.454253), (0.410782, 0.433645, 0.452793))


def padded_side(size):
    return -(-size // MULTIPLE) * MULTIPLE


def enlarging(cells_out, cells_in, factor):
    """(cells_out, cells_in) of linear interpolation to ``factor`` times as many cells, of which the first are taken:
    the half-pixel convention of BilinearResize2D, ends repeated."""
    place = np.maximum((np.arange(cells_out) + 0.5) / factor - 0.5, 0)
    low = np.floor(place).astype(int)
    matrix, rows = np.zeros((cells_out, cells_in)), np.arange(cells_out)
    np.add.at(matrix, (rows, low), 1 - (place - low))
    np.add.at(matrix, (rows, np.minimum(low + 1, cells_in - 1)), place - low)
    return matrix


def liteflownet_constants(size, shrink, last_level):
    """Name -> the matrix (size, cells of the last level) that enlarges the last flow to the shrunken images and those
    to the input's size."""
    small, cell = size // shrink, 2 ** (last_level - 1)
    matrix = enlarging(size, small, shrink).dot(enlarging(small, padded_side(small) // cell, cell))
    return {"flow.resize": matrix.astype(np.float32)}


def liteflownet(first, second, size, width, shrink, last_level, name="flow"):
    """Images (B, 3, size, size), blue, green, red, from 0 to 1, looked at as means over shrink x shrink pixels
    -> flow (B, 2, size, size) in pixels, that of ``last_level`` enlarged."""
    small, pyramid = size // shrink, name + ".pyramid"
    if shrink > 1:
        first, second = shrunk(first, shrink), shrunk(second, shrink)
    side = padded_side(small)
    pair = [centred(pad_to(image, small, side), means) for image, means in zip((first, second), MEANS)]
    images = [mx.sym.concat(*pair, dim=0)]
    for _ in range(5):
        images.append(shrunk(images[-1], 2))
    maps = flow_features(images[0], pyramid + ".features", width)
    flow = None
    for level in [one for one in LEVELS if one >= last_level]:
        flow = flow_level(
            images[level - 1],
            maps[level - 1],
            flow,
            "{}.level{}".format(pyramid, level),
            level,
            side // 2 ** (level - 1),
            width,
        )
    return resample(flow * (FLOW_SCALE * shrink), mx.sym.Variable(name + ".resize"), size)


def centred(image, means):
    colours = mx.sym.SliceChannel(image, num_outputs=3, axis=1)
    return mx.sym.concat(*[colours[c] - means[c] for c in range(3)], dim=1)


def leaky(x):
    return mx.sym.LeakyReLU(x, act_type="leaky", slope=SLOPE)


def chain(x, name, channels, kernel, width, stride=1):
    """Convolutions, each followed by a LeakyReLU, which Gluon numbers too; the first one strides."""
    for number, count in enumerate(channels):
        x = convolution(x, "{}.{}".format(name, 2 * number), scaled(count, width), kernel, stride, bias=True)
        x, stride = leaky(x), 1
    return x


def enlarged(x, name, channels):
    """Each channel alone to twice the size, bilinear."""
    return mx.sym.Deconvolution(
        x,
        mx.sym.Variable(name + ".weight"),
        name=name,
        kernel=(4, 4),
        stride=(2, 2),
        pad=(1, 1),
        num_filter=channels,
        num_group=channels,
        no_bias=True,
    )


def flow_features(images, name, width):
    """NetC: (2 B, 3, H, W) -> maps of levels 1 to 6."""
    maps = [images]
    for level in sorted(FEATURES):
        kernel, stride = (7, 1) if level == 1 else (3, 2)
        maps.append(chain(maps[-1], "{}.level{}".format(name, level), FEATURES[level], kernel, width, stride))
    return maps[1:]


def flow_level(images, maps, flow, name, level, side, width):
    """NetE at one level: images (2 B, 3, side, side), maps (2 B, C, side, side) and the flow of the level above, None
    at level 6 -> flow (B, 2, side, side)."""
    wide = maps if level != 2 else chain(maps, name + ".widen", [MATCHED_CHANNELS], 1, width)
    first, second = mx.sym.SliceChannel(wide, num_outputs=2, axis=0)
    flow = matching(first, second, flow, name + ".matching", level, side, width)
    flow = subpixel(first, second, flow, name + ".subpixel", level, side, width)
    return regularization(images, maps, flow, name + ".regularization", level, side, width)


def cells_of(flow, level):
    """A flow of the network in cells of the level's maps."""
    return flow * (FLOW_SCALE / 2 ** (level - 1))


def matching(first, second, flow, name, level, side, width):
    """NetE's M: the flow of the level above, improved by the best match within 3 (or 6) cells."""
    if flow is not None:
        flow = enlarged(flow, name + ".upsample_flow", 2)
        second = warp(second, cells_of(flow, level), side)
    cost = leaky(correlation(first, second, 2 if level in SPARSE else 1))
    if level in SPARSE:
        cost = enlarged(cost, name + ".upsample_cost", DISPLACEMENTS)
    decoded = chain(cost, name + ".decoder", DECODER, 3, width)
    residual = convolution(decoded, name + ".flow", 2, WINDOW[level], bias=True)
    return residual if flow is None else flow + residual


def subpixel(first, second, flow, name, level, side, width):
    """NetE's S: the flow refined from the maps themselves, the second one warped."""
    moved = warp(second, cells_of(flow, level), side)
    decoded = chain(mx.sym.concat(first, moved, flow, dim=1), name + ".decoder", DECODER, 3, width)
    return flow + convolution(decoded, name + ".flow", 2, WINDOW[level], bias=True)


def regularization(images, maps, flow, name, level, side, width):
    """NetE's R: each flow vector becomes a mean of its neighbours (feature-driven local convolution)."""
    first_image, second_image = mx.sym.SliceChannel(images, num_outputs=2, axis=0)
    difference = first_image - warp(second_image, cells_of(flow, level), side)
    error = mx.sym.BlockGrad(mx.sym.sqrt(mx.sym.sum(mx.sym.square(difference), axis=1, keepdims=True)))
    features = mx.sym.SliceChannel(maps, num_outputs=2, axis=0)[0]
    window, count = WINDOW[level], WINDOW[level] ** 2
    if level < 5:
        features = chain(features, name + ".reduce", [GUIDE_CHANNELS], 1, width)
    centred_flow = mx.sym.broadcast_sub(flow, mx.sym.mean(flow, axis=(2, 3), keepdims=True))
    guide = chain(mx.sym.concat(error, centred_flow, features, dim=1), name + ".guide", GUIDE, 3, width)
    kernels = [(window, 1), (1, window)] if level < 5 else [window]  # a large kernel as a column and a row
    for number, kernel in enumerate(kernels):
        guide = convolution(guide, "{}.distance.{}".format(name, number), count, kernel, bias=True)
    weights = exp_of_largest(-mx.sym.square(guide), axis=1)
    summed = [
        convolution(weights * neighbours(component, window), "{}.sum_{}".format(name, axis), 1, 1, bias=True)
        for axis, component in zip("xy", mx.sym.SliceChannel(flow, num_outputs=2, axis=1))
    ]
    return mx.sym.broadcast_div(mx.sym.concat(*summed, dim=1), mx.sym.sum(weights, axis=1, keepdims=True))
