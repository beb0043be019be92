"""LiteFlowNet's operators and parts against plain NumPy, and the network as a whole."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.flow import operators
from gluon_liver.flow.liteflownet import LEVELS, FlowPyramid, LiteFlowNet
from gluon_liver.flow.modules import WINDOW, Matching, Regularization, SubPixel, cells
from gluon_liver.flow.operators import correlation, enlarge_flow, neighbours, pad_to_multiple, similarity, warp

from . import flow_reference as reference

NARROW = 0.125  # fraction of the channels in tests
# blue, green, red of the first and the second frame, as the PyTorch port of the authors' model subtracts them
FIRST_MEAN, SECOND_MEAN = (0.411618, 0.434631, 0.454253), (0.410782, 0.433645, 0.452793)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(function, *arrays, **options):
    return function(mx.nd, *(mx.nd.array(array) for array in arrays), **options).asnumpy()


def initialised(block, seed=0, gain=0.5):
    """Random values in every parameter, those that are not trained included."""
    block.initialize()
    generator = np.random.default_rng(seed)
    for name, parameter in block._collect_params_with_prefix().items():
        if "mean" not in name:
            spread = gain * np.prod(parameter.shape[1:]) ** -0.5 if len(parameter.shape) > 1 else 0.1
            parameter.set_data(mx.nd.array(generator.normal(size=parameter.shape) * spread))
    return block


def test_warp_by_hand():
    for shape in ((2, 3, 5, 7), (1, 2, 1, 1), (1, 2, 1, 6)):  # zero flow is the identity, also on maps of one cell
        x = random(*shape)
        assert np.abs(run(warp, x, np.zeros((shape[0], 2) + shape[2:])) - x).max() < 1e-5
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    right, down = np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4))
    right[:, 0], down[:, 1] = 1, 0.5
    assert np.allclose(run(warp, x, right)[0, 0], [[1, 2, 3, 0], [5, 6, 7, 0], [9, 10, 11, 0]], atol=1e-5)
    assert np.allclose(run(warp, x, down)[0, 0], [[2, 3, 4, 5], [6, 7, 8, 9], [4, 4.5, 5, 5.5]], atol=1e-5)


def test_maps_of_more_than_one_row_and_column_need_no_padding_to_be_warped():
    x, flow = random(2, 3, 2, 6), random(2, 2, 2, 6, seed=1) * 2
    assert np.abs(run(warp, x, flow, single_cells=False) - reference.warp(x, flow)).max() < 1e-5


def test_warp_and_its_gradient():
    x, flow, weights = random(2, 3, 5, 6), random(2, 2, 5, 6, seed=1) * 2, random(2, 3, 5, 6, seed=2)
    assert np.abs(run(warp, x, flow) - reference.warp(x, flow)).max() < 1e-4
    arrays = [mx.nd.array(x), mx.nd.array(flow)]
    for array in arrays:
        array.attach_grad()
    with autograd.record():
        loss = (warp(mx.nd, *arrays) * mx.nd.array(weights)).sum()
    loss.backward()
    # in double precision and with a small step, so that hardly a difference spans a whole cell
    for place, array in enumerate(arrays):
        for index in list(np.ndindex(*array.shape))[::11]:
            values = []
            for step in (1e-4, -1e-4):
                moved = [x.astype(np.float64), flow.astype(np.float64)]
                moved[place][index] += step
                values.append((reference.warp(*moved) * weights).sum())
            assert abs(array.grad.asnumpy()[index] - (values[0] - values[1]) / 2e-4) < 2e-3


@pytest.mark.parametrize("stride", [1, 2])
def test_correlation(stride):
    first, second = random(2, 3, 6, 8), random(2, 3, 6, 8, seed=1)
    found = run(correlation, first, second, stride=stride)
    assert found.shape == (2, 49, 6 // stride, 8 // stride)
    assert np.abs(found - reference.correlation(first, second, stride)).max() < 1e-5


def test_correlation_finds_a_shift():
    """What lies 2 cells right and 1 down in the second map answers in channel 7 * (1 + 3) + (2 + 3)."""
    first = np.zeros((1, 1, 7, 7))
    first[0, 0, 3, 3] = 1
    found = run(correlation, first, np.roll(first, (1, 2), (2, 3)), stride=1)
    assert np.argmax(found[0, :, 3, 3]) == 7 * (1 + 3) + (2 + 3) and np.isclose(found.sum(), 1)


def test_small_operators():
    x = np.arange(8.0).reshape(1, 1, 2, 4)
    assert np.allclose(run(operators.shrink, x, factor=2), [[[[2.5, 4.5]]]])
    flow = random(2, 2, 3, 4) + 5
    assert np.abs(run(operators.zero_mean, flow).mean(axis=(2, 3))).max() < 1e-5
    around = run(neighbours, x, like=mx.nd.zeros((1, 9, 2, 4)), kernel=3)[0, :, 0, 1]
    assert np.allclose(around, [0, 0, 0, 0, 1, 2, 4, 5, 6])
    assert np.isfinite(run(similarity, np.full((1, 9, 2, 2), 1e3))).all()


@pytest.mark.parametrize("size, padded", [((32, 64), (32, 64)), ((33, 31), (64, 32)), ((5, 70), (32, 96))])
def test_padding_repeats_the_edge_at_the_bottom_and_right(size, padded):
    x = random(2, 3, *size)
    found = pad_to_multiple(mx.sym, mx.sym.var("x"), 32).eval(x=mx.nd.array(x))[0].asnumpy()
    assert found.shape[2:] == padded
    margins = [(0, 0), (0, 0)] + [(0, wide - narrow) for wide, narrow in zip(padded, size)]
    assert np.array_equal(found, np.pad(x, margins, mode="edge"))


@pytest.mark.parametrize("level", [6, 4, 2])
def test_matching(level):
    net = initialised(Matching(level, width=NARROW))
    first, second, above = random(2, 5, 4, 6), random(2, 5, 4, 6, seed=1), random(2, 2, 2, 3, seed=2) * 0.3
    stride = 2 if level in (2, 3) else 1
    flow, moved, arrays = 0, second, [mx.nd.array(first), mx.nd.array(second)]
    if level < 6:
        arrays.append(mx.nd.array(above))
        flow = reference.upsample(above, net.upsample_flow)
        moved = reference.warp(second, flow * 20 / 2 ** (level - 1))
    cost = reference.leaky(reference.correlation(first, moved, stride))
    cost = reference.upsample(cost, net.upsample_cost) if stride == 2 else cost
    expected = reference.conv(reference.chain(cost, net.decoder), net.flow) + flow
    assert np.abs(net(*arrays).asnumpy() - expected).max() < 1e-4 and np.abs(expected).max() > 0.05


def test_upsampling_of_the_flow_starts_bilinear():
    net = Matching(5, width=NARROW)
    net.initialize()
    flow = np.broadcast_to(np.arange(4.0), (1, 2, 3, 4))
    found = net.upsample_flow(mx.nd.array(flow)).asnumpy()
    assert np.allclose(found[0, :, 1:-1, 1:-1], np.arange(0.25, 2.9, 0.5))


@pytest.mark.parametrize("level", [6, 3])
def test_subpixel(level):
    net = initialised(SubPixel(level, in_channels=5, width=NARROW))
    first, second, flow = random(2, 5, 4, 6), random(2, 5, 4, 6, seed=1), random(2, 2, 4, 6, seed=2) * 0.3
    moved = reference.warp(second, flow * cells(level))
    joined = np.concatenate([first, moved, flow], axis=1)
    expected = flow + reference.conv(reference.chain(joined, net.decoder), net.flow)
    found = net(mx.nd.array(first), mx.nd.array(second), mx.nd.array(flow)).asnumpy()
    assert np.abs(found - expected).max() < 1e-4 and np.abs(expected - flow).max() > 0.05


@pytest.mark.parametrize("level", [6, 4, 2])
def test_regularization(level):
    net = initialised(Regularization(level, in_channels=5, width=NARROW), gain=1.5)
    images = [random(2, 3, 4, 6, seed=seed) for seed in (3, 4)]
    features, flow = random(2, 5, 4, 6), random(2, 2, 4, 6, seed=2) * 0.3 + 0.2
    error = np.sqrt(((images[0] - reference.warp(images[1], flow * cells(level))) ** 2).sum(axis=1, keepdims=True))
    guide = features if level > 4 else reference.chain(features, net.reduce)
    centred = flow - flow.mean(axis=(2, 3), keepdims=True)
    guide = reference.chain(np.concatenate([error, centred, guide], axis=1), net.guide)
    for layer in net.distance:
        guide = reference.conv(guide, layer)
    expected = reference.local_convolution(flow, guide, WINDOW[level], net)
    found = net(*(mx.nd.array(array) for array in (*images, features, flow))).asnumpy()
    assert np.abs(found - expected).max() < 1e-4 and np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("level", [6, 4, 2])
def test_local_convolution_is_a_weighted_mean(level):
    """As initialised (sums by ones): with equal distances the mean of the window, with one small one that neighbour."""
    kernel = WINDOW[level]
    net = Regularization(level, in_channels=5, width=NARROW)
    net.initialize()
    flow = random(1, 2, 9, 9)
    distance = np.full((1, kernel**2, 9, 9), 2.0)
    found = net.local_convolution(mx.nd, mx.nd.array(run(similarity, distance)), mx.nd.array(flow)).asnumpy()
    reach = kernel // 2
    window = flow[0, :, 4 - reach : 5 + reach, 4 - reach : 5 + reach]
    assert np.allclose(found[0, :, 4, 4], window.mean(axis=(1, 2)), atol=1e-5)
    distance[:] = 20
    distance[:, kernel * reach + reach + 1] = 0  # the neighbour to the right
    found = net.local_convolution(mx.nd, mx.nd.array(run(similarity, distance)), mx.nd.array(flow)).asnumpy()
    assert np.allclose(found[:, :, :, :-1], flow[:, :, :, 1:], atol=1e-5)


def test_the_paper_s_network_has_5_37_million_parameters():
    counts = {"write": 0, "null": 0}
    for name, parameter in LiteFlowNet()._collect_params_with_prefix().items():
        if "_mean" not in name:
            counts[parameter.grad_req] += int(np.prod(parameter.shape))
    # trained; fixed: bilinear upsampling, sums by ones, and the biases of the distances
    assert counts == {"write": 5_377_701, "null": 2_156}


@pytest.fixture(scope="module")
def net():
    return initialised(LiteFlowNet(width=NARROW), seed=3, gain=1.2)


def images(*size, seed=0):
    generator = np.random.default_rng(seed)
    return [mx.nd.array(generator.random((2, 3) + size)) for _ in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (45, 33), (20, 20)])
def test_any_size_and_hybrid_equals_imperative(net, size):
    first, second = images(*size)
    net.hybridize(active=False)
    plain = net(first, second).asnumpy()
    net.hybridize()
    hybrid = net(first, second).asnumpy()
    assert plain.shape == (2, 2) + size and np.isfinite(plain).all() and np.abs(plain).max() > 0.1
    assert np.abs(plain - hybrid).max() < 1e-4
    alone = net(first[1:], second[1:]).asnumpy()
    assert np.abs(plain[1:] - alone).max() < 1e-4


def test_padded_flow_is_that_of_the_padded_images_cut(net):
    first, second = images(40, 50)
    wide = [mx.nd.array(np.pad(x.asnumpy(), [(0, 0), (0, 0), (0, 24), (0, 14)], mode="edge")) for x in (first, second)]
    assert np.abs(net(first, second).asnumpy() - net(*wide).asnumpy()[:, :, :40, :50]).max() < 1e-4


@pytest.mark.slow
def test_the_flow_is_level_2_of_the_pyramid_at_twice_the_size(net):
    first, second = images(64, 96)
    flows = net.pyramid(first, second)
    sizes = [(64 // 2 ** (level - 1), 96 // 2 ** (level - 1)) for level in LEVELS for _ in range(3)]
    assert [flow.shape[2:] for flow in flows] == sizes
    # a cell of level 2 covers two pixels, and the resize is linear in between
    found, last = net(first, second).asnumpy(), flows[-1].asnumpy()
    rows = 0.75 * last[:, :, :-1] + 0.25 * last[:, :, 1:]
    expected = 0.75 * rows[:, :, :, :-1] + 0.25 * rows[:, :, :, 1:]
    assert np.allclose(found[:, :, 1:-1:2, 1:-1:2], expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("last_level", [3, 5])
def test_the_flow_may_end_at_a_coarser_level(net, last_level):
    """It is that level's flow of the whole network, enlarged; finer levels are not there."""
    shorter = LiteFlowNet(width=NARROW, last_level=last_level)
    arrays = {name: one.data() for name, one in net._collect_params_with_prefix().items()}
    mine = shorter._collect_params_with_prefix()
    finer = [f"pyramid.level{level}." for level in range(2, last_level)]
    assert set(arrays) - set(mine) == {name for name in arrays if name.startswith(tuple(finer))}
    shorter.initialize()
    for name, parameter in mine.items():
        parameter.set_data(arrays[name])
    first, second = images(64, 64)
    level = net.pyramid(first, second)[3 * LEVELS.index(last_level) + 2]
    found = shorter(first, second).asnumpy()
    expected = enlarge_flow(mx.nd, level, 2 ** (last_level - 1)).asnumpy() / 2 ** (last_level - 1)
    assert found.shape == (2, 2, 64, 64) and np.abs(expected).max() > 0.05
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.slow
def test_levels_hand_their_flow_on(net):
    """Each level, called with what the levels before it gave, gives what the pyramid gives."""
    pyramid = net.pyramid
    first, second = images(64, 64)
    flows = [flow / 20 for flow in pyramid(first, second)]
    means = [mx.nd.array(mean).reshape((1, 3, 1, 1)) for mean in (FIRST_MEAN, SECOND_MEAN)]
    small = [first - means[0], second - means[1]]
    maps = [pyramid.features(image) for image in small]
    for level in range(2, 7):
        small = [mx.nd.array(x.asnumpy().reshape(2, 3, x.shape[2] // 2, 2, -1, 2).mean(axis=(3, 5))) for x in small]
        place = 3 * LEVELS.index(level)
        above = [flows[place - 1]] if place else []
        found = getattr(pyramid, f"level{level}")(*small, maps[0][level - 1], maps[1][level - 1], *above)
        for ours, theirs in zip(found, flows[place : place + 3]):
            assert np.abs((ours - theirs).asnumpy()).max() < 1e-5


@pytest.mark.slow
def test_gradients_reach_every_trained_parameter():
    net = FlowPyramid(width=NARROW)
    net.initialize()
    net.hybridize()
    with autograd.record():
        loss = sum(flow.square().mean() for flow in net(*images(64, 64)))
    loss.backward()
    trained = {name: one for name, one in net._collect_params_with_prefix().items() if one.grad_req != "null"}
    gradients = {name: one.grad().asnumpy() for name, one in trained.items()}
    assert len(gradients) == 176 and all(np.isfinite(value).all() for value in gradients.values())
    assert [name for name, value in gradients.items() if not value.any()] == []


def test_flow_of_smaller_frames_in_larger_pixels():
    flow = np.full((1, 2, 2, 3), 1.5, np.float32)
    flow[0, 1] = -1
    large = run(enlarge_flow, flow, factor=2)
    assert large.shape == (1, 2, 4, 6) and np.allclose(large[0, 0], 3) and np.allclose(large[0, 1], -2)
    flow[0, 0] = [0, 1, 2]
    # centres of cells: pixel 2.5 of the large map lies at 1 of the small one
    assert np.allclose(run(enlarge_flow, flow, factor=2)[0, 0, 1], [0, 0.5, 1.5, 2.5, 3.5, 4])
