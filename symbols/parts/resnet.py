"""The residual networks of both papers: 3D stem of the CT paper (Tables 2 and 3), 2D stem of the ultrasound paper.

Slices are folded into the batch from the first layer on and all layers are 2D, as in gluon_liver.nn.backbones.resnet3d.
"""

from __future__ import division

import mxnet as mx
import numpy as np

from .layers import batch_norm, convolution, part_of, relu

BLOCKS = {50: (3, 4, 6, 3), 101: (6, 8, 12, 6)}  # bottlenecks of Block1 to Block4 (Tables 2 and 3)
CHANNELS = (256, 512, 1024, 2048)  # output channels of Block1 to Block4 at width 1
STEM_CHANNELS = 64
# of red, green and blue from 0 to 1 over ImageNet
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def scaled(channels, width):
    """Channels at a fraction of the paper's width, a multiple of 8."""
    return max(8, int(np.rint(channels * width / 8.0)) * 8)  # Python 2 rounds halves the other way


def half(depth):
    """Slices left by one stride-2 layer over depth."""
    return (depth + 1) // 2


def residual_unit(x, name, channels, stride, project, frozen):
    """Bottleneck: 1x1, 3x3, 1x1 with a skip; the stride sits in the 3x3. ``project`` gives the skip a 1x1."""
    inner = channels // 4
    skip = x
    if project:
        skip = batch_norm(convolution(x, name + ".skip_conv", channels, 1, stride), name + ".skip_bn", frozen)
    y = relu(batch_norm(convolution(x, name + ".conv1", inner, 1), name + ".bn1", frozen))
    y = relu(batch_norm(convolution(y, name + ".conv2", inner, 3, stride), name + ".bn2", frozen))
    return relu(batch_norm(convolution(y, name + ".conv3", channels, 1), name + ".bn3", frozen) + skip)


def stage(x, name, number, network, stride=None):
    """Block ``number`` (1 to 4); at depth 101 a transition layer ends it (1x1 convolution, BatchNorm, ReLU)."""
    width, frozen = network["width"], network["batch_norm"] == "frozen"
    channels = scaled(CHANNELS[number - 1], width)
    in_channels = scaled(STEM_CHANNELS if number == 1 else CHANNELS[number - 2], width)
    units = BLOCKS[network["depth"]][number - 1]
    if stride is None:
        stride = 1 if number == 1 else 2
    for unit in range(units):
        first = unit == 0
        project = first and (stride != 1 or in_channels != channels)
        x = residual_unit(x, "{}.{}".format(name, unit), channels, stride if first else 1, project, frozen)
    if network["depth"] == 101:
        name = "{}.{}".format(name, units)
        x = relu(batch_norm(convolution(x, name + ".conv", channels, 1), name + ".bn", frozen))
    return x


def depth_pool(x, slices, channels):
    """Max over depth, kernel 3, stride 2, padding 1: (N * slices, C, H, W) -> (N * ceil(slices / 2), C, H, W)."""
    if slices == 1:
        return x
    x = mx.sym.expand_dims(mx.sym.reshape(x, shape=(-4, -1, slices, -3, 0)), axis=1)  # (N, 1, D, C * H, W)
    x = mx.sym.Pooling(x, kernel=(3, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), pool_type="max")
    return mx.sym.reshape(mx.sym.reshape(x, shape=(-3, 0, 0, 0)), shape=(-3, -4, channels, -1, 0))


def stem_conv(x, name, slices, channels):
    """conv1, 7x7x7, stride 2: (N, 1, D, H, W) -> (N * D / 2, channels, H / 2, W / 2); end slices repeat over depth."""
    weight = mx.sym.Variable(name + ".weight", shape=(channels, 1, 7, 7, 7))
    x = mx.sym.reshape(x, shape=(0, -3, 0, 0))  # (N, D, H, W)
    if slices == 1:
        weight = mx.sym.sum(weight, axis=2)
    else:
        ends = [[part_of(x, 1, number)] * 3 for number in (0, slices - 1)]
        x = mx.sym.concat(*(ends[0] + [x] + ends[1]), dim=1)
        windows = [mx.sym.slice_axis(x, axis=1, begin=2 * k, end=2 * k + 7) for k in range(half(slices))]
        x = mx.sym.reshape(mx.sym.stack(*windows, axis=1), shape=(-3, 0, 0, 0))  # (N * D / 2, 7, H, W)
        weight = mx.sym.reshape(weight, shape=(0, -3, 0, 0))
    return mx.sym.Convolution(
        x, weight, name=name, kernel=(7, 7), stride=(2, 2), pad=(3, 3), num_filter=channels, no_bias=True
    )


def max_pool(x):
    return mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")


def resnet_3d(x, slices, network, name="backbone"):
    """(N, 1, D, H, W) -> Block1, Block2, Block3 with D / 4, D / 8 and D / 8 slices folded into the batch."""
    channels, frozen = scaled(STEM_CHANNELS, network["width"]), network["batch_norm"] == "frozen"
    x = stem_conv(x, name + ".stem.conv1", slices, channels)
    x = max_pool(relu(batch_norm(x, name + ".stem.bn1", frozen)))
    x = depth_pool(x, half(slices), channels)  # pool1 is 3x3x3: the largest of the largest in each plane
    block1 = stage(x, name + ".block1", 1, network)
    pooled = depth_pool(block1, half(half(slices)), scaled(CHANNELS[0], network["width"]))
    block2 = stage(pooled, name + ".block2", 2, network)
    return block1, block2, stage(block2, name + ".block3", 3, network, stride=network["stride"] // 8)


def resnet_2d(x, network, name="backbone"):
    """Colours (N, 3, H, W) from 0 to 1, normalised here -> Block3."""
    colours = mx.sym.SliceChannel(x, num_outputs=3, axis=1)
    x = mx.sym.concat(*[(colours[c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    frozen = network["batch_norm"] == "frozen"
    x = convolution(x, name + ".stem.conv1", scaled(STEM_CHANNELS, network["width"]), 7, 2)
    x = max_pool(relu(batch_norm(x, name + ".stem.bn1", frozen)))
    for number, stride in ((1, 1), (2, 2), (3, network["stride"] // 8)):
        x = stage(x, "{}.block{}".format(name, number), number, network, stride=stride)
    return x
