"""RelationNet against Equation 1 worked out with NumPy from the detector's own maps."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.build import make_detector
from gluon_liver.nn.relation_map import RelationNet
from tests.conftest import SIZE


def detector(make_config, phases=3, slices=1):
    config = make_config(**{"row": None, "network.relation": "full" if phases > 1 else "off", "data.slices": slices})
    mx.random.seed(0)
    return make_detector(config, classes=("cyst", "hemangioma", "hcc"), phases=phases, context=mx.cpu())


def weights(layer):
    return layer.weight.data().asnumpy()[:, :, 0, 0].astype(float)


@pytest.mark.parametrize("slices", [1, 9])
def test_rows_and_responses_are_those_of_equation_1(make_config, slices):
    built = detector(make_config, slices=slices)
    rng = np.random.default_rng(0)
    for pair in built.relation.pairs:
        pair.project.weight.set_data(mx.nd.array(rng.normal(0, 0.1, pair.project.weight.shape)))
        pair.theta.weight.set_data(mx.nd.array(rng.normal(0, 0.3, pair.theta.weight.shape)))
    x = mx.nd.array(rng.normal(size=(2, 3, 1, slices, SIZE, SIZE)))
    present = mx.nd.array([[1, 1, 1], [1, 0, 1]])
    net = RelationNet(built)
    net.hybridize()
    reference, rows, responses = net(x, present)

    maps = built.blocks(mx.nd, x)[2].asnumpy().astype(float)
    maps = maps.reshape((2, 3, -1, 16))  # 4 x 4 cells
    assert np.allclose(reference.asnumpy().reshape((2, -1, 16)), maps[:, 0], atol=1e-5)
    places = np.array([(row, column) for row in range(4) for column in range(4)], float)
    near = -((places[:, None] - places[None]) ** 2).sum(axis=2) / (2 * 1.0**2)
    for number, pair in enumerate(built.relation.pairs, start=1):
        for image in range(2):
            theta, phi = weights(pair.theta) @ maps[image, 0], weights(pair.phi) @ maps[image, number]
            f = np.exp(theta.T @ phi / np.sqrt(len(theta)) + near)
            expected = f / f.sum(axis=1, keepdims=True)
            assert np.allclose(rows[number - 1][image].asnumpy(), expected, atol=1e-5)
            added = weights(pair.project) @ (weights(pair.g) @ maps[image, number]) @ expected.T
            found = responses[number - 1][image].asnumpy().reshape((-1, 16))
            assert np.allclose(found, added if present[image, number] else 0, atol=1e-4)
            assert np.abs(added).max() > 0.05 and np.ptp(expected, axis=1).min() > 0.05
    whole = built.features(mx.nd, x, present).maps[0].asnumpy()
    assert np.allclose(reference.asnumpy() + sum(part.asnumpy() for part in responses), whole, atol=1e-5)


def test_one_phase_and_training_are_refused(make_config):
    with pytest.raises(ValueError, match="no relation"):
        RelationNet(detector(make_config, phases=1))
    net = RelationNet(detector(make_config))
    with autograd.record(), pytest.raises(RuntimeError, match="training mode"):
        net(mx.nd.zeros((1, 3, 1, 1, SIZE, SIZE)), mx.nd.ones((1, 3)))
