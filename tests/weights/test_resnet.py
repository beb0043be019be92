"""Transfer against GluonCV's own net, against sums by hand, and of weights that do not fit."""

import json

import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo.resnetv1b import resnet50_v1b
from mxnet.gluon import nn

from gluon_liver.errors import InputError
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.weights import resnet as module
from gluon_liver.weights.resnet import transfer

from .weight_source import STAGES_152, gluoncv_detector_names, gluoncv_names, make, sequential_names, source, values

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def narrow():
    return make()


@pytest.fixture(scope="module")
def gluoncv_net():
    rng = np.random.default_rng(0)
    net = resnet50_v1b(pretrained=False)
    net.initialize()
    net(mx.nd.zeros((1, 3, 64, 64)))
    for name, parameter in net.collect_params().items():
        if name.endswith("weight"):
            value = rng.normal(0, np.sqrt(2.0 / np.prod(parameter.shape[1:])), parameter.shape)
        elif name.endswith(("gamma", "running_var")):
            value = rng.uniform(0.5, 1.0, parameter.shape)
        else:
            value = rng.normal(0, 0.1, parameter.shape)
        parameter.set_data(mx.nd.array(value))
    return net


@pytest.mark.parametrize("slices", [1, 9])
def test_inflated_features_are_gluoncvs(gluoncv_net, slices, tmp_path):
    """On a stack that does not change along depth, Block1 to Block4 are layer1 to layer4 on grey repeated to RGB."""
    path = str(tmp_path / "resnet50_v1b.params")
    gluoncv_net.save_parameters(path)
    detector = make(width=1.0, slices=slices)
    norms = [gluoncv_net.bn1, detector.backbone.stem.bn1, nn.BatchNorm()]
    assert {norm._kwargs["eps"] for norm in norms} == {1e-5}
    report = transfer(read_weights(path), detector)
    assert len(report.matched) == 265 and {entry.name for entry in report.skipped} == {"fc.weight", "fc.bias"}

    grey = np.random.default_rng(1).normal(size=(2, 1, 1, 64, 64)).astype(np.float32)
    x = mx.nd.array(np.repeat(grey[:, 0], 3, axis=1))
    for layer in ("conv1", "bn1", "relu", "maxpool"):
        x = getattr(gluoncv_net, layer)(x)
    ours = list(detector.backbone(mx.nd.array(np.repeat(grey, slices, axis=2))))
    ours.append(detector.block4(ours[2]))
    for number, folded in enumerate(ours, start=1):
        x = getattr(gluoncv_net, f"layer{number}")(x)
        expected = x.asnumpy()
        maps = folded.asnumpy().reshape((2, -1) + expected.shape[1:])  # (image, slice, C, H, W)
        assert np.abs(maps - expected[:, None]).max() <= 1e-4 * np.abs(expected).max(), f"Block{number}"
        assert expected.std() > 1e-2


def test_conv1(narrow):
    weights = source()
    report = transfer(weights, narrow)
    conv1 = values(narrow)["backbone.stem.conv1.weight"]
    assert conv1.shape == (8, 1, 7, 7, 7)
    for tap in range(7):
        np.testing.assert_allclose(conv1[:, 0, tap], weights["conv1.weight"].sum(axis=1) / 7, atol=1e-6)
    assert report.matched[0] == ("backbone.stem.conv1.weight", "conv1.weight", "summed over channels, inflated")
    grey = source(conv1=(1, 7, 7))
    assert transfer(grey, narrow).matched[0].how == "inflated"
    conv1 = values(narrow)["backbone.stem.conv1.weight"]
    np.testing.assert_allclose(conv1.sum(axis=2), grey["conv1.weight"], atol=1e-6)
    # three dimensions
    weights = source(conv1=(1, 7, 7, 7))
    assert transfer(weights, narrow).matched[0].how == "as is"
    np.testing.assert_array_equal(values(narrow)["backbone.stem.conv1.weight"], weights["conv1.weight"])
    weights = source(conv1=(3, 3, 7, 7))
    assert transfer(weights, narrow).matched[0].how == "summed over channels, centred in 7 taps"
    conv1 = values(narrow)["backbone.stem.conv1.weight"]
    np.testing.assert_allclose(conv1[:, 0, 2:5], weights["conv1.weight"].sum(axis=1), atol=1e-6)
    assert not conv1[:, :, [0, 1, 5, 6]].any()
    for taps in (4, 9):
        with pytest.raises(InputError, match=f"conv1 has {taps} taps"):
            transfer(source(conv1=(1, taps, 7, 7)), narrow)


def test_conv1_of_one_tap_and_of_slices_as_channels():
    flat, channels = make(stem="1x7x7", slices=9), make(slice_fusion="channels", slices=5)
    two, three = source(conv1=(1, 7, 7)), source(conv1=(3, 3, 7, 7))
    name = "backbone.stem.conv1.weight"
    assert transfer(two, flat).matched[0].how == "as is"
    np.testing.assert_array_equal(values(flat)[name][:, :, 0], two["conv1.weight"])
    assert transfer(two, channels).matched[0].how == "centred in 5 taps"
    found = values(channels)[name]
    np.testing.assert_array_equal(found[:, :, 2], two["conv1.weight"])
    assert found.shape[2] == 5 and not np.delete(found, 2, axis=2).any()
    assert transfer(three, flat).matched[0].how == "summed over channels, summed over depth"
    np.testing.assert_allclose(values(flat)[name][:, 0, 0], three["conv1.weight"].sum(axis=(1, 2)), atol=1e-6)
    assert transfer(three, channels).matched[0].how == "summed over channels, centred in 5 taps"
    np.testing.assert_allclose(values(channels)[name][:, 0, 1:4], three["conv1.weight"].sum(axis=1), atol=1e-6)


def test_blocks_of_three_dimensions_are_summed_over_depth(narrow):
    weights = source(conv1=(1, 7, 7, 7), depths=(1, 3))
    how = {match.ours: match.how for match in transfer(weights, narrow).matched}
    found = values(narrow)
    for ours, theirs in (("backbone.block2.1.", "layer2.1."), ("block4.0.", "layer4.0.")):
        assert how[ours + "conv2.weight"] == "summed over depth" and how[ours + "conv1.weight"] == "as is"
        expected = sum(weights[theirs + "conv2.weight"][:, :, tap] for tap in range(3))
        np.testing.assert_allclose(found[ours + "conv2.weight"], expected, atol=1e-6)
        np.testing.assert_array_equal(found[ours + "conv1.weight"], weights[theirs + "conv1.weight"][:, :, 0])


def test_every_parameter_gets_its_own(narrow):
    weights = source()
    report = transfer(weights, narrow)
    found = values(narrow)
    pairs = {
        "backbone.stem.bn1.running_var": "bn1.running_var",
        "backbone.block1.0.skip_bn.gamma": "layer1.0.downsample.1.weight",
        "backbone.block3.5.bn3.beta": "layer3.5.bn3.bias",
        "backbone.block2.0.skip_conv.weight": "layer2.0.downsample.0.weight",
        "block4.2.bn2.running_mean": "layer4.2.bn2.running_mean",
        "block4.1.conv3.weight": "layer4.1.conv3.weight",
    }
    matched = {match.ours: match.theirs for match in report.matched}
    assert pairs.items() <= matched.items()
    for ours, theirs in pairs.items():
        np.testing.assert_array_equal(found[ours], weights[theirs])
    parts = ("backbone.", "block4.")
    assert set(matched) == {name for name in found if name.startswith(parts)}
    assert {entry.name for entry in report.not_initialised} == {name for name in found if not name.startswith(parts)}
    assert {entry.why for entry in report.not_initialised} == {"the detector's own layer"}


RENAMINGS = [gluoncv_names, sequential_names, gluoncv_detector_names, lambda name: "encode_image.i3_resnet." + name]
RENAMINGS += [lambda name: "backbone." + sequential_names(name), lambda name: name.replace("downsample", "shortcut")]


@pytest.mark.parametrize("rename", RENAMINGS)
def test_other_names_and_prefixes(narrow, rename):
    weights = source()
    transfer(weights, narrow)
    expected = values(narrow)
    transfer(source(seed=1), narrow)
    renamed = {rename(name): value for name, value in weights.items()}
    report = transfer(dict(renamed, **{"neck.0.weight": np.ones(3)}), narrow)
    assert len(report.matched) == 265
    for name, value in values(narrow).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_depth_101_takes_the_first_bottlenecks_and_lists_the_rest():
    detector = make(depth=101)
    weights = source(stages=STAGES_152)
    report = transfer(weights, detector)
    theirs = {".".join(match.theirs.split(".")[:2]) for match in report.matched if "layer" in match.theirs}
    assert theirs == {f"layer{stage}.{unit}" for stage, count in enumerate((3, 8, 12, 3), 1) for unit in range(count)}

    kept = [entry for entry in report.not_initialised if entry.name.startswith(("backbone.block", "block4."))]
    names = {why: [name.replace("backbone.", "") for name in names] for why, names in by_reason(kept).items()}
    units = {why: {name.rsplit(".", 2)[0] for name in several} for why, several in names.items()}
    assert units == {
        "bottleneck that the file lacks": {f"{block}.{unit}" for block in ("block1", "block4") for unit in (3, 4, 5)},
        "transition layer": {"block1.6", "block2.8", "block3.12", "block4.6"},
    }
    assert set(by_reason(report.skipped)) == {"block3 has 12 bottlenecks", module.COUNTER, module.OUTSIDE}
    # a bottleneck that keeps its initial values passes its skip on
    assert not values(detector)["backbone.block1.3.bn3.gamma"].any()


def by_reason(entries):
    return {reason: [name for name, why in entries if why == reason] for reason in {entry.why for entry in entries}}


def test_source_input_is_taken_up_by_the_stem():
    """conv1 and bn1 with (scale, shift) on x are those without on scale * x + shift, where no padding is seen."""
    scale, shift = 0.226, 0.449
    weights = source()
    x = np.random.default_rng(2).normal(size=(1, 1, 15, 64, 64)).astype(np.float32)
    maps = []
    for given, stack in (((1.0, 0.0), scale * x + shift), ((scale, shift), x)):
        detector = make(slices=15)
        transfer(weights, detector, source_input=given)
        found = {name: mx.nd.array(value) for name, value in values(detector).items()}
        options = dict(no_bias=True, kernel=(7, 7, 7), stride=(2, 2, 2), num_filter=8)
        y = mx.nd.Convolution(mx.nd.array(stack), found["backbone.stem.conv1.weight"], **options).asnumpy()
        mean, variance = (found["backbone.stem.bn1.running_" + name].asnumpy() for name in ("mean", "var"))
        maps.append((y - mean.reshape(1, 8, 1, 1, 1)) / np.sqrt(variance).reshape(1, 8, 1, 1, 1))
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-4)
    assert maps[0].std() > 0.1


def without(*endings):
    return lambda: {name: value for name, value in source().items() if not name.endswith(endings)}


def changed(name, shape, value=1.0):
    return lambda: dict(source(), **{name: np.full(shape, value, np.float32)})


V1 = {"features.0.weight": np.ones((64, 3, 7, 7)), "features.4.0.body.0.weight": np.ones((64, 64, 1, 1))}
REFUSED = {
    "basic blocks": (without("conv3.weight"), r"layer1\.0.*nothing fits block1\.0\.conv3"),
    "VGG": (lambda: {"features.0.weight": np.ones((64, 3, 3, 3))}, r"features\.0\.weight \(64, 3, 3, 3\); wanted"),
    "GluonCV v1": (lambda: V1, r"features\.0\.weight \(64, 3, 7, 7\); wanted"),
    "deep stem": (changed("conv1.0.weight", (32, 3, 3, 3)), r"conv1\.0\.weight \(32, 3, 3, 3\) has no counterpart"),
    "small stem": (changed("conv1.weight", (8, 3, 3, 3)), r"conv1\.weight is \(8, 3, 3, 3\).*\(8, 1, 7, 7, 7\)"),
    "nine channels": (changed("conv1.weight", (8, 9, 7, 7)), r"conv1 is \(8, 9, 7, 7\)"),
    "biases": (changed("layer2.1.conv1.bias", 8), r"layer2\.1\.conv1\.bias \(8,\) has no counterpart"),
    "squeeze and excitation": (changed("layer1.0.se.fc1.weight", (2, 8)), r"layer1\.0\.se\.fc1\.weight \(2, 8\)"),
    "group normalisation": (without("running_mean", "running_var"), r"fits stem\.bn1\.running_mean"),
    "half a BatchNorm": (without("3.2.bn2.running_var"), r"nothing fits block3\.2\.bn2\.running_var"),
    "grouped": (changed("layer1.0.conv2.weight", (8, 2, 3, 3)), r"layer1\.0\.conv2\.weight is \(8, 2, 3, 3\)"),
    "wider": (lambda: source(width=0.25), r"conv1\.weight is \(16, 3, 7, 7\).*\(8, 1, 7, 7, 7\); cropping"),
    "not finite": (changed("layer4.1.bn1.bias", 64, np.nan), r"layer4\.1\.bn1\.bias holds values that are not finite"),
    "two nets": (lambda: {q + name: value for q in ("q.", "k.") for name, value in source().items()}, "'k.' and 'q.'"),
    "nothing": (dict, "no weights"),
}


@pytest.mark.parametrize("weights, message", list(REFUSED.values()), ids=list(REFUSED))
def test_weights_that_do_not_fit_change_nothing(narrow, weights, message):
    transfer(source(seed=5), narrow)
    before = values(narrow)
    with pytest.raises(InputError, match=message):
        transfer(weights(), narrow)
    for name, value in values(narrow).items():
        np.testing.assert_array_equal(value, before[name])


def test_crop_takes_the_first_channels(narrow):
    weights = source(width=0.25)
    report = transfer(weights, narrow, crop=True)
    found = values(narrow)
    how = {match.ours: match.how for match in report.matched}
    np.testing.assert_array_equal(found["backbone.block2.0.conv2.weight"], weights["layer2.0.conv2.weight"][:16, :16])
    np.testing.assert_array_equal(found["backbone.block1.1.bn3.gamma"], weights["layer1.1.bn3.weight"][:32])
    conv1 = found["backbone.stem.conv1.weight"]
    np.testing.assert_allclose(conv1[:, 0, 3], weights["conv1.weight"][:8].sum(axis=1) / 7, atol=1e-6)
    assert how["backbone.block2.0.conv2.weight"] == "cropped from (32, 32, 3, 3)"
    assert how["backbone.stem.conv1.weight"] == "summed over channels, inflated, cropped from (16, 3, 7, 7)"
    with pytest.raises(InputError, match="layer1.0.conv1.weight"):  # a net that is narrower than ours
        transfer(dict(weights, **{"layer1.0.conv1.weight": np.ones((4, 8, 1, 1))}), narrow, crop=True)


def test_report(narrow):
    report = transfer(source(stages=STAGES_152), narrow)
    text = report.text()
    lines = text.splitlines()
    assert len(lines) < 40 and lines[0] == "transferred: 265 of 275 parameters"
    # 4 bottlenecks of 3 + 12, and 1 + 4 for the skip of the first
    assert [line.split() for line in lines if "block2 " in line][0] == ["65", "block2", "as", "is"]
    assert "4 bottlenecks" in text and "fc.*" in text and "own layer" in text
    tree = json.loads(json.dumps(report.to_dict()))
    how = "summed over channels, inflated"
    assert tree["matched"][0] == dict(ours="backbone.stem.conv1.weight", theirs="conv1.weight", how=how)
    assert len(tree["matched"]) == 265 and {"name", "why"} == set(tree["skipped"][0]) == set(tree["not_initialised"][0])
