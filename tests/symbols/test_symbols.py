"""Parts of the symbols against plain NumPy and hand-made cases; weights, errors, files."""

import ast
import json
import re
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

import symbols
from symbols.networks.catalogue import network_of
from symbols.parts.initialization import new_weight
from symbols.parts.suppression import suppress
from symbols.parts.targets import IGNORED, box_targets, sample_rois
from symbols.portable import portable_json

from .gluon_side import tiny


def run(function, *options, **arrays):
    """What the symbols of a function of symbols/, called with the arrays and the options in this order, give."""
    symbol = mx.sym.Group(function(*map(mx.sym.Variable, arrays), *options))
    inputs = {name: mx.nd.array(array) for name, array in arrays.items()}
    return [output.asnumpy() for output in symbol.bind(mx.cpu(), inputs, grad_req="null").forward()]


def greedy(scores, boxes, threshold):
    """Rows that non-maximum suppression keeps, by the definition."""
    keep = []
    for row in np.argsort(-scores, kind="stable"):
        overlaps = []
        for other in keep:
            low, high = np.maximum(boxes[row, :2], boxes[other, :2]), np.minimum(boxes[row, 2:], boxes[other, 2:])
            shared = np.prod(np.maximum(high - low, 0))
            areas = [np.prod(boxes[k, 2:] - boxes[k, :2]) for k in (row, other)]
            overlaps.append(shared / (sum(areas) - shared))
        if scores[row] >= 0 and max(overlaps, default=0) <= threshold:
            keep.append(row)
    return keep


def test_suppression_is_greedy_per_image_and_pads():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (2, 60, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 50, (2, 60, 2))], axis=2).astype(np.float32)
    scores = rng.permutation(120).reshape(2, 60).astype(np.float32) / 120
    scores[0, 10:] = -1
    found_scores, found_boxes = run(suppress, 60, 40, 30, 0.3, 2, scores=scores, boxes=boxes)
    assert found_scores.shape == (2, 30) and found_boxes.shape == (2, 30, 4)
    for image in range(2):
        best = np.argsort(-scores[image])[:40]
        keep = best[greedy(scores[image, best], boxes[image, best], 0.3)][:30]
        assert 3 < len(keep) < 30
        assert np.array_equal(found_scores[image, : len(keep)], scores[image, keep])
        assert np.array_equal(found_boxes[image, : len(keep)], boxes[image, keep])  # not decoded and encoded again
        assert (found_scores[image, len(keep) :] == -1).all() and (found_boxes[image, len(keep) :] == -1).all()


def test_a_box_without_an_area_is_no_trouble():
    boxes = np.array([[[0, 0, 10, 10], [-1, -1, -1, -1], [5, 5, 5, 9]]], np.float32)
    scores, found = run(suppress, 3, 3, 3, 0.5, 1, scores=[[0.5, -1, 0.9]], boxes=boxes)
    assert np.allclose(scores, [[0.9, 0.5, -1]]) and np.array_equal(found[0, 1], boxes[0, 0])


HEAD = {"samples": 5, "positive_ratio": 0.4, "positive_iou": 0.5, "max_boxes": 3}
ROIS = np.array([[0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 10], [50, 50, 70, 72], [1, 30, 9, 34]], np.float32)
BOXES = np.array([[0, 0, 10, 10], [50, 50, 70, 70], [-1, -1, -1, -1]], np.float32)


def sampled(head, scores, boxes, labels, keys):
    arrays = dict(scores=scores, rois=ROIS, boxes=boxes, labels=labels, keys=keys)
    arrays = {name: np.array(array)[None] for name, array in arrays.items()}
    return [output[0] for output in run(sample_rois, len(ROIS), head, 1, **arrays)]


def test_of_each_kind_those_with_the_largest_keys_are_drawn():
    scores = [0.9, 0.8, -1, 0.7, 0.6]  # the third is no proposal
    keys = [0.1, 0.2, 0.9, 0.8, 0.3, 0.5, 0.4, 0.99]
    rois, targets, boxes = sampled(HEAD, scores, BOXES, [2, 0, -1], keys)
    # positives by key: ROI 3, box 0, box 1, ROI 0, of which two come first; then both negatives, then a positive
    assert targets.tolist() == [1, 3, 0, 0, 1]
    assert np.array_equal(rois, [ROIS[3], BOXES[0], ROIS[4], ROIS[1], BOXES[1]])
    assert np.array_equal(boxes[[0, 1, 4]], BOXES[[1, 0, 1]])
    _, targets, _ = sampled(dict(HEAD, samples=8, positive_ratio=0.75), scores, BOXES, [2, 0, -1], keys)
    assert targets.tolist() == [1, 3, 1, 3, 0, 0, IGNORED, IGNORED]
    # an image without boxes is background
    rois, targets, _ = sampled(HEAD, np.ones(5), -np.ones((3, 4)), -np.ones(3), np.linspace(0.1, 0.8, 8))
    assert (targets == 0).all() and np.array_equal(rois, ROIS[::-1])


def test_box_targets_by_hand():
    rois, boxes = [[[0, 0, 10, 20], [0, 0, 4, 4], [-1, -1, -1, -1]]], [[[5, 0, 15, 40], [0, 0, 4, 4], [0, 0, 0, 0]]]
    offsets, masks = run(box_targets, 3, rois=rois, boxes=boxes, targets=[[2, 0, -1]])
    assert offsets.shape == (1, 3, 1, 4) and masks.shape == (1, 3, 3, 1)
    # 5 of 10 to the right, 10 of 20 down, as wide, twice as high; over the deviations 0.1, 0.1, 0.2, 0.2
    assert np.allclose(offsets[0, 0, 0], [5, 5, 0, np.log(2) / 0.2])
    assert masks[0, 0, 1] == 1 and masks.sum() == 1 and np.count_nonzero(offsets) == 3


def test_weights_start_as_in_gluon():
    assert (new_weight("backbone.block1.0.bn3.gamma", (4,), 0) == 0).all()
    assert (new_weight("backbone.block1.0.bn1.gamma", (4,), 0) == 1).all()
    assert np.array_equal(new_weight("backbone.block1.6.conv.weight", (3, 3, 1, 1), 0)[:, :, 0, 0], np.eye(3))
    bilinear = mx.nd.zeros((2, 1, 4, 4))
    mx.init.Bilinear()._init_weight("", bilinear)
    assert np.allclose(new_weight("flow.level5.matching.upsample_flow.weight", (2, 1, 4, 4), 0), bilinear.asnumpy())
    he = new_weight("block4.0.conv2.weight", (64, 64, 3, 3), 0)
    assert he.std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not np.array_equal(he, new_weight("block4.0.conv2.weight", (64, 64, 3, 3), 1))
    assert new_weight("rpn.loc.weight", (64, 64, 3, 3), 0).std() == pytest.approx(0.01, rel=0.02)


def test_weights_that_are_there_stay_and_others_are_refused():
    _, plain = tiny("r50")
    network, given, aux = network_of(plain), mx.nd.ones((8, 1, 7, 7, 7)), {}
    args = {"backbone.stem.conv1.weight": given}
    network.init_weights(plain, args, aux)
    assert args["backbone.stem.conv1.weight"] is given
    network.check_shapes(plain, args, aux)
    args.update({"class_predictor.bias": mx.nd.zeros((5,)), "stranger": mx.nd.zeros((1,))})
    del args["box_predictor.bias"]
    with pytest.raises(ValueError, match="(?s)3 parameters.*box_predictor.bias: missing.*class_predictor.*stranger"):
        network.check_shapes(plain, args, aux)


def test_slices_as_channels_start_as_the_one_slice_net():
    _, plain = tiny("r50-2.5d-channels")
    _, alone = tiny("r50")
    started = []
    for config in (plain, alone):
        args = {}
        network_of(config).init_weights(config, args, {}, seed=5)
        started.append(args["backbone.stem.conv1.weight"].asnumpy())
    nine, seven = started
    assert nine.shape == (8, 1, 9, 7, 7) and not np.delete(nine, 4, axis=2).any()
    assert np.allclose(nine[:, :, 4], seven.sum(axis=2), atol=1e-6) and nine.std() > 0.01


def test_a_configuration_of_another_network_is_refused():
    _, plain = tiny("r50")
    other = network_of(tiny("r101-fusion")[1])
    with pytest.raises(ValueError, match="R101Fusion is of"):
        other.get_symbol_test(plain)
    plain["network"]["fusion"] = True
    with pytest.raises(ValueError, match="Table 4"):
        network_of(plain)
    _, reading = tiny("us-flow")
    reading["network"]["batch_norm"] = "group"
    with pytest.raises(ValueError, match="MXNet 1.0 has no GroupNorm"):
        network_of(reading)


@pytest.mark.parametrize("name", ["r101-multimodal", "us-flow"])
def test_symbol_files_hold_nothing_that_mxnet_1_0_refuses(name):
    _, plain = tiny(name)
    for symbol in (network_of(plain).get_symbol_test(plain), network_of(plain).get_symbol_train(plain, 2)):
        text = portable_json(symbol)
        assert not any("infer_range" in node.get("attrs", {}) for node in json.loads(text)["nodes"])
        again = mx.sym.load_json(text)
        assert again.list_arguments() == symbol.list_arguments() and again.list_outputs() == symbol.list_outputs()


@pytest.mark.parametrize("path", sorted(Path(symbols.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_files_are_python_2_too(path):
    """No syntax that 2.7 lacks; it divides as 3 does."""
    text = path.read_text(encoding="ascii")
    assert not re.search(r"^ *\*.*,\n *\)", text, re.MULTILINE)  # f(*a,) is Python 3, and how ruff formats long calls
    tree = ast.parse(text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert path.name == "__init__.py" or "division" in {alias.name for node in imports for alias in node.names}
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.NamedExpr, ast.YieldFrom))
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.kwonlyargs
            assert not any(argument.annotation for argument in node.args.args)
        if isinstance(node, ast.Call):
            stars = [isinstance(argument, ast.Starred) for argument in node.args]
            assert sum(stars) <= 1 and not any(stars[:-1])  # f(*a, b) and f(*a, *b) are Python 3
        if isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, (ast.Load, ast.Store)):
            assert not any(isinstance(element, ast.Starred) for element in node.elts)
        if isinstance(node, ast.Dict):
            assert None not in node.keys
