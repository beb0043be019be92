"""exp() beside the largest of a row: the softmax, without numbers that processors are slow with."""

import mxnet as mx
import numpy as np
from mxnet import autograd

from gluon_liver.flow.operators import exp_of_largest
from gluon_liver.nn.relation import Relation
from symbols.parts.layers import exp_of_largest as symbol_of_it

BELOW = np.array([[0, -1, -49, -51, -88, -95, -1000], [-3, -2, -1, 0, 60, -50, 9]], np.float32) + 7


def expected(x):
    return np.exp(np.maximum(x.astype(float) - x.max(axis=1, keepdims=True), -50))


def test_it_is_the_exponential_down_to_the_least():
    found = exp_of_largest(mx.nd, mx.nd.array(BELOW), axis=1).asnumpy()
    assert np.allclose(found, expected(BELOW), rtol=2e-6, atol=0)
    assert found.min() > 1e-22 and np.allclose(exp_of_largest(mx.nd, mx.nd.array(BELOW.T), axis=0).asnumpy(), found.T)
    softmax = mx.nd.softmax(mx.nd.array(BELOW), axis=1).asnumpy()
    assert np.abs(found / found.sum(axis=1, keepdims=True) - softmax).max() < 1e-7
    net = symbol_of_it(mx.sym.var("x"), axis=1)
    assert np.array_equal(net.eval(x=mx.nd.array(BELOW))[0].asnumpy(), found)


def test_its_gradient_is_the_softmaxs():
    grads, weight = [], mx.nd.array(np.random.default_rng(1).normal(size=BELOW.shape))
    for whole in (True, False):
        x = mx.nd.array(BELOW)
        x.attach_grad()
        with autograd.record():
            f = exp_of_largest(mx.nd, x, axis=1)
            rows = mx.nd.softmax(x, axis=1) if whole else mx.nd.broadcast_div(f, mx.nd.sum(f, axis=1, keepdims=True))
            loss = (rows * weight).sum()
        loss.backward()
        grads.append(x.grad.asnumpy())
    assert np.abs(grads[0]).max() > 0.05 and np.abs(grads[0] - grads[1]).max() < 1e-6


def test_the_rows_of_a_relation_hold_nothing_that_is_slow():
    """Denormal numbers, below 1.2e-38, of a Gaussian of one cell on 22 x 22 of them."""
    net = Relation(8, kind="position", reach=1.0)
    net.initialize()
    map_ = mx.nd.ones((1, 8, 22, 22))
    rows = net.rows(mx.nd, map_, map_).asnumpy()
    assert (rows > 1e-30).all() and np.abs(rows.sum(axis=2) - 1).max() < 1e-6
