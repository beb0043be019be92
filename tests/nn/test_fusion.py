"""Region fusion against its literal form: upsample to stride 2, concatenate, average."""

import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.fusion import RegionFusion, averaging, upsampling

SIZE, CHANNELS, STRIDES, LEVELS = 96, (3, 5, 4, 6), (4, 8, 16, 32), (4, 8, 16, 32)


def make(size=SIZE, strides=STRIDES, levels=LEVELS):
    net = RegionFusion(in_channels=CHANNELS, strides=strides, channels=2, levels=levels, size=size)
    net.initialize(mx.init.Normal(0.5))
    for lateral in net.laterals:
        lateral.bias.set_data(mx.nd.array([0.3, -0.2]))
    blocks = [
        np.random.default_rng(stride).normal(size=(2, count, -(-size // stride), -(-size // stride)))
        for count, stride in zip(CHANNELS, strides)
    ]
    return net, blocks


def linear(values, place):
    """Linear interpolation of a row at a place in cells, the last cell repeated."""
    place = min(place, len(values) - 1)
    low = int(np.floor(place))
    high = min(low + 1, len(values) - 1)
    return values[low] * (1 - (place - low)) + values[high] * (place - low)


def upsample(plane, stride, cells):
    """(n, n) at ``stride`` -> (cells, cells) at stride 2, pixel 2 * k from pixel stride * k."""
    across = np.array([[linear(row, 2 * k / stride) for k in range(cells)] for row in plane])
    return np.array([[linear(column, 2 * k / stride) for k in range(cells)] for column in across.T]).T


def average(plane, stride, cells):
    """The mean over ``stride`` pixels around pixel stride * k, its end samples half, ends repeated."""
    reach = stride // 4
    steps = np.arange(-reach, reach + 1)
    weights = np.where(np.abs(steps) == reach, 0.5, 1.0)
    weights /= weights.sum()
    last = len(plane) - 1

    def window(k):
        return np.clip(k * stride // 2 + steps, 0, last)

    return np.array(
        [[weights @ plane[np.ix_(window(r), window(c))] @ weights for c in range(cells)] for r in range(cells)]
    )


@pytest.mark.parametrize(
    "size, strides, levels", [(96, STRIDES, LEVELS), (80, STRIDES, LEVELS), (64, (4, 8, 8, 16), (4, 8, 16))]
)
def test_the_pyramid_is_the_literal_concat_averaged(size, strides, levels):
    net, blocks = make(size, strides, levels)
    net.hybridize()
    pyramid = net(*(mx.nd.array(block) for block in blocks))
    concat = size // 2
    fused = []
    for block, stride, lateral in zip(blocks, strides, net.laterals):
        weight, bias = lateral.weight.data().asnumpy()[:, :, 0, 0], lateral.bias.data().asnumpy()
        maps = np.einsum("oc,bchw->bohw", weight, block) + bias[:, None, None]
        fused.append([[upsample(plane, stride, concat) for plane in image] for image in maps])
    fused = np.concatenate(fused, axis=1)
    assert fused.shape == (2, 8, concat, concat)
    for found, level in zip(pyramid, levels):
        cells = -(-size // level)
        expected = np.array([[average(plane, level, cells) for plane in image] for image in fused])
        assert found.shape == expected.shape
        assert np.abs(found.asnumpy() - expected).max() < 1e-5 * np.abs(expected).max() + 1e-5


def test_weights_by_hand():
    # stride 8 to stride 2: halfway between two cells after two cells of the output
    assert upsampling(3, 8, 12, 2)[5].tolist() == [0, 0.75, 0.25] and upsampling(3, 8, 12, 2)[11].tolist() == [0, 0, 1]
    assert averaging(12, 2, 3, 8)[1].tolist() == [0, 0, 0.125, 0.25, 0.25, 0.25, 0.125, 0, 0, 0, 0, 0]
    assert averaging(12, 2, 6, 4)[0].tolist() == [0.75, 0.25] + [0] * 10
    # a block at the level's own stride is smoothed a little, as the average of its tent says
    assert np.allclose((averaging(48, 2, 12, 8) @ upsampling(12, 8, 48, 2))[4, 3:6], [1 / 8, 3 / 4, 1 / 8])


def test_a_ramp_keeps_its_place():
    """Every map holds the pixel that its cells lie on; so does the pyramid, away from the edges."""
    net, _ = make()
    for lateral in net.laterals:
        lateral.weight.set_data(mx.nd.ones(lateral.weight.shape) / lateral.weight.shape[1])
        lateral.bias.set_data(mx.nd.zeros(2))
    ramps = [
        mx.nd.array(np.broadcast_to(np.arange(SIZE // s) * s, (1, c, SIZE // s, SIZE // s)))
        for c, s in zip(CHANNELS, STRIDES)
    ]
    for found, level in zip(net(*ramps), LEVELS):
        place = np.arange(SIZE // level) * level
        inside = (place >= level / 2) & (place + level / 2 <= SIZE - 32)
        assert inside.sum() > 0
        assert np.allclose(found.asnumpy()[0, :, 1][:, inside], place[inside], atol=1e-3)


def test_every_lateral_learns():
    net, blocks = make()
    inputs = [mx.nd.array(block) for block in blocks]
    with autograd.record():
        sum((level**2).sum() for level in net(*inputs)).backward()
    for lateral in net.laterals:
        assert np.abs(lateral.weight.grad().asnumpy()).min() > 0
    learned = [p for p in net.collect_params().values() if p.grad_req != "null"]
    assert len(learned) == 8  # the matrices are constants


STEP = """
import sys
import mxnet as mx
from mxnet.gluon import nn
from gluon_liver.nn.fusion import RegionFusion

class Net(nn.HybridBlock):
    def __init__(self, channels):
        super().__init__()
        self.block = nn.HybridSequential()
        self.block.add(nn.Conv2D(32, 3, padding=1, in_channels=32), nn.BatchNorm(in_channels=32))
        options = dict(in_channels=(32,), strides=(4,), channels=channels, levels=(4,), size=128)
        self.fusion = RegionFusion(**options)

    def hybrid_forward(self, F, x):
        return self.fusion(F.relu(self.block(x)))[0]

net = Net(int(sys.argv[1]))
net.initialize()
net.hybridize()
with mx.autograd.record():
    found = net(mx.nd.ones((2, 32, 32, 32)))
found.backward()
mx.nd.waitall()
"""


@pytest.mark.parametrize("channels", [8, 64])
def test_no_batch_norm_before_it_goes_through_the_reference(channels):
    """oneDNN says by which implementation it does what; that of a map and a gradient in other blocks is a loop."""
    command = [sys.executable, "-W", "ignore", "-c", STEP, str(channels)]
    environ = {**os.environ, "DNNL_VERBOSE": "1", "MKLDNN_VERBOSE": "1"}
    child = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert child.returncode == 0, child.stderr
    normed = [line for line in child.stdout.splitlines() if "batch_normalization" in line and "backward" in line]
    if not normed:
        pytest.skip("MXNet is built without oneDNN, or computes it otherwise")
    assert not [line for line in normed if "ref:any" in line]
