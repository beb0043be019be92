"""Types in the graphs of mixed precision, which needs a GPU to run: MXNet infers them without one."""

import json
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.nn.losses import detection_losses
from gluon_liver.nn.nets import TrainingOutputs
from gluon_liver.training.mixed_precision import in_float32

pytestmark = pytest.mark.slow

# in a process of its own: MXNet casts for good
TYPES = """
import json, sys
import gluon_liver
import mxnet as mx, numpy as np
from gluon_liver.config.load import load_config
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import DetectionNet, TrainingNet
from gluon_liver.training.mirror import INPUTS, training_symbol
from gluon_liver.training.mixed_precision import cast_operators

cast_operators()
cast_operators()  # a second trainer of the process
found = {}
for name in sys.argv[1:]:
    config = load_config(name)
    phases = 2 if config.network.multi_modal else 1
    detector = make_detector(config, classes=["a", "b"], phases=phases, context=mx.cpu())
    names = INPUTS if phases > 1 else INPUTS[:-1]
    training = training_symbol(TrainingNet(detector, batch_size=1), names)
    inference = mx.sym.Group(list(DetectionNet(detector)(*[mx.sym.var(one) for one in ("image", "present")[:phases]])))
    for kind, symbol in (("training", training), ("inference", inference)):
        inner = symbol.get_internals()
        types = inner.infer_type(**{one: np.float32 for one in symbol.list_arguments()})[1]
        of = dict(zip(inner.list_outputs(), (np.dtype(one).name for one in types)))
        nodes = json.loads(symbol.tojson(remove_amp_cast=False))["nodes"]
        ops = {}
        for node in nodes:
            own = of.get(node["name"] + "_output", of.get(node["name"] + "_output0"))
            if node["op"] != "null" and own:
                ops.setdefault(node["op"], set()).add(own)
        found[name, kind] = {op: sorted(own) for op, own in ops.items()}, [of[one] for one in symbol.list_outputs()]
print(json.dumps([[*key, *value] for key, value in found.items()]))
"""
CONFIGS = ("r50-2.5d", "r101-multimodal", "us-flow")


@pytest.fixture(scope="module")
def types():
    """(configuration, graph) -> types by operator, and those of the outputs."""
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", TYPES, *CONFIGS], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    return {(name, kind): (ops, outputs) for name, kind, ops, outputs in json.loads(child.stdout.splitlines()[-1])}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", ["training", "inference"])
def test_products_are_float16_and_positions_float32(types, name, kind):
    ops, outputs = types[name, kind]
    assert ops["Convolution"] == ops["FullyConnected"] == ["float16"]
    positions = {"_contrib_box_decode", "_contrib_arange_like", "_contrib_box_nms", "BilinearSampler", "GridGenerator"}
    found = positions & ops.keys()
    assert {"_contrib_arange_like", "_contrib_box_nms"} <= found and (name != "us-flow" or len(found) == 5)
    assert all(ops[op] == ["float32"] for op in found)
    if kind == "inference":
        assert set(outputs) == {"float32"}


def test_losses_of_float16_outputs_are_computed_in_float32():
    rng = np.random.default_rng(0)
    shapes = [(1, 6, 1), (1, 6, 4), (1, 5, 3), (1, 2, 2, 4), (1, 5), (1, 2, 2, 4), (1, 2, 2, 4), (1, 3)]
    arrays = [mx.nd.array(rng.normal(size=shape), dtype="float16") for shape in shapes]
    arrays[4][:] = mx.nd.array([[0, 1, 2, -1, 0]], dtype="float16")
    arrays[0].attach_grad()
    targets = [mx.nd.array(rng.integers(-1, 2, (1, 6))), mx.nd.array(rng.normal(size=(1, 6, 4)))]
    with mx.autograd.record():
        losses = detection_losses(in_float32(TrainingOutputs(*arrays)), *targets)
        total = mx.nd.add_n(*losses.values())
    total.backward()
    assert {loss.dtype for loss in losses.values()} == {np.float32}
    assert arrays[0].grad.dtype == np.float16 and arrays[0].grad.asnumpy().any()
    wide = TrainingOutputs(*[array.astype("float32") for array in arrays])
    assert all(one is other for one, other in zip(in_float32(wide), wide))  # nothing to do, nothing copied
    expected = detection_losses(wide, *targets)
    assert all(np.array_equal(loss.asnumpy(), expected[name].asnumpy()) for name, loss in losses.items())
