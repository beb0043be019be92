"""The ultrasound detectors: equal at the start, what the flow says, what the previous frame does."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.config.load import build_config
from gluon_liver.errors import ConfigError
from gluon_liver.nn.aggregation import Aggregation, FlowCells, follow
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.phantoms.us.probe import Fan, Pose, tissue_motion

from .conftest import network, training_net, training_outputs

pytestmark = pytest.mark.slow

SIZE = 64
CLASSES = ("tumor", "vessel")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: red, green, blue, as torchvision prints


def build(model, *, flow=(), **changes):
    """A tiny detector with keys of ``network`` and ``flow`` changed."""
    tree = {"model": model, "row": None, "data": {"size": SIZE}, "flow": dict(flow, width=0.125)}
    tree["network"] = network(rpn__train_post_nms=20, rpn__test_post_nms=10, **changes)
    mx.random.seed(0)
    return make_detector(build_config(tree), classes=CLASSES, context=mx.cpu())


def pair(seed=0, batch=2):
    return np.random.default_rng(seed).uniform(0, 1, (batch, 2, 3, SIZE, SIZE)).astype(np.float32)


def both(**changes):
    """us-flow, with keys changed, and us-faster-rcnn with the parameters that they share."""
    proposed, plain = build("us-flow", **changes), build("us-faster-rcnn")
    mine = proposed.collect_learned()
    for name, parameter in plain.collect_learned().items():
        parameter.set_data(mine[name].data())
    return proposed, plain


@pytest.mark.parametrize("aggregation", ["channels", "warp"])
@pytest.mark.parametrize("estimate", ["liteflownet", "zero"])
def test_the_proposed_model_starts_as_plain_faster_rcnn(aggregation, estimate):
    proposed, plain = both(aggregation=aggregation, flow={"estimate": estimate})
    names = set(proposed.collect_learned()) - set(plain.collect_learned())
    assert {name.split(".")[0] for name in names} == {"aggregation", *(["flow"] if estimate == "liteflownet" else [])}
    x = pair()
    rows, _ = DetectionNet(proposed)(mx.nd.array(x))
    expected, _ = DetectionNet(plain)(mx.nd.array(x[:, 1:]))
    assert np.array_equal(rows.asnumpy(), expected.asnumpy())
    other = x.copy()
    other[:, 0] = pair(seed=9)[:, 0]
    assert np.array_equal(DetectionNet(proposed)(mx.nd.array(other))[0].asnumpy(), expected.asnumpy())


def test_the_previous_frame_matters_once_the_aggregation_has_learned():
    proposed, _ = both()
    proposed.aggregation.bn3.gamma.set_data(mx.nd.ones_like(proposed.aggregation.bn3.gamma.data()))
    x = pair()
    first = proposed.features(mx.nd, mx.nd.array(x)).maps[0].asnumpy()
    x[0, 0] = pair(seed=9)[0, 0]
    second = proposed.features(mx.nd, mx.nd.array(x)).maps[0].asnumpy()
    assert np.abs(first[0] - second[0]).max() > 1e-3
    assert np.allclose(first[1], second[1], atol=1e-5)  # the other image's previous frame is not mixed in


def test_the_aggregation_by_hand():
    """Inference with running statistics 0 and 1: plain matrix products over the channels at a 1x1 map."""
    layer = Aggregation(8, norm="frozen")
    layer.initialize(mx.init.Normal(0.5))
    layer.bn3.gamma.set_data(mx.nd.ones(8))
    rng = np.random.default_rng(0)
    current, previous, flow = (rng.uniform(0, 1, (1, count, 1, 1)) for count in (8, 8, 2))
    found = layer(*(mx.nd.array(part) for part in (current, previous, flow))).asnumpy().ravel()
    shrink = 1 / np.sqrt(1 + 1e-5)
    x = np.concatenate([current, previous, flow], axis=1).ravel()
    one, two, three = (part.weight.data().asnumpy() for part in (layer.conv1, layer.conv2, layer.conv3))
    y = np.maximum(one[:, :, 0, 0] @ x * shrink, 0)
    y = np.maximum(two[:, :, 1, 1] @ y * shrink, 0)
    assert one.shape == (2, 18, 1, 1)
    assert np.allclose(found, np.maximum(three[:, :, 0, 0] @ y * shrink + current.ravel(), 0), atol=1e-5)


def test_flow_is_taken_to_the_cells_of_the_map():
    """A flow that says its own pixel's column, in cells of 16 pixels: cell k holds k, but at the edges."""
    ramp = np.broadcast_to(np.arange(64.0), (1, 2, 64, 64))
    found = FlowCells(size=64, stride=16)
    found.initialize()
    cells = found(mx.nd.array(ramp)).asnumpy()[0, 0]
    assert cells.shape == (4, 4)
    assert np.allclose(cells[:, 1:], np.broadcast_to(np.arange(1, 4), (4, 3)), atol=0.02)
    # the left edge: pixels -8 to 8 around cell 0, those outside repeat pixel 0
    window = np.maximum(np.arange(-8, 9), 0) * np.where(np.abs(np.arange(-8, 9)) == 8, 0.5, 1)
    assert np.allclose(cells[:, 0], window.sum() / 16 / 16, atol=1e-5)


def blob(x, y, cells=12):
    """(1, 1, cells, cells), a Gaussian of SD 1.3 cells around (x, y)."""
    rows, columns = np.mgrid[:cells, :cells]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.3**2))[None, None]


def followed(previous, flow):
    return follow(mx.nd, mx.nd.array(previous), mx.nd.array(flow)).asnumpy()


def test_a_blob_that_moved_by_two_and_a_half_cells_lands_on_itself():
    """To the right and up; the other sign, no motion and the axes swapped all leave it elsewhere."""
    before, after = blob(3, 7), blob(5.5, 6)
    flow = np.broadcast_to(np.array([2.5, -1.0]).reshape((1, 2, 1, 1)), (1, 2, 12, 12))
    found = followed(before, flow)
    halves = np.zeros_like(before)  # half a cell is the mean of two neighbours
    halves[..., :-1, 3:] = (before[..., 1:, 1:-2] + before[..., 1:, :-3]) / 2
    halves[..., :-1, 2] = before[..., 1:, 0] / 2  # the other half is from outside
    assert np.allclose(found, halves, atol=1e-5)
    assert np.abs(found - after).max() < 0.08 < 0.5 < np.abs(before - after).max()
    place = (np.mgrid[:12, :12] * found[0]).sum(axis=(1, 2)) / found.sum()
    assert np.allclose(place, [6, 5.5], atol=0.02)


def test_a_still_map_stays_and_nothing_comes_from_outside():
    ones = np.random.default_rng(0).uniform(0, 1, (2, 3, 5, 5))
    assert np.allclose(followed(ones, np.zeros((2, 2, 5, 5))), ones, atol=1e-5)
    right = followed(ones, np.broadcast_to(np.array([2.0, 0.0]).reshape((1, 2, 1, 1)), (2, 2, 5, 5)))
    assert np.allclose(right[..., 2:], ones[..., :-2], atol=1e-5) and np.allclose(right[..., :2], 0, atol=1e-5)


def test_the_flow_is_that_of_the_previous_frames_cells():
    """Where the phantoms' probe shifts and rocks: a map of coordinates, which is moved to where they really were."""
    fan = Fan(radius_mm=40, half_angle=0.6, depth_mm=100, size=384)
    poses = Pose.of((0, 0, 0)), Pose.of((9, -4, 0), (0, 0, -0.12))
    there, back = tissue_motion(fan, *poses), tissue_motion(fan, *poses[::-1])
    cells = FlowCells(size=384, stride=16)
    cells.initialize()
    flow, truth = (cells(mx.nd.array(one.flow[None])).asnumpy() for one in (there, back))
    y, x = np.mgrid[:24, :24]
    # cells whose own pixels, and those around where they were, are in both frames
    seen = cells(mx.nd.array(np.stack([back.valid, there.valid])[None])).asnumpy()[0] * 16 > 0.99
    inside = seen[0] & seen[1]
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    inside[[0, -1]] = inside[:, [0, -1]] = False

    def error(place):
        return np.hypot(*(place - np.stack([x, y]) - truth[0]))[inside]

    far = np.hypot(*truth[0])[inside]
    found = error(followed(np.stack([x, y])[None], flow)[0])
    assert inside.sum() > 60 and far.mean() > 2 and found.max() < 0.05
    assert error(np.stack([x, y]) - flow[0]).mean() > 5 * found.mean()  # the flow of the current frame's own cells


def test_the_previous_map_is_moved_before_it_is_aggregated():
    detector = build("us-flow", aggregation="warp")
    maps = [mx.nd.array(np.random.default_rng(seed).uniform(0, 1, (1, 128, 4, 4))) for seed in (0, 1)]
    flow = mx.nd.array(np.broadcast_to(np.array([24.0, -8.0]).reshape((1, 2, 1, 1)), (1, 2, SIZE, SIZE)))
    detector.aggregation.bn3.gamma.set_data(mx.nd.ones_like(detector.aggregation.bn3.gamma.data()))
    frame = mx.nd.zeros((1, 3, SIZE, SIZE))
    found = detector.aggregate(mx.nd, frame, flow, *maps).maps[0].asnumpy()
    cells = mx.nd.array(np.broadcast_to(np.array([1.5, -0.5]).reshape((1, 2, 1, 1)), (1, 2, 4, 4)))
    moved = follow(mx.nd, maps[0], cells)
    assert np.allclose(found, detector.aggregation(maps[1], moved, cells).asnumpy(), atol=1e-5)
    printed = build("us-flow")
    for name, parameter in printed.collect_learned().items():
        parameter.set_data(detector.collect_learned()[name].data())
    literal = printed.aggregate(mx.nd, frame, flow, *maps).maps[0].asnumpy()
    assert np.allclose(literal, detector.aggregation(maps[1], maps[0], cells).asnumpy(), atol=1e-5)
    assert np.abs(literal - found).max() > 1e-2


@pytest.mark.parametrize("aggregation", ["channels", "warp"])
def test_a_zero_flow_is_no_motion(aggregation):
    detector = build("us-flow", aggregation=aggregation, flow={"estimate": "zero"})
    assert not [name for name in detector.collect_params() if "flow" in name or "cells" in name]
    detector.aggregation.bn3.gamma.set_data(mx.nd.ones_like(detector.aggregation.bn3.gamma.data()))
    x = mx.nd.array(pair())
    found = detector.features(mx.nd, x).maps[0].asnumpy()
    previous, current = (detector.frame_map(mx.nd, x[:, frame]) for frame in (0, 1))
    expected = detector.aggregation(current, previous, mx.nd.zeros((2, 2, 4, 4))).asnumpy()
    assert np.allclose(found, expected, atol=1e-5)
    assert np.abs(expected - current.asnumpy()).max() > 1e-2


def test_frames_are_normalised_as_imagenet():
    detector = build("us-faster-rcnn")
    grey = detector.normalise(mx.nd.ones((1, 3, 2, 2)) * 0.5).asnumpy()[0, :, 0, 0]
    assert np.allclose(grey, (0.5 - np.array(MEAN)) / np.array(STD), atol=1e-6)


@pytest.mark.parametrize("aggregation", ["channels", "warp"])
@pytest.mark.parametrize("train", [False, True])
def test_what_learns(train, aggregation):
    detector = build("us-flow", flow={"train": train}, aggregation=aggregation)
    detector.aggregation.bn3.gamma.set_data(mx.nd.ones_like(detector.aggregation.bn3.gamma.data()))
    net = training_net(detector, 2)
    with autograd.record():
        outputs = training_outputs(net, mx.nd.array(pair()), [[[10, 10, 40, 44]] * 4] * 2, np.ones((2, 4)))
        (outputs.rpn_scores.square().sum() + outputs.class_scores.square().sum()).backward()
    assert detector.aggregation.conv1.weight.grad().asnumpy().std() > 0
    flow = [p for name, p in detector.collect_learned().items() if name.startswith("flow.")]
    learned = [p for p in flow if p.grad_req != "null"]
    assert bool(learned) == train
    assert all(np.isfinite(p.grad().asnumpy()).all() for p in learned)


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_imagenet_weights_give_gluoncvs_features(model):
    """ResNet-50 v1b of GluonCV with random weights and statistics, at full width, on the same colour image."""
    from gluoncv.model_zoo.resnetv1b import resnet50_v1b

    from gluon_liver.weights.resnet import transfer

    rng = np.random.default_rng(0)
    theirs = resnet50_v1b(pretrained=False)
    theirs.initialize(mx.init.MSRAPrelu(slope=0.0))
    theirs(mx.nd.zeros((1, 3, SIZE, SIZE)))
    for name, parameter in theirs.collect_params().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.0, parameter.shape)))
    weights = {name: p.data().asnumpy() for name, p in theirs._collect_params_with_prefix().items()}
    detector = build(model, width=1.0, batch_norm="frozen")
    report = transfer(weights, detector)
    assert not [entry for entry in report.not_initialised if entry.name.startswith(("backbone.", "block4."))]
    x = mx.nd.array(rng.uniform(0, 1, (1, 3, SIZE, SIZE)))
    found = detector.frame_map(mx.nd, x).asnumpy()
    image = (x.asnumpy() - np.array(MEAN).reshape((3, 1, 1))) / np.array(STD).reshape((3, 1, 1))
    y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(mx.nd.array(image)))))
    expected = theirs.layer3(theirs.layer2(theirs.layer1(y))).asnumpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_flow_may_be_estimated_on_smaller_frames():
    detector = build("us-flow", flow={"shrink": 2})
    frames = [mx.nd.array(frame) for frame in np.moveaxis(pair(), 1, 0)]
    small = [frame.asnumpy().reshape(2, 3, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(3, 5))[:, ::-1] for frame in frames]
    expected = detector.flow(*[mx.nd.array(frame) for frame in small]).asnumpy()
    found = detector.flow_between(mx.nd, *frames).asnumpy()
    assert found.shape == (2, 2, SIZE, SIZE) and np.abs(expected).max() > 1e-3
    # pixels 2k + 1 and 2k + 2 lie a quarter beside the middle of two cells
    middles = (found[..., 1:-1:2] + found[..., 2::2])[:, :, 0] / 2
    assert np.allclose(middles, expected[:, :, 0, :-1] + expected[:, :, 0, 1:], atol=1e-5)
    with pytest.raises(ConfigError, match="flow.shrink is 5"):
        build("us-flow", flow={"shrink": 5})
