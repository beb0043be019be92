"""The flow of symbols/ where it is estimated on smaller frames, against the Gluon network and by hand."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.aggregation import follow as gluon_follow
from gluon_liver.nn.layers.indexing import entry
from symbols.networks.catalogue import network_of
from symbols.parts.aggregation import follow
from symbols.parts.liteflownet import enlarging

from .gluon_side import parameters_of, seeded_network

pytestmark = pytest.mark.slow


# test_parity has the configuration's values; 64 / 4 pixels are padded to 32
@pytest.mark.parametrize("shrink, last_level", [(1, 2), (4, 2), (1, 4)])
def test_flow_is_that_of_gluon(shrink, last_level):
    _, plain, detector, inputs = seeded_network("us-flow", f"flow.shrink={shrink}", f"flow.last_level={last_level}")
    frames = [entry(mx.nd, mx.nd.array(inputs["data"]), number, axis=1) for number in (0, 1)]
    wanted = detector.flow_between(mx.nd, *frames).asnumpy()
    symbol = network_of(plain).test_parts(plain, 2)["flow"]
    arrays = {name.partition(":")[2]: array for name, array in parameters_of(detector).items()}
    arrays.update((name, mx.nd.array(array)) for name, array in network_of(plain).constants(plain).items())
    arrays["data"] = mx.nd.array(inputs["data"])
    args = {name: arrays[name] for name in symbol.list_arguments()}
    aux = {name: arrays[name] for name in symbol.list_auxiliary_states()}
    found = symbol.bind(mx.cpu(), args, aux_states=aux, grad_req="null").forward()[0].asnumpy()
    assert np.abs(wanted).max() > 0.1
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_the_previous_map_is_moved_as_in_gluon():
    """Values, and the gradients of map and flow; flows of up to three cells on maps of nine."""
    rng = np.random.default_rng(0)
    arrays = {"previous": rng.uniform(0, 1, (2, 5, 9, 9)), "flow": rng.uniform(-3, 3, (2, 2, 9, 9))}
    arrays = {name: mx.nd.array(array) for name, array in arrays.items()}
    for array in arrays.values():
        array.attach_grad()
    with autograd.record():
        wanted = gluon_follow(mx.nd, **arrays)
        (wanted * wanted).sum().backward()
    symbol = follow(mx.sym.Variable("previous"), mx.sym.Variable("flow"), 9)
    gradients = {name: mx.nd.zeros(array.shape) for name, array in arrays.items()}
    executor = symbol.bind(mx.cpu(), arrays, args_grad=gradients)
    found = executor.forward(is_train=True)[0]
    executor.backward(2 * found)
    assert np.allclose(found.asnumpy(), wanted.asnumpy(), atol=1e-5) and found.asnumpy().std() > 0.1
    for name, array in arrays.items():
        assert np.abs(array.grad.asnumpy()).max() > 0.1
        assert np.allclose(gradients[name].asnumpy(), array.grad.asnumpy(), atol=1e-4), name


def test_enlarging_by_hand():
    # centres of the new cells lie a quarter of a cell beside those of the old ones
    assert np.array_equal(enlarging(4, 2, 2), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert np.array_equal(enlarging(3, 4, 1), np.eye(3, 4))
