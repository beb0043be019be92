"""The texture stage: the descriptor by hand, and textures that the mean cannot tell apart."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from gluon_liver.nn.texture import CHANNELS, ENERGY_FLOOR, TextureHead, texture


def test_the_descriptor_by_loops():
    pooled = np.random.default_rng(0).normal(1, 2, (3, 4, 5, 6))
    found = texture(mx.nd, mx.nd.array(pooled)).asnumpy()
    for row, roi in zip(found, pooled):
        energy = [np.sqrt(np.mean(channel**2) + ENERGY_FLOOR) for channel in roi]
        gram = [np.mean(a * b) / (e * f) for a, e in zip(roi, energy) for b, f in zip(roi, energy)]
        assert np.allclose(row, energy + gram, atol=1e-5)


def test_a_silent_roi_has_a_finite_gradient():
    pooled = mx.nd.zeros((2, 3, 4, 4))
    pooled.attach_grad()
    with autograd.record():
        texture(mx.nd, pooled).sum().backward()
    assert np.isfinite(pooled.grad.asnumpy()).all()


def textures(count, seed):
    """ROIs of two textures: the same mean and variance of each pixel, fine against coarse grain in one channel."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    noise = rng.normal(size=(count, 16, 16))
    coarse = sum(np.roll(np.roll(noise, dy, 1), dx, 2) for dy in range(3) for dx in range(3)) / 3
    plain = np.where(labels[:, None, None] == 1, coarse, rng.normal(size=(count, 16, 16)))
    plain -= plain.mean(axis=(1, 2), keepdims=True)
    plain /= plain.std(axis=(1, 2), keepdims=True)
    maps = np.zeros((count, 3, 14, 14))
    # what a shallow layer sees of it: the pixel and its neighbours to the right and below
    for channel, (dy, dx) in enumerate(((0, 0), (0, 1), (1, 0))):
        maps[:, channel] = plain[:, dy : dy + 14, dx : dx + 14]
    maps -= maps.mean(axis=(2, 3), keepdims=True)
    return mx.nd.array(maps + 0.5), labels


def accuracy_of(net, features, seed):
    mx.random.seed(seed)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    (train, train_labels), (test, test_labels) = textures(400, seed), textures(200, seed + 1000)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    loss = gluon.loss.SigmoidBinaryCrossEntropyLoss()
    for _ in range(60):
        with autograd.record():
            value = loss(net(features(train)), mx.nd.array(train_labels))
        value.backward()
        trainer.step(len(train))
    return ((net(features(test)).asnumpy()[:, 0] > 0) == test_labels).mean()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equal_means_are_told_apart_by_texture_alone(seed):
    class OnMap(gluon.nn.HybridSequential):
        def hybrid_forward(self, F, x):
            return self[0](self[0].reduce(x))

    net = OnMap()
    net.add(TextureHead(in_channels=3))
    assert accuracy_of(net, lambda maps: maps, seed) >= 0.95
    by_mean = gluon.nn.HybridSequential()
    by_mean.add(gluon.nn.Dense(64, activation="relu"), gluon.nn.Dense(1))
    assert 0.35 <= accuracy_of(by_mean, lambda maps: maps.mean(axis=(2, 3)), seed) <= 0.65


def test_the_whole_head_gets_gradients():
    net = TextureHead(in_channels=5)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    x = mx.nd.random.normal(shape=(4, 5, 7, 7))
    assert net.reduce(x).shape == (4, CHANNELS, 7, 7)
    with autograd.record():
        net(net.reduce(x)).sum().backward()
    for name, parameter in net.collect_params().items():
        assert np.abs(parameter.grad().asnumpy()).max() > 0, name
