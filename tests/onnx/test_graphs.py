"""Detectors of every reading as graphs, run by onnxruntime, against MXNet: features and detections."""

import mxnet as mx
import numpy as np
import onnx
import pytest

from gluon_liver.nn.folding import folded
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.streaming import FrameNet, StreamNet
from gluon_liver.onnx.graphs import detector_graph, features_graph, frame_graph, stream_graph

from .conftest import run
from .detectors import CLASSES, READINGS, SIZE, detector_of, inputs_of

STREAMS = [name for name in READINGS if name.startswith("us")]


@pytest.fixture(scope="module")
def detector(request):
    return detector_of(request.param)


def arrays(feeds):
    return [mx.nd.array(one) for one in feeds.values()]


def check_detections(found, rows, check):
    """The same detections; those whose scores differ in the last bits may stand in another order."""
    rows, boxes = rows.asnumpy(), found["boxes"]
    np.testing.assert_allclose(found["check"], check.asnumpy(), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["scores"], rows[..., 1], rtol=1e-4, atol=1e-5)
    assert found["classes"].dtype == np.int64 and (rows[..., 0] >= 0).any()
    for image in range(len(rows)):
        expected = np.lexsort((rows[image, :, 2], np.round(rows[image, :, 1], 3), rows[image, :, 0]))
        order = np.lexsort((boxes[image, :, 0], np.round(found["scores"][image], 3), found["classes"][image]))
        assert np.array_equal(found["classes"][image][order], rows[image, expected, 0])
        np.testing.assert_allclose(boxes[image][order], rows[image][expected, 2:], rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("detector", READINGS, indirect=True)
def test_a_detector_gives_what_mxnet_does(detector):
    model, net = detector_graph(detector), DetectionNet(folded(detector, context=mx.cpu()))
    for batch in (1, 2):
        feeds = inputs_of(detector, batch, seed=batch)
        check_detections(run(model, feeds), *net(*arrays(feeds)))


@pytest.mark.parametrize("detector", READINGS, indirect=True)
def test_features_are_those_of_mxnet(detector):
    feeds = inputs_of(detector, 2)
    features = folded(detector, context=mx.cpu()).features(mx.nd, *arrays(feeds))
    expected = [*features.maps, *([] if features.shallow is None else [features.shallow])]
    found = run(features_graph(detector), feeds)
    assert len(found) == len(expected)
    for one, other in zip(found.values(), expected):
        scale = float(np.abs(other.asnumpy()).max())
        assert scale > 0.1
        np.testing.assert_allclose(one / scale, other.asnumpy() / scale, atol=2e-5)


@pytest.mark.parametrize("detector", STREAMS, indirect=True)
def test_a_stream_keeps_what_it_computed_of_the_frame_before(detector):
    """A frame's map is computed once; with the map of the frame before it gives the whole detector's detections."""
    frames, parts = frame_graph(detector), stream_graph(detector)
    images = inputs_of(detector, 1)["image"]
    maps = [run(frames, {"frame": images[:, at]})["frame_map"] for at in range(detector.frames)]
    traced = folded(detector, context=mx.cpu())
    np.testing.assert_allclose(maps[-1], FrameNet(traced)(mx.nd.array(images[:, -1])).asnumpy(), rtol=1e-4, atol=1e-4)
    feeds = {"frame": images[:, -1], "frame_map": maps[-1]}
    if detector.frames > 1:
        feeds.update(previous=images[:, 0], previous_map=maps[0])
    assert {one.name for one in parts.graph.input} <= set(feeds)
    feeds = {one.name: feeds[one.name] for one in parts.graph.input}
    found = run(parts, feeds)
    rows, check = DetectionNet(traced)(mx.nd.array(images))
    check_detections(found, rows, check)
    assert ("flow" in found) == (detector.frames > 1 and detector.flow is not None)
    if "flow" in found:
        expected = StreamNet(traced)(*map(mx.nd.array, feeds.values())).flow.asnumpy()
        assert found["flow"].shape == (1, 2, SIZE, SIZE) and np.abs(expected).max() > 0.05
        np.testing.assert_allclose(found["flow"], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("detector", ["fusion, texture, multi-modal"], indirect=True)
def test_a_graph_is_of_standard_operators_with_a_batch_axis_and_names_of_its_layers(detector):
    model = detector_graph(detector)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""} and not model.functions
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}

    def axes(values):
        return {
            one.name: [axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim] for one in values
        }

    assert axes(model.graph.input) == {"image": ["batch", 3, 1, 3, SIZE, SIZE], "present": ["batch", 3]}
    outputs = axes(model.graph.output)
    count = outputs["scores"][1]
    assert count == min(100, 20 * len(CLASSES))
    expected = {"boxes": ["batch", count, 4], "classes": ["batch", count], "scores": ["batch", count]}
    assert outputs == {**expected, "check": ["batch"]}
    constants = {one.name for one in model.graph.initializer}
    assert {"block4.0.conv1.weight", "texture.score.weight", "relation.pairs.0.theta.weight"} <= constants
    assert "backbone.block1.0.conv1" in {"_".join(node.name.split("_")[:-1]) for node in model.graph.node}


@pytest.mark.parametrize("detector", ["group norm", "r50"], indirect=True)
def test_the_detector_is_as_before(detector):
    assert detector.on_cpu and detector.roi_mode == "matrices"
    feeds = inputs_of(detector, 1)
    before = DetectionNet(detector)(*arrays(feeds))[0].asnumpy()
    first = detector_graph(detector)
    assert detector.on_cpu and detector.roi_mode == "matrices"
    assert np.array_equal(DetectionNet(detector)(*arrays(feeds))[0].asnumpy(), before)
    assert detector_graph(detector).SerializeToString() == first.SerializeToString()
    onnx.checker.check_model(first, full_check=True)


@pytest.mark.parametrize("detector", ["r50"], indirect=True)
def test_the_check_says_where_there_are_no_numbers(detector):
    """Also of one pixel alone, which rectifiers and largest values of windows may hide."""
    model = detector_graph(detector)
    for where, value in ((..., np.nan), ((0, 0, 0, 5, 7), np.nan), ((0, 0, 0, 5, 7), np.inf)):
        feeds = inputs_of(detector, 2)
        feeds["image"][1][where] = value
        found = run(model, feeds)
        assert np.isfinite(found["check"][0]) and not np.isfinite(found["check"][1])


@pytest.mark.parametrize("detector", ["us-flow zero"], indirect=True)
def test_the_check_of_a_stream_sees_every_input(detector):
    model = stream_graph(detector)
    feeds = {
        one.name: np.zeros([axis.dim_value for axis in one.type.tensor_type.shape.dim], np.float32)
        for one in model.graph.input
    }
    assert len(feeds) == 4 and np.isfinite(run(model, feeds)["check"]).all()
    for array in feeds.values():
        array[0, 0, 1, 2] = np.nan
        assert not np.isfinite(run(model, feeds)["check"]).any()
        array[...] = 0
