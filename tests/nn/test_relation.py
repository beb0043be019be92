"""Equation 1 and what is left of it without content or without f, against loops."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.relation import PhaseRelation, Relation

CHANNELS, INNER = 6, 4


KINDS = [("full", None), ("full", 0.8), ("full", 2.0), ("position", 0.8), ("position", 2.0), ("same_cell", 1.0)]
PARTS = {"full": ("theta", "phi", "g", "project"), "position": ("g", "project"), "same_cell": ("g", "project")}


def relation(seed=0, kind="full", reach=None):
    net = Relation(CHANNELS, inner=INNER, kind=kind, reach=reach)
    net.initialize()
    rng = np.random.default_rng(seed)
    for part in PARTS[kind]:
        weight = getattr(net, part).weight
        weight.set_data(mx.nd.array(rng.normal(0, 0.7, weight.shape)))
    assert len(list(net.collect_params())) == len(PARTS[kind])
    return net


def maps(*shape, seed=1, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def equation_1(net, x, y, kind="full", reach=None):
    """Loops over images and positions."""
    weight = {name: getattr(net, name).weight.data().asnumpy()[:, :, 0, 0].astype(float) for name in PARTS[kind]}
    g, project = weight["g"], weight["project"]
    out = np.zeros(y.shape)
    positions = [(row, column) for row in range(y.shape[2]) for column in range(y.shape[3])]
    for image in range(len(y)):
        for j in positions:
            total, c = np.zeros(INNER), 0.0
            for i in positions:
                x_i, y_j = x[(image, slice(None)) + i], y[(image, slice(None)) + j]
                f = 1.0
                if kind == "full":
                    f = np.exp((weight["theta"] @ y_j) @ (weight["phi"] @ x_i) / np.sqrt(INNER))
                if kind == "same_cell":
                    f = float(i == j)
                elif reach is not None:
                    f *= np.exp(-((i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2) / (2 * reach**2))
                total += f * (g @ x_i)
                c += f
            out[(image, slice(None)) + j] = project @ (total / c)
    return out


@pytest.mark.parametrize("kind, reach", KINDS)
def test_the_block_is_equation_1_or_what_is_left_of_it(kind, reach):
    net = relation(kind=kind, reach=reach)
    x, y = maps(2, CHANNELS, 3, 4), maps(2, CHANNELS, 3, 4, seed=2)
    net.hybridize()
    found = net(mx.nd.array(x), mx.nd.array(y), mx.nd.ones((2,))).asnumpy()
    expected = equation_1(net, x, y, kind, reach)
    assert np.abs(found - expected).max() < 1e-5 and np.abs(expected).max() > 0.1


@pytest.mark.parametrize("reach", [None, 2.0])
def test_rows_sum_to_one_and_reach_keeps_them_near(reach):
    """At the size of a full map (50 x 50), with phi and theta at zero: the position alone."""
    net = relation(reach=reach)
    net.theta.weight.set_data(mx.nd.zeros_like(net.theta.weight.data()))
    x = mx.nd.zeros((1, CHANNELS, 50, 50))
    rows = net.rows(mx.nd, x, x).asnumpy()[0]
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-5)
    row = rows[20 * 50 + 30].reshape(50, 50)
    y, x = np.mgrid[:50, :50]
    expected = np.ones((50, 50)) if reach is None else np.exp(-((y - 20.0) ** 2 + (x - 30.0) ** 2) / 8)
    assert np.allclose(row, expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("kind, reach", KINDS)
def test_the_response_is_what_the_rows_say(kind, reach):
    """So that a picture of the rows is one of the network."""
    net = relation(kind=kind, reach=reach)
    x, y = (mx.nd.array(maps(2, CHANNELS, 3, 4, seed=seed)) for seed in (1, 2))
    rows = net.rows(mx.nd, x, y).asnumpy()
    assert rows.shape == (2, 12, 12) and np.allclose(rows.sum(axis=2), 1, atol=1e-5)
    g, project = (part.weight.data().asnumpy()[:, :, 0, 0] for part in (net.g, net.project))
    expected = project @ (g @ x.asnumpy().reshape(2, CHANNELS, 12)) @ rows.transpose(0, 2, 1)
    assert np.allclose(net(x, y, mx.nd.ones((2,))).asnumpy().reshape(expected.shape), expected, atol=1e-5)
    other = net.rows(mx.nd, -x, y).asnumpy()
    assert np.array_equal(other, rows) == (kind != "full")  # without content the rows know no image
    if kind == "same_cell":
        assert np.array_equal(rows, np.tile(np.eye(12), (2, 1, 1)))


def test_large_affinities_do_not_overflow():
    net, x, y = relation(), maps(1, CHANNELS, 3, 3, scale=60.0), maps(1, CHANNELS, 3, 3, seed=2, scale=60.0)
    assert np.isfinite(net(mx.nd.array(x), mx.nd.array(y), mx.nd.ones((1,))).asnumpy()).all()


def test_gradients_are_numerically_right():
    net = relation()
    x, y = (mx.nd.array(maps(1, CHANNELS, 2, 3, seed=seed)) for seed in (3, 4))
    weights = mx.nd.array(maps(1, CHANNELS, 2, 3, seed=5))

    def loss():
        return (net(x, y, mx.nd.ones((1,))) * weights).sum()

    for array in (x, y):
        array.attach_grad()
    with autograd.record():
        value = loss()
    value.backward()
    checked = [(array, array.grad.asnumpy()) for array in (x, y)]
    checked += [(part.weight.data(), part.weight.grad().asnumpy()) for part in (net.theta, net.phi, net.g, net.project)]
    for array, gradient in checked:
        for place in (0, 5, array.size - 1):
            values = []
            original = array.asnumpy()
            for step in (1e-2, -1e-2):
                moved = original.copy()
                moved.ravel()[place] += step
                array[:] = mx.nd.array(moved)
                values.append(float(loss().asscalar()))
            array[:] = mx.nd.array(original)
            assert np.isclose((values[0] - values[1]) / 2e-2, gradient.ravel()[place], rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("phases, kind", [(1, "full"), (2, "full"), (3, "position"), (3, "same_cell"), (4, "full")])
def test_phases_add_their_own_relation(phases, kind):
    net = PhaseRelation(CHANNELS, phases=phases, kind=kind, reach=1.0)
    net.initialize()
    for number, pair in enumerate(net.pairs):
        for name, source in zip(PARTS[kind], (0.1, 0.2, 0.3, 0.4)):
            part = getattr(pair, name)
            part.weight.set_data(mx.nd.array(np.random.default_rng(number).normal(0, source, part.weight.shape)))
    stack = maps(2, phases, CHANNELS, 3, 3)
    found = net(mx.nd.array(stack), mx.nd.ones((2, phases))).asnumpy()
    expected = stack[:, 0].astype(float)
    for number, pair in enumerate(net.pairs, start=1):
        one = pair(mx.nd.array(stack[:, number]), mx.nd.array(stack[:, 0]), mx.nd.ones((2,))).asnumpy()
        expected = expected + one
    assert np.abs(found - expected).max() < 1e-5
    assert (np.abs(found - stack[:, 0]).max() > 1e-3) == (phases > 1)


@pytest.mark.parametrize("kind", PARTS)
def test_a_missing_phase_says_nothing_and_is_not_replaced(kind):
    net = PhaseRelation(CHANNELS, phases=3, kind=kind, reach=1.0)
    net.initialize(mx.init.Normal(0.5))
    for pair in net.pairs:
        pair.project.weight.set_data(mx.nd.random.normal(shape=pair.project.weight.shape))
    stack = maps(1, 3, CHANNELS, 3, 3)
    only_third = net(mx.nd.array(stack), mx.nd.array([[1, 0, 1]])).asnumpy()
    garbage = stack.copy()
    garbage[:, 1] = 1e3
    assert np.array_equal(net(mx.nd.array(garbage), mx.nd.array([[1, 0, 1]])).asnumpy(), only_third)
    third = net.pairs[1](mx.nd.array(stack[:, 2]), mx.nd.array(stack[:, 0]), mx.nd.ones((1,))).asnumpy()
    assert np.allclose(only_third, stack[:, 0] + third, atol=1e-5)
    assert np.array_equal(net(mx.nd.array(stack), mx.nd.array([[1, 0, 0]])).asnumpy(), stack[:, 0])


@pytest.mark.parametrize("kind", PARTS)
def test_relations_start_at_zero(kind):
    net = PhaseRelation(CHANNELS, phases=3, kind=kind, reach=1.0)
    net.initialize(mx.init.Xavier())
    stack = maps(2, 3, CHANNELS, 4, 4)
    assert np.array_equal(net(mx.nd.array(stack), mx.nd.ones((2, 3))).asnumpy(), stack[:, 0])
