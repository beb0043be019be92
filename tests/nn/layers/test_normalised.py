"""A frozen BatchNorm inside the convolution before it: the numbers and gradients of both, one after the other."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import nn

from gluon_liver.nn.layers.normalised import batch_norm, conv_norm, live, mean_in_inference, mean_in_training, relu

rng = np.random.default_rng(0)


class Pair(nn.HybridBlock):
    """A convolution and a BatchNorm, together or one after the other."""

    def __init__(self, frozen, together):
        super().__init__()
        self._together = together
        with self.name_scope():
            self.conv = nn.Conv2D(6, 3, 2, 1, use_bias=False, in_channels=4)
            self.norm = batch_norm("frozen" if frozen else "live", in_channels=6)

    def hybrid_forward(self, F, x):
        return relu(F, conv_norm(F, x, self.conv, self.norm) if self._together else self.norm(self.conv(x)))


def trained(frozen, together, hybrid):
    """Output of a step on the same numbers, and gradients and statistics by name."""
    pair = Pair(frozen, together)
    pair.initialize()
    numbers = np.random.default_rng(1)
    for _, parameter in sorted(pair._collect_params_with_prefix().items()):
        parameter.set_data(mx.nd.array(numbers.uniform(0.5, 2.0, parameter.shape)))
    if hybrid:
        pair.hybridize()
    x = mx.nd.array(numbers.normal(size=(2, 4, 9, 9)))
    x.attach_grad()
    with autograd.record():
        y = pair(x)
    y.backward(mx.nd.array(numbers.normal(size=y.shape)))
    mx.nd.waitall()
    named = pair._collect_params_with_prefix().items()
    found = {name: one.data() if one.grad_req == "null" else one.grad() for name, one in named}
    return {key: value.asnumpy() for key, value in dict(found, y=y, x=x.grad).items()}


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_together_is_one_after_the_other(frozen, hybrid):
    together, apart = trained(frozen, True, hybrid), trained(frozen, False, hybrid)
    assert together.keys() == apart.keys() and len(apart) == 7
    for key, value in apart.items():
        assert np.allclose(together[key], value, rtol=1e-5, atol=1e-5), key
    assert np.ptp(apart["y"]) > 1 and np.ptp(apart["norm.gamma"]) > 1


def test_a_convolution_without_norm_keeps_its_bias_and_takes_another_stride():
    conv = nn.Conv2D(3, 1, 2, in_channels=2)
    conv.initialize()
    conv.bias.set_data(mx.nd.array([1, 2, 3]))
    x = mx.nd.array(rng.normal(size=(1, 2, 4, 4)))
    assert np.array_equal(conv_norm(mx.nd, x, conv, None).asnumpy(), conv(x).asnumpy())
    full = conv_norm(mx.nd, x, conv, None, stride=(1, 1)).asnumpy()
    assert full.shape == (1, 3, 4, 4)
    assert np.allclose(full[..., ::2, ::2], conv(x).asnumpy(), atol=1e-6)
    assert not live(None) and live(batch_norm("live")) and not live(batch_norm("frozen"))


@pytest.mark.parametrize("mean", [mean_in_inference, mean_in_training])
def test_the_mean_over_cells(mean):
    x = rng.normal(size=(3, 5, 4, 7))
    found = mean(mx.nd, mx.nd.array(x)).asnumpy()
    assert found.shape == (3, 5) and np.allclose(found, x.mean(axis=(2, 3)), atol=1e-6)
