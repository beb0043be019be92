"""Released weights of LiteFlowNet: names, shapes and layout written here from the published files, then converted.

The released files cannot be had here. Names and shapes below are those of the authors' deploy.prototxt and
train.prototxt.template and of the PyTorch port's modules.
"""

from __future__ import annotations

import argparse
import hashlib
import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands.flow import convert as command
from gluon_liver.errors import InputError
from gluon_liver.flow.liteflownet import FIRST_MEAN, SECOND_MEAN, LiteFlowNet
from gluon_liver.flow.released_weights import from_caffe, from_port, load_flow, parameter_shapes
from tests.readers.test_caffe import blob, layer

PYRAMID = [  # level, its convolutions in Caffe: name, shape
    (1, [("conv1", (32, 3, 7, 7))]),
    (2, [("conv2_1", (32, 32, 3, 3)), ("conv2_2", (32, 32, 3, 3)), ("conv2_3", (32, 32, 3, 3))]),
    (3, [("conv3_1", (64, 32, 3, 3)), ("conv3_2", (64, 64, 3, 3))]),
    (4, [("conv4_1", (96, 64, 3, 3)), ("conv4_2", (96, 96, 3, 3))]),
    (5, [("conv5", (128, 96, 3, 3))]),
    (6, [("conv6", (192, 128, 3, 3))]),
]
WORDS = ("", "One", "Two", "Thr", "Fou", "Fiv", "Six")
KERNEL = {2: 7, 3: 5, 4: 5, 5: 3, 6: 3}
REFINED = {2: 130, 3: 130, 4: 194, 5: 258, 6: 386}  # input channels of conv1_D2
GUIDED = {2: 131, 3: 131, 4: 131, 5: 131, 6: 195}  # of conv1_R
REDUCED = {2: 32, 3: 64, 4: 96}  # of F0_128


def tensors():
    """(Caffe layer, port's layers, shape of the weight, has a bias): every layer with weights."""
    found = []
    for level, convolutions in PYRAMID:
        for place, (name, shape) in enumerate(convolutions):
            found.append((name, [f"netFeatures.net{WORDS[level]}.{2 * place}"], shape, True))
    found.append(("F0_F1_64_L2", ["netMatching.0.netFeat.0", "netSubpixel.0.netFeat.0"], (64, 32, 1, 1), True))
    for level, k in KERNEL.items():
        i, count = level - 2, k * k
        for step, module, channels in (("D1", "netMatching", 49), ("D2", "netSubpixel", REFINED[level])):
            main = f"{module}.{i}.netMain"
            found.append((f"conv1_{step}_L{level}", [main + ".0"], (128, channels, 3, 3), True))
            found.append((f"conv2_{step}_L{level}", [main + ".2"], (64, 128, 3, 3), True))
            found.append((f"conv3_{step}_L{level}", [main + ".4"], (32, 64, 3, 3), True))
            last = "scaled_flow_D1_L6" if (step, level) == ("D1", 6) else f"scaled_flow_{step}_res_L{level}"
            found.append((last, [main + ".6"], (2, 32, k, k), True))
        if level < 6:
            name = f"scaled_flow_R_L{level + 1}to{level}"
            found.append((name, [f"netMatching.{i}.netUpflow"], (2, 1, 4, 4), False))
        if level < 4:
            found.append((f"corr_L{level}", [f"netMatching.{i}.netUpcorr"], (49, 1, 4, 4), False))
        module = f"netRegularization.{i}"
        guide = [(128, GUIDED[level]), (128, 128), (64, 128), (64, 64), (32, 64), (32, 32)]
        for place, (out, channels) in enumerate(guide):
            name = f"conv{place + 1}_R_L{level}"
            found.append((name, [f"{module}.netMain.{2 * place}"], (out, channels, 3, 3), True))
        if level < 5:
            found.append((f"F0_128_L{level}", [f"{module}.netFeat.0"], (128, REDUCED[level], 1, 1), True))
            found.append((f"distH_R_L{level}", [f"{module}.netDist.0"], (count, 32, k, 1), True))
            found.append((f"distW_R_L{level}", [f"{module}.netDist.1"], (count, count, 1, k), True))
        else:
            found.append((f"dist_R_L{level}", [f"{module}.netDist.0"], (count, 32, k, k), True))
        for axis in "xy":
            port = f"{module}.netScale{axis.upper()}"
            found.append((f"scaled_flow_R_L{level}_{axis}", [port], (1, count, 1, 1), True))
    return found


@pytest.fixture(scope="module")
def sources():
    """(port's state dict, Caffe's layers) of one network with random weights."""
    generator = np.random.default_rng(0)
    port, caffe = {}, {}
    for name, modules, shape, has_bias in tensors():
        arrays = [generator.normal(size=shape).astype(np.float32) / np.float32(np.prod(shape[1:]) ** 0.5)]
        arrays += [generator.normal(size=shape[:1]).astype(np.float32) * 0.1] if has_bias else []
        caffe[name] = arrays
        for module in modules:
            port.update({f"{module}.{kind}": array for kind, array in zip(("weight", "bias"), arrays)})
    for name, mean in (("img0s_aug", FIRST_MEAN), ("img1s_aug", SECOND_MEAN)):
        colours = np.array(mean, np.float32).reshape(1, 3, 1, 1)
        caffe[name] = [np.full((1, 1, 1, 1), 3001, np.float32), np.zeros((1, 3, 2, 4), np.float32), colours]
    return port, caffe


def test_both_sources_give_one_and_the_same_network(sources):
    port, caffe = sources
    assert len(port) == 212 and sum(array.size for array in port.values()) == 5_381_969
    converted = [from_port(port), from_caffe(caffe)]
    shapes = parameter_shapes(LiteFlowNet())
    for one in converted:
        assert {name: array.shape for name, array in one.arrays.items()} == shapes
        assert set(one.sources) == set(shapes)
    assert same_network(*converted)


def test_some_tensors_by_hand(sources):
    arrays = from_port(sources[0]).arrays
    for ours, theirs in (
        ("features.level4.2.weight", "netFeatures.netFou.2.weight"),
        ("level6.matching.flow.bias", "netMatching.4.netMain.6.bias"),
        ("level5.matching.upsample_flow.weight", "netMatching.3.netUpflow.weight"),
        ("level3.matching.upsample_cost.weight", "netMatching.1.netUpcorr.weight"),
        ("level2.subpixel.decoder.4.weight", "netSubpixel.0.netMain.4.weight"),
        ("level4.regularization.reduce.0.weight", "netRegularization.2.netFeat.0.weight"),
        ("level3.regularization.distance.1.weight", "netRegularization.1.netDist.1.weight"),
        ("level3.regularization.sum_y.weight", "netRegularization.1.netScaleY.weight"),
    ):
        assert np.array_equal(arrays["pyramid." + ours], sources[0][theirs])


def test_the_port_s_file_says_module_where_its_code_says_net(sources):
    renamed = {name.replace("net", "module"): array for name, array in sources[0].items()}
    assert same_network(from_port(renamed), from_port(sources[0]))


def same_network(one, other):
    return all(np.array_equal(one.arrays[name], array) for name, array in other.arrays.items())


WEIGHT, BIAS = "netFeatures.netOne.0.weight", "netSubpixel.0.netFeat.0.bias"
ODD_PORT = [  # a tensor, what it becomes (None: it is missing), what is said
    ("netMatching.1.netUpcorr.weight", None, "netMatching.1.netUpcorr.weight is missing"),
    ("netExtra.weight", np.ones((2, 3)), r"netExtra.weight \(2, 3\) has no counterpart"),
    (WEIGHT, np.ones((32, 1, 7, 7)), WEIGHT + r" is \(32, 1, 7, 7\), wanted is \(32, 3, 7, 7\)"),
    ("netFeatures.netOne.0.bias", np.full(32, np.nan), "netOne.0.bias holds .* not finite"),
    (BIAS, np.ones(64), BIAS + " differ"),
]
ODD_CAFFE = [  # a layer and its blobs
    ("conv5", None, r"conv5\[0\] \(128, 96, 3, 3\), conv5\[1\] \(128,\) is missing"),
    ("img1s_aug", None, r"img1s_aug\[2\] \(1, 3, 1, 1\) is missing"),
    ("fc8", [np.ones((2, 3))], r"fc8\[0\] \(2, 3\) has no counterpart"),
    ("conv1", [np.ones((32, 3, 7, 7)), np.ones(32), np.ones(3)], r"conv1\[2\] \(3,\) has no counterpart"),
    ("corr_L2", [np.ones((1, 49, 4, 4))], r"corr_L2\[0\] is \(1, 49, 4, 4\), wanted is"),
    ("sum_exp_kernel_R_L4", [np.full((1, 25, 1, 1), 2.0)], "not the plain sum"),
]


def test_files_that_do_not_fit(sources):
    for convert_source, source, table in zip((from_port, from_caffe), sources, (ODD_PORT, ODD_CAFFE)):
        for name, value, message in table:
            changed = {key: one for key, one in {**source, name: value}.items() if one is not None}
            with pytest.raises(InputError, match=message):
                convert_source(changed)
    with pytest.raises(InputError, match=r"and 20\d more is missing"):
        from_port({})


def test_names_of_the_testing_network_and_old_shapes(sources):
    """deploy.prototxt calls the sums otherwise, adds sums of the filters and a layer for the size of the image."""
    caffe = {}
    for name, blobs in sources[1].items():
        renamed = name.replace("scaled_flow_R", "scaled_flow0_R") if name.endswith(("_x", "_y")) else name
        caffe[renamed] = [one.reshape((1,) * (4 - one.ndim) + one.shape) for one in blobs]
    for level, k in KERNEL.items():
        caffe[f"sum_exp_kernel_R_L{level}"] = [np.ones((1, k * k, 1, 1)), np.zeros(1)]
    caffe["ScaleMag_flow"] = [np.eye(2).reshape(2, 2, 1, 1), np.zeros(2)]
    assert same_network(from_caffe(caffe), from_caffe(sources[1]))


def test_sums_that_the_file_leaves_out_are_ones(sources):
    found = from_caffe({name: blobs for name, blobs in sources[1].items() if not name.endswith(("_x", "_y"))}).arrays
    sums = {name: array for name, array in found.items() if ".sum_" in name}
    assert len(sums) == 20 and all((array == name.endswith("weight")).all() for name, array in sums.items())


def convert(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_convert_flow_from_both_kinds_of_file(sources, tmp_path):
    port, caffe = sources
    model, state = tmp_path / "liteflownet.caffemodel", tmp_path / "network-default.npz"
    model.write_bytes(b"".join(layer(name, *map(blob, blobs)) for name, blobs in caffe.items()))
    np.savez(state, **port)
    assert convert(model, "--out", tmp_path / "a.params") == 0
    assert convert(state, "--out", tmp_path / "b.params", "--manifest", tmp_path / "about.json") == 0
    manifest = json.loads((tmp_path / "a.json").read_text())
    assert manifest["source"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert manifest["output"]["sha256"] == hashlib.sha256((tmp_path / "a.params").read_bytes()).hexdigest()
    assert manifest["width"] == 1 and manifest["parameters"] == 5_379_863  # 5,379,857 and six mean colours
    assert json.loads((tmp_path / "about.json").read_text())["source"]["kind"] == "PyTorch port"
    images = [mx.nd.array(np.random.default_rng(seed).random((1, 3, 32, 32))) for seed in (0, 1)]
    flows = []
    for name in ("a.params", "b.params"):
        net = LiteFlowNet()
        load_flow(net, tmp_path / name)
        flows.append(net(*images).asnumpy())
    assert np.array_equal(*flows) and np.abs(flows[0]).max() > 1e-3
    assert sorted(path.name for path in tmp_path.iterdir() if "partial" in path.name) == []
    with pytest.raises(InputError, match="a.params exists"):
        convert(model, "--out", tmp_path / "a.params")
    assert convert(model, "--out", tmp_path / "a.params", "--overwrite") == 0


def test_refusals(tmp_path):
    state = tmp_path / "other.npz"
    np.savez(state, weight=np.ones(3, np.float32))
    with pytest.raises(InputError, match="no state dict of LiteFlowNet"):
        convert(state, "--out", tmp_path / "flow.params")
    with pytest.raises(InputError, match="same file"):
        convert(state, "--out", tmp_path / "flow.json")
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]


def test_loading_refuses_other_parameters(tmp_path):
    net = LiteFlowNet(width=0.125)
    net.initialize()
    net.save_parameters(str(tmp_path / "narrow.params"))
    load_flow(net, tmp_path / "narrow.params")
    shorter = LiteFlowNet(width=0.125, last_level=4)
    load_flow(shorter, tmp_path / "narrow.params")  # what a network leaves out may be in the file
    arrays = net._collect_params_with_prefix()
    for name, parameter in shorter._collect_params_with_prefix().items():
        assert np.array_equal(parameter.data().asnumpy(), arrays[name].data().asnumpy())
    mx.nd.save(str(tmp_path / "other.params"), {"weight": mx.nd.ones(2)})
    (tmp_path / "text.params").write_text("no parameters")
    for name, fresh, message in (
        ("narrow", LiteFlowNet(), r"pyramid.features.level1.0.weight of .* is \(8, 3, 7, 7\), wanted is"),
        ("other", net, "is not of LiteFlowNet"),
        ("text", net, "cannot be read as MXNet parameters"),
    ):
        with pytest.raises(InputError, match=message):
            load_flow(fresh, tmp_path / f"{name}.params")
