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


def frozen_parts(network):
    """Where the names begin of what network.frozen_stages keeps as it is given; earlier configurations lack it."""
    stages = ["backbone.stem."] + ["backbone.block{}.".format(number) for number in (1, 2, 3)]
    return stages[: network.get("frozen_stages", 0)]


def running(name, network):
    """Whether BatchNorm of a layer has its running statistics in training too."""
    return network["batch_norm"] == "frozen" or name.startswith(tuple(frozen_parts(network)))


def slice_fusion(network):
    """How slices become one map: pools, centre or channels; configurations of before the knob have pools."""
    return network.get("slice_fusion", "pools")


def halved(slices, fusion):
    """Of ``slices`` positions those that a layer of stride 2 over depth is centred on: with pools every second one from
    the first, with centre those at an even distance from the middle, with channels the middle."""
    if fusion == "channels":
        return [slices // 2]
    return list(range(slices // 2 % 2 if fusion == "centre" else 0, slices, 2))


def slices_left(slices, network):
    """Positions over depth of Block1 and of Block2 and Block3."""
    left = []
    for _ in range(3):
        slices = len(halved(slices, slice_fusion(network)))
        left.append(slices)
    return tuple(left[1:])


def collapsed(stacks, slices, network):
    """(N, any, C, h, w) -> (N, C, h, w): the mean of the first ``slices`` positions, with centre the middle one."""
    if slice_fusion(network) == "centre":
        return mx.sym.reshape(part_of(stacks, 1, slices // 2), shape=(0, -3, 0, 0))
    return mx.sym.mean(mx.sym.slice_axis(stacks, axis=1, begin=0, end=slices), axis=1)


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
    width, frozen = network["width"], running(name + ".", network)
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


def depth_pool(x, slices, channels, fusion):
    """Max over depth, kernel 3, centred on what :func:`halved` says: (N * slices, C, H, W) -> (N * its, C, H, W)."""
    if slices == 1:
        return x
    positions = halved(slices, fusion)
    # three into one: oneDNN in MXNet 1.9.1 cannot add the gradient of a pooling of all three to another one
    in_two = slices == 3 and len(positions) == 1
    below = 1 if in_two else 1 - positions[0]  # a window reaches one position below the one that it is centred on
    x = mx.sym.expand_dims(mx.sym.reshape(x, shape=(-4, -1, slices, -3, 0)), axis=1)  # (N, 1, D, C * H, W)
    x = mx.sym.Pooling(x, kernel=(3, 1, 1), stride=(2, 1, 1), pad=(below, 0, 0), pool_type="max")
    x = mx.sym.reshape(x, shape=(-3, 0, 0, 0))
    if in_two:
        x = mx.sym.maximum(part_of(x, 1, 0), part_of(x, 1, 1))
    return mx.sym.reshape(x, shape=(-3, -4, channels, -1, 0))


def stem_conv(x, name, slices, channels, network):
    """conv1, 7x7x7 or 1x7x7, or of all slices as channels: (N, 1, D, H, W) -> (N * positions, channels, H / 2, W / 2);
    end slices repeat over depth."""
    fusion = slice_fusion(network)
    taps = slices if fusion == "channels" else {"7x7x7": 7, "1x7x7": 1}[network.get("stem", "7x7x7")]
    weight = mx.sym.Variable(name + ".weight", shape=(channels, 1, taps, 7, 7))
    x = mx.sym.reshape(x, shape=(0, -3, 0, 0))  # (N, D, H, W)
    if slices == 1:
        weight = mx.sym.sum(weight, axis=2)
    else:
        positions, reach = halved(slices, fusion), taps // 2
        below, above = max(0, reach - positions[0]), max(0, positions[-1] + reach - (slices - 1))
        if below or above:
            ends = [part_of(x, 1, number) for number in (0, slices - 1)]
            x = mx.sym.concat(*([ends[0]] * below + [x] + [ends[1]] * above), dim=1)
        firsts = [position - reach + below for position in positions]
        windows = [mx.sym.slice_axis(x, axis=1, begin=first, end=first + taps) for first in firsts]
        x = mx.sym.reshape(mx.sym.stack(*windows, axis=1), shape=(-3, 0, 0, 0))  # (N * positions, taps, H, W)
        weight = mx.sym.reshape(weight, shape=(0, -3, 0, 0))
    return mx.sym.Convolution(
        x, weight, name=name, kernel=(7, 7), stride=(2, 2), pad=(3, 3), num_filter=channels, no_bias=True
    )


def max_pool(x):
    return mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")


def resnet_3d(x, slices, network, name="backbone"):
    """(N, 1, D, H, W) -> Block1, Block2, Block3, what :func:`slices_left` leaves of D folded into the batch."""
    fusion = slice_fusion(network)
    channels, frozen = scaled(STEM_CHANNELS, network["width"]), running(name + ".stem.", network)
    x = stem_conv(x, name + ".stem.conv1", slices, channels, network)
    x = max_pool(relu(batch_norm(x, name + ".stem.bn1", frozen)))
    # pool1 is 3x3x3: the largest of the largest in each plane
    x = depth_pool(x, len(halved(slices, fusion)), channels, fusion)
    block1 = stage(x, name + ".block1", 1, network)
    shallow = slices_left(slices, network)[0]
    pooled = depth_pool(block1, shallow, scaled(CHANNELS[0], network["width"]), fusion)
    block2 = stage(pooled, name + ".block2", 2, network)
    return block1, block2, stage(block2, name + ".block3", 3, network, stride=network["stride"] // 8)


def resnet_2d(x, network, name="backbone"):
    """Colours (N, 3, H, W) from 0 to 1, normalised here -> Block3."""
    colours = mx.sym.SliceChannel(x, num_outputs=3, axis=1)
    x = mx.sym.concat(*[(colours[c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    frozen = running(name + ".stem.", network)
    x = convolution(x, name + ".stem.conv1", scaled(STEM_CHANNELS, network["width"]), 7, 2)
    x = max_pool(relu(batch_norm(x, name + ".stem.bn1", frozen)))
    for number, stride in ((1, 1), (2, 2), (3, network["stride"] // 8)):
        x = stage(x, "{}.block{}".format(name, number), number, network, stride=stride)
    return x
