"""int8 graphs: what is quantised, what keeps float32, and how near they stay."""

import numpy as np
import pytest

from gluon_liver.onnx.graphs import detector_graph, stream_graph
from gluon_liver.onnx.quantised import float_nodes, quantised
from gluon_liver.onnx.session import Session

from .detectors import detector_of, inputs_of


def convolutions(model):
    """Names of their weights by node."""
    return {node.name: node.input[1] for node in model.graph.node if node.op_type == "Conv"}


@pytest.fixture(scope="module")
def graphs():
    """A float32 graph, its int8 form and inputs."""
    detector = detector_of("r50")
    model = detector_graph(detector)
    return model, quantised(model, (inputs_of(detector, batch=1, seed=seed) for seed in range(4))), detector


def test_convolutions_are_in_int8_but_for_the_first_and_the_proposals_outputs(graphs):
    model, small, _ = graphs
    kept = {convolutions(model)[name] for name in float_nodes(model)}
    assert {"rpn.score.weight", "rpn.loc.weight"} < kept and len(kept) == 3  # the third reads the image
    made = {node.output[0]: node for node in small.graph.node}
    weights = {one.name: one for one in small.graph.initializer}
    quantised_names = set()
    for node in small.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            source = made.get(node.input[1])
            if source is not None and source.op_type == "DequantizeLinear":
                quantised_names.add(node.name)
                weight, scales = (weights[one] for one in source.input[:2])
                assert node.op_type == "Conv" and weight.data_type == 3  # INT8
                assert list(scales.dims) == [weight.dims[0]]  # a scale for each filter
    assert quantised_names == set(convolutions(model)) - set(float_nodes(model))
    assert small.ByteSize() < 0.6 * model.ByteSize()


def test_int8_detects_nearly_what_float32_does(graphs):
    model, small, detector = graphs
    feeds = inputs_of(detector, batch=1, seed=1)
    usual, reduced = (Session(one.SerializeToString(), threads=1).run(feeds) for one in (model, small))
    assert np.isfinite(reduced["check"]).all() and not np.array_equal(usual["scores"], reduced["scores"])
    assert abs(np.sort(usual["scores"])[0, ::-1][:10] - np.sort(reduced["scores"])[0, ::-1][:10]).max() < 0.1


def test_the_proposals_outputs_keep_float32_at_every_level_of_a_pyramid():
    model = detector_graph(detector_of("fusion of block3"))
    own, kept = convolutions(model), float_nodes(model)
    outputs = [name for name, weight in own.items() if weight.startswith(("rpn.rpn_head.score", "rpn.rpn_head.loc"))]
    assert len(outputs) == 6 and set(outputs) < set(kept)  # two of each of three levels
    assert not {own[name] for name in kept if own[name].startswith("rpn.rpn_head.conv1")}


@pytest.mark.parametrize("reading", ["r50 pools, multi-modal", "us-flow"])
def test_relations_and_flow_keep_float32(reading):
    detector = detector_of(reading)
    model = stream_graph(detector) if reading == "us-flow" else detector_graph(detector)
    own = convolutions(model)
    kept = {own[name] for name in float_nodes(model)}
    for begin in ("relation.", "flow."):
        assert {one for one in own.values() if one.startswith(begin)} <= kept
    assert not {one for one in kept if one.startswith(("block4", "aggregation", "rpn.conv1"))}
