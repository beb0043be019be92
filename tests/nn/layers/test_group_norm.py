"""GroupNorm against its formula, behind a convolution, whose maps are in oneDNN's layout; detectors that have it."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import nn

from gluon_liver.errors import InputError
from gluon_liver.nn import folding
from gluon_liver.nn.layers.normalised import GroupNorm, batch_norm, conv_norm, live, relu
from tests.nn.conftest import SIZE, ct_detector

EPSILON = 1e-5


def formula(F, x, gamma, beta, groups):
    """From operators that know no groups, for values and gradients."""
    parts = F.reshape(x, (0, -4, groups, -1, -2))
    mean = F.mean(parts, axis=(2, 3, 4), keepdims=True)
    centred = F.broadcast_sub(parts, mean)
    spread = F.sqrt(F.mean(F.square(centred), axis=(2, 3, 4), keepdims=True) + EPSILON)
    y = F.reshape_like(F.broadcast_div(centred, spread), x)
    return F.broadcast_add(F.broadcast_mul(y, gamma.reshape((1, -1, 1, 1))), beta.reshape((1, -1, 1, 1)))


@pytest.mark.parametrize("channels, groups", [(8, 4), (16, 8), (24, 12), (64, 32), (72, 24), (256, 32)])
def test_the_layer_is_its_formula_with_gradients(channels, groups):
    rng = np.random.default_rng(channels)
    conv = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=8)
    norm = batch_norm("group", in_channels=channels)
    assert isinstance(norm, GroupNorm) and live(norm)
    for part in (conv, norm):
        part.initialize()
    for parameter in (conv.weight, norm.gamma, norm.beta):
        parameter.set_data(mx.nd.array(rng.normal(0.3, 1, parameter.shape)))
    weights, found = mx.nd.array(rng.normal(size=(2, channels, 7, 6))), []
    image = rng.normal(size=(2, 8, 7, 6))
    for ours in (True, False):
        x = mx.nd.array(image)
        x.attach_grad()
        with autograd.record():
            if ours:
                y = relu(mx.nd, conv_norm(mx.nd, x, conv, norm))
            else:
                y = formula(mx.nd, conv(x), norm.gamma.data(), norm.beta.data(), groups).relu()
            loss = (y * weights).sum()
        loss.backward()
        found.append([one.asnumpy() for one in (y, x.grad, conv.weight.grad(), norm.gamma.grad(), norm.beta.grad())])
    for mine, expected in zip(*found):
        assert np.abs(mine - expected).max() <= 2e-5 * np.abs(expected).max() and expected.std() > 1e-2


def test_a_map_is_normalised_alike_whatever_it_comes_with_and_in_inference():
    norm = batch_norm("group", in_channels=16)
    norm.initialize()
    x = mx.nd.random.normal(2.0, 3.0, shape=(3, 16, 5, 5))
    with autograd.train_mode():
        together, alone = norm(x).asnumpy(), norm(x[1:2]).asnumpy()
    assert np.allclose(together[1], alone[0], atol=1e-6) and np.array_equal(norm(x).asnumpy(), together)


def test_folding_leaves_a_detector_with_it_and_bfloat16_is_refused(monkeypatch):
    detector = ct_detector(batch_norm="group")
    assert folding.folded(detector, context=mx.cpu()) is detector
    names = {name.rpartition(".")[2] for name in detector.collect_learned()}
    assert "gamma" in names and not names & {"running_mean", "running_var"}
    monkeypatch.setattr(folding, "check_precision", lambda *args: None)
    with pytest.raises(InputError, match="not with network.batch_norm group"):
        folding.folded(detector, context=mx.cpu(), precision="bfloat16")


def test_the_heads_first_convolutions_may_come_before_pooling():
    """As with live BatchNorm; the norm stays behind it."""
    detector = ct_detector(batch_norm="group")
    feature_map = mx.nd.random.uniform(shape=(1, 128, SIZE // 16, SIZE // 16))
    rois = mx.nd.array([[[0, 0, 60, 50], [20, 10, 90, 80]] * 10])
    both = []
    for smaller in (True, False):
        detector._map_is_smaller = lambda rois, smaller=smaller: smaller
        both.append(detector.describe(mx.nd, [feature_map])(rois).asnumpy())
    assert np.allclose(*both, atol=1e-4) and both[0].std() > 1e-3
