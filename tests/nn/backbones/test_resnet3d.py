"""The backbone against the printed table and against its Conv3D form."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.backbones.blocks import BLOCKS, Transition, make_block
from gluon_liver.nn.backbones.resnet3d import ResNet3D
from gluon_liver.nn.backbones.stem import DepthPool, Stem
from gluon_liver.structures.channels import scaled

# CT paper, Tables 2 and 3, column "Feature size" (the same in both), for an input of 32 x 448 x 448
# conv1, pool1, Block1, pool2, Block2 to Block4
SIZES = [(16, 224, 224), (8, 112, 112), (8, 112, 112), (4, 112, 112), (4, 56, 56), (4, 28, 28), (4, 14, 14)]

EPSILON = 1e-5  # of BatchNorm, as in the networks whose weights are transferred


def inferred_sizes(slices, size, depth):
    """(slices, height, width) of each row of the table, by the symbol's own shape inference."""
    stem, pool2 = Stem(slices=slices), DepthPool(-(-slices // 4), channels=256)
    blocks = [make_block(number, depth=depth) for number in (1, 2, 3, 4)]
    pool1 = stem(mx.sym.var("data"))
    block1 = blocks[0](pool1)
    pooled = pool2(block1)
    block2 = blocks[1](pooled)
    block3 = blocks[2](block2)
    conv1 = stem.conv1.convolve(mx.sym, stem.conv1.windows(mx.sym, mx.sym.var("data")), stem.bn1)
    rows = [conv1, pool1, block1, pooled, block2, block3, blocks[3](block3)]
    shapes = [symbol.infer_shape(data=(1, 1, slices, size, size))[1][0] for symbol in rows]
    return [(shape[0], *shape[2:]) for shape in shapes]


@pytest.mark.parametrize("depth", [50, 101])
def test_feature_sizes_are_the_printed_ones(depth):
    assert inferred_sizes(32, 448, depth) == SIZES


@pytest.mark.parametrize("depth, blocks, classifier", [(50, (3, 4, 6, 3), 1), (101, (6, 8, 12, 6), 0)])
def test_weighted_layers(depth, blocks, classifier):
    """50 counts the classifier, as ResNet-50 does; Table 3's 101 are conv1, 96 and a transition a block without it."""
    net, block4 = ResNet3D(depth=depth), make_block(4, depth=depth)
    names = [*net.collect_params(), *block4.collect_params()]
    skips = 4  # one projection a block, not counted as depth
    assert sum(name.endswith("weight") for name in names) - skips + classifier == depth
    assert BLOCKS[depth] == blocks


def parameters_of_block(number, depth):
    """Weights, gammas and betas of one block, from the printed table."""
    channels, inner = 128 * 2**number, 32 * 2**number
    entering = 64 if number == 1 else channels // 2
    total = entering * channels + 2 * channels  # the projection of the skip
    for _ in range(BLOCKS[depth][number - 1]):
        total += entering * inner + 9 * inner**2 + inner * channels + 2 * (2 * inner + channels)
        entering = channels
    return total + (channels**2 + 2 * channels if depth == 101 else 0)


@pytest.mark.parametrize("depth, millions", [(50, 23.52), (101, 50.52)])
def test_parameter_counts(depth, millions):
    def count(part):
        return sum(int(np.prod(p.shape)) for p in part.collect_params().values() if p.grad_req != "null")

    backbone, block4 = count(ResNet3D(depth=depth)), count(make_block(4, depth=depth))
    conv1 = 64 * 7**3 + 2 * 64
    assert backbone == conv1 + sum(parameters_of_block(number, depth) for number in (1, 2, 3))
    assert block4 == parameters_of_block(4, depth)
    assert round((backbone + block4) / 1e6, 2) == millions  # as docs/fidelity.md records


@pytest.mark.parametrize("slices, left", [(1, 1), (3, 1), (9, 2), (32, 4)])
def test_slices_left_after_pool2(slices, left):
    net = ResNet3D(width=0.125, slices=slices)
    assert net.slices_out == (-(-slices // 4), left, left)
    _, shapes, _ = mx.sym.Group(list(net(mx.sym.var("data")))).infer_shape(data=(2, 1, slices, 64, 64))
    assert shapes[1] == (2 * left, 64, 8, 8) and shapes[2] == (2 * left, 128, 4, 4)


def test_parameters_do_not_depend_on_slices(tmp_path):
    one, nine = (ResNet3D(width=0.125, slices=slices) for slices in (1, 9))
    one.initialize()
    one.save_parameters(str(tmp_path / "one.params"))
    nine.load_parameters(str(tmp_path / "one.params"))


def convolution_3d(x, weight, **options):
    return mx.nd.Convolution(x, weight, no_bias=True, kernel=weight.shape[2:], num_filter=len(weight), **options)


def in_plane(x, layer, stride=1, pad=0):
    """A layer's 2D weight as a 1 x k x k 3D convolution."""
    return convolution_3d(x, layer.weight.data().expand_dims(2), stride=(1, stride, stride), pad=(0, pad, pad))


def norm(x, bn):
    """BatchNorm on running statistics, written out."""
    scale = bn.gamma.data() / (bn.running_var.data() + EPSILON).sqrt()
    shift = bn.beta.data() - bn.running_mean.data() * scale
    return mx.nd.broadcast_add(mx.nd.broadcast_mul(x, scale.reshape((1, -1, 1, 1, 1))), shift.reshape((1, -1, 1, 1, 1)))


def strided(x, kept):
    """Of all positions over depth (N, C, D, H, W) those that a strided layer is said to keep."""
    return mx.nd.take(x, mx.nd.array(kept), axis=2)


def forward_3d(net, x, kept=None):
    """conv1 to Block3 as 5-D layers throughout; ``kept``: positions of conv1, pool1 and pool2, every second by default.

    Layers over depth run at stride 1 and give up what is not kept.
    """
    stem = net.stem
    kept = kept or [range(0, depth, 2) for depth in (x.shape[2], -(-x.shape[2] // 2), -(-x.shape[2] // 4))]
    taps = stem.conv1.weight.shape[2]
    x = mx.nd.array(np.pad(x.asnumpy(), ((0, 0), (0, 0), (taps // 2,) * 2, (0, 0), (0, 0)), mode="edge"))
    x = strided(convolution_3d(x, stem.conv1.weight.data(), stride=(1, 2, 2), pad=(0, 3, 3)), kept[0])
    x = norm(x, stem.bn1).relu()
    x = strided(mx.nd.Pooling(x, kernel=(3, 3, 3), stride=(1, 2, 2), pad=(1, 1, 1), pool_type="max"), kept[1])
    outputs = []
    for number, block in enumerate((net.block1, net.block2, net.block3)):
        for unit in block:
            if isinstance(unit, Transition):
                x = norm(in_plane(x, unit.conv), unit.bn).relu()
                continue
            stride = unit.conv2._kwargs["stride"][0]
            skip = x if unit.skip_conv is None else norm(in_plane(x, unit.skip_conv, stride), unit.skip_bn)
            y = norm(in_plane(x, unit.conv1), unit.bn1).relu()
            y = norm(in_plane(y, unit.conv2, stride, 1), unit.bn2).relu()
            x = (norm(in_plane(y, unit.conv3), unit.bn3) + skip).relu()
        outputs.append(x)
        if number == 0:
            x = strided(mx.nd.Pooling(x, kernel=(3, 1, 1), stride=(1, 1, 1), pad=(1, 0, 0), pool_type="max"), kept[2])
    return outputs


def randomise(net, seed):
    """Weights, and statistics away from 0 and 1, so that every parameter matters."""
    rng = np.random.default_rng(seed)
    for name, parameter in net.collect_params().items():
        if name.endswith("weight"):
            value = rng.normal(0, np.prod(parameter.shape[1:]) ** -0.5, parameter.shape)
        elif name.endswith(("gamma", "running_var")):
            value = rng.uniform(0.5, 1.0, parameter.shape)
        else:
            value = rng.normal(0, 0.1, parameter.shape)
        parameter.set_data(mx.nd.array(value))


# positions that conv1, pool1 and pool2 keep of a stack, written down by hand; None: every second from the first
CENTRED = {5: ([0, 2, 4], [1], [0]), 7: ([1, 3, 5], [1], [0]), 9: ([0, 2, 4, 6, 8], [0, 2, 4], [1])}
ALL_CHANNELS = ([4], [0], [0])


@pytest.mark.parametrize(
    "slices, depth, options, kept",
    [
        (1, 50, {}, None),
        (9, 50, {}, None),
        (12, 50, {}, None),
        (9, 101, {}, None),
        (9, 50, {"stem": "1x7x7"}, None),
        (9, 50, {"fusion": "centre"}, CENTRED[9]),
        (7, 50, {"fusion": "centre", "stem": "1x7x7"}, CENTRED[7]),
        (5, 50, {"fusion": "centre"}, CENTRED[5]),
        (9, 50, {"fusion": "channels"}, ALL_CHANNELS),
    ],
)
def test_folded_blocks_equal_the_conv3d_form(slices, depth, options, kept):
    net = ResNet3D(depth=depth, width=0.25, slices=slices, norm="frozen", **options)
    net.initialize()
    randomise(net, slices)
    net.hybridize()
    x = mx.nd.array(np.random.default_rng(1).normal(size=(2, 1, slices, 64, 48)))
    for folded, expected in zip(net(x), forward_3d(net, x, kept)):
        folded, expected = folded.asnumpy(), expected.asnumpy().transpose(0, 2, 1, 3, 4)
        folded = folded.reshape(expected.shape)
        assert np.abs(folded - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
        assert expected.std() > 1e-2  # the comparison is of something


@pytest.mark.parametrize("options", [{}, {"fusion": "centre"}, {"stem": "1x7x7"}])
def test_slices_that_are_alike_give_what_one_of_them_gives(options):
    """So inflated 2D weights are exact for every number of slices."""
    nets = {slices: ResNet3D(width=0.125, slices=slices, norm="frozen", **options) for slices in (1, 9)}
    for net in nets.values():
        net.initialize()
        randomise(net, 0)
    image = np.random.default_rng(1).normal(size=(1, 1, 1, 64, 64))
    one, nine = (nets[slices](mx.nd.array(np.repeat(image, slices, axis=2))) for slices in (1, 9))
    for single, stack in zip(one, nine):
        assert len(stack) in (1, 2, 3)
        for plane in stack.asnumpy():
            assert np.allclose(plane, single.asnumpy()[0], atol=1e-4)
    assert single.asnumpy().std() > 1e-2


def test_a_transition_starts_as_the_identity():
    """Of what a block gives, which is not negative, with the statistics of a net that has seen nothing."""
    layer = Transition(6, norm="frozen")
    layer.initialize()
    x = mx.nd.random.uniform(shape=(2, 6, 3, 3))
    assert np.allclose(layer(x).asnumpy(), x.asnumpy() / np.sqrt(1 + EPSILON), atol=1e-6)


def test_depth_pool_by_hand():
    pool = DepthPool(5, channels=1)
    x = np.array([1, 5, 2, 4, 3], np.float32).reshape(5, 1, 1, 1)
    # windows (pad, 1, 5), (5, 2, 4), (4, 3, pad)
    assert pool(mx.nd.array(x)).asnumpy().ravel().tolist() == [5, 5, 4]
    two_studies = np.concatenate([x, -x])
    assert pool(mx.nd.array(two_studies)).asnumpy().ravel().tolist() == [5, 5, 4, -1, -2, -3]


def test_backward_reaches_every_parameter_with_live_batch_norm():
    """Conv3D before BatchNorm would raise here (apache/mxnet#20858)."""
    net = ResNet3D(width=0.25, slices=9)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    with autograd.record():
        _, _, block3 = net(mx.nd.random.normal(shape=(1, 1, 9, 64, 64)))
        (block3**2).sum().backward()
    for name, parameter in net.collect_params().items():
        if parameter.grad_req != "null" and name.endswith(("weight", "bn3_gamma")):
            assert np.isfinite(parameter.grad().asnumpy()).all(), name
    assert np.abs(net.stem.conv1.weight.grad().asnumpy()).max() > 0


def test_width_keeps_multiples_of_eight():
    assert [scaled(64, width) for width in (1.0, 0.25, 0.125, 0.01)] == [64, 16, 8, 8]


@pytest.mark.parametrize("stride", [8, 16])
def test_the_backbone_centres_cell_k_on_pixel_stride_times_k(stride):
    """Where Block3's cells look: all weights positive, one bright column at a time, the centroid of the response."""
    size, net = 128, ResNet3D(width=0.125, stride=stride, norm="frozen")
    net.initialize(mx.init.One())
    for name, parameter in net.collect_params().items():
        if name.endswith("weight"):
            parameter.set_data(mx.nd.ones(parameter.shape) / np.prod(parameter.shape[1:]))
    images = np.zeros((size, 1, 1, size, size), np.float32)
    images[np.arange(size), 0, 0, :, np.arange(size)] = 1
    response = net(mx.nd.array(images))[2].asnumpy()[:, 0, 64 // stride, 64 // stride]
    centre = (response * np.arange(size)).sum() / response.sum()
    assert abs(centre - 64) < 0.5  # the middle of a stride-sized tile would be 64 + stride / 2 - 0.5
