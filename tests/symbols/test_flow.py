"""The flow of symbols/ where it is estimated on smaller frames, against the Gluon network and by hand."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.nn.layers.indexing import entry
from symbols.networks.catalogue import network_of
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


def test_enlarging_by_hand():
    # centres of the new cells lie a quarter of a cell beside those of the old ones
    assert np.array_equal(enlarging(4, 2, 2), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert np.array_equal(enlarging(3, 4, 1), np.eye(3, 4))
