"""Weights of a run as a safetensors file: PyTorch's names, what stands beside them, and the way back bit for bit."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
import safetensors.numpy

from gluon_liver.commands import main
from gluon_liver.config.load import build_config
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.nn.build import make_detector
from gluon_liver.readers.weights.formats import read_metadata, read_weights
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.run import Run
from gluon_liver.weights.pretrained import load_pretrained
from gluon_liver.weights.safetensors_file import header, metadata_of
from gluon_liver.weights.source import Pretrained
from gluon_liver.weights.torch_names import torch_name
from tests.conftest import TINY, us_config

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "torch_features.py"
TORCH_PYTHON = os.environ.get("TORCH_PYTHON", sys.executable)
FEATURES = """
import importlib.util, json, sys
import numpy as np, torch
spec = importlib.util.spec_from_file_location("torch_features", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
apart = {}
for name in sys.argv[3:]:
    arrays = np.load(f"{sys.argv[2]}/{name}.npz")
    net = module.Features(f"{sys.argv[2]}/{name}.safetensors").eval()
    with torch.no_grad():
        maps = [*net(torch.from_numpy(arrays["x"])), net.layer4(torch.from_numpy(arrays["crop"]))]
    wanted = [arrays[key] for key in ("block1", "block2", "block3", "block4")]
    assert [one.shape for one in wanted] == [tuple(one.shape) for one in maps], name
    apart[name] = max(float(np.abs(a - b.numpy()).max() / np.abs(a).max()) for a, b in zip(wanted, maps))
print(json.dumps(apart))
"""


def ct_config(network=(), **data):
    tree = json.loads(json.dumps(TINY))
    tree["network"].update(network)
    tree["data"].update(data)
    return build_config({**tree, "row": None})


def shaken(config, *, phases=1, classes=("cyst", "hemangioma", "hcc")):
    """A detector all of whose numbers are random, statistics and the gammas that begin as 0 too."""
    mx.random.seed(3)
    detector = make_detector(config, classes=classes, phases=phases, context=mx.cpu())
    rng = np.random.default_rng(5)
    for name, parameter in detector.collect_learned().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif name.endswith(("beta", "running_mean")):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.2, parameter.shape)))
    return detector


def make_run(folder, config, dataset):
    run = Run.create(folder, config, dataset=dataset)
    detector = shaken(config, phases=run.input_phases, classes=dataset.classes)
    save_checkpoint(run.checkpoints, detector, step=3, epoch=1, config=config)
    return run, {name: one.data().asnumpy() for name, one in detector.collect_learned().items()}


@pytest.fixture(scope="module")
def exported(phase_data, tmp_path_factory):
    """A multi-modal net that fuses regions, its numbers, and its file."""
    folder = tmp_path_factory.mktemp("torch")
    rpn = {**TINY["network"]["rpn"], "anchor_sizes": [8, 16, 24, 32]}
    config = ct_config({"relation": "full", "fusion": True, "texture_head": True, "rpn": rpn})
    run, numbers = make_run(folder / "run", config, phase_data)
    assert main(["export", str(run.folder), "--safetensors", "--out", str(folder / "net.safetensors")]) == 0
    return run, numbers, folder / "net.safetensors"


def test_names_are_torchvisions_for_the_resnet_and_ours_for_the_rest():
    for ours, theirs in (
        ("backbone.stem.conv1.weight", "conv1.weight"),
        ("backbone.stem.bn1.gamma", "bn1.weight"),
        ("backbone.block1.0.skip_conv.weight", "layer1.0.downsample.0.weight"),
        ("backbone.block2.0.skip_bn.beta", "layer2.0.downsample.1.bias"),
        ("backbone.block3.22.bn2.running_var", "layer3.22.bn2.running_var"),
        ("backbone.block1.6.conv.weight", "layer1.6.conv.weight"),
        ("block4.2.bn3.running_mean", "layer4.2.bn3.running_mean"),
        ("aggregation.bn1.gamma", "aggregation.bn1.weight"),
        ("rpn.conv1.0.bias", "rpn.conv1.0.bias"),
        ("class_predictor.weight", "class_predictor.weight"),
    ):
        assert torch_name(ours) == theirs


def test_the_file_holds_every_number_and_what_it_is(exported, tmp_path):
    run, numbers, path = exported
    tensors = safetensors.numpy.load_file(str(path))
    assert len(tensors) == len(numbers) and all(np.array_equal(tensors[torch_name(n)], a) for n, a in numbers.items())
    assert {one.dtype for one in tensors.values()} == {np.dtype(np.float32)}
    said = read_metadata(path)
    assert said["model"] == "ct-faster-rcnn" and said["use"].startswith("research use")
    assert json.loads(said["config"]) == json.loads(json.dumps(run.config.to_dict()))
    assert json.loads(said["classes"]) == ["cyst", "hemangioma", "hcc"]
    assert json.loads(said["phases"])[1] == said["reference_phase"] == "arterial"
    checkpoint = json.loads(said["checkpoint"])
    manifest = json.loads((run.checkpoints / checkpoint["name"] / "manifest.json").read_text())
    assert checkpoint["sha256"] == manifest["files"]["net.params"]["sha256"] and checkpoint["step"] == 3
    assert json.loads(said["versions"])["mxnet"] == mx.__version__
    again = tmp_path / "again.safetensors"
    assert main(["export", str(run.folder), "--safetensors", "--out", str(again)]) == 0
    assert again.read_bytes() == path.read_bytes()


def test_what_is_read_back_is_the_same_to_the_bit(exported, us_data, tmp_path):
    run, numbers, path = exported
    dataset = us_data
    config = us_config("us-flow")
    us_run, us_numbers = make_run(tmp_path / "run", config, dataset)
    us_path = tmp_path / "us.safetensors"
    assert main(["export", str(us_run.folder), "--safetensors", "--out", str(us_path)]) == 0
    learned_flow = replace(config, flow=replace(config.flow, train=True))
    for net, source, wanted, phases, classes in (
        (run.config, path, numbers, 3, ("cyst", "hemangioma", "hcc")),
        (learned_flow, us_path, us_numbers, 1, dataset.classes),
    ):
        detector = make_detector(net, classes=classes, phases=phases, context=mx.cpu())
        report, record = load_pretrained(detector, net, Pretrained(source))
        after = {name: one.data().asnumpy() for name, one in detector.collect_learned().items()}
        assert after.keys() == wanted.keys() and all(np.array_equal(after[name], wanted[name]) for name in wanted)
        assert len(report.matched) == len(wanted) and not report.skipped and not report.not_initialised
        assert record["trained_on"][0]["training_patients"] and record["checkpoint"]["step"] == 3
    report, _ = load_pretrained(detector, config, Pretrained(us_path))
    assert {one.why for one in report.not_initialised} == {"of --flow"}


def test_predictors_of_other_classes_and_parts_that_are_not_there_are_told(exported):
    run, numbers, path = exported
    plain = replace(run.config, network=replace(run.config.network, texture_head=False))
    detector = make_detector(plain, classes=("hcc", "cyst"), phases=3, context=mx.cpu())
    report, _ = load_pretrained(detector, plain, Pretrained(path))
    kept = {one.name: one.why for one in report.not_initialised}
    assert {name.split(".")[0] for name in kept} == {"class_predictor", "box_predictor"}
    assert set(kept.values()) == {"made for other classes: cyst, hemangioma, hcc"}
    assert {one.name.split(".")[0] for one in report.skipped} == {"texture"}
    assert ("backbone.block1.0.skip_bn.gamma", "layer1.0.downsample.1.weight", "as is") in report.matched


def test_files_that_do_not_fit_are_refused(exported, us_data, tmp_path):
    run, numbers, path = exported

    standing = make_detector(run.config, classes=("a", "b", "c"), phases=3, context=mx.cpu())

    def refused(message, config=run.config, source=path, error=InputError, **more):
        detector = standing
        if config is not run.config:
            detector = make_detector(config, classes=("a", "b", "c"), phases=3, context=mx.cpu())
        before = detector.collect_learned()["backbone.stem.conv1.weight"].data().asnumpy()
        with pytest.raises(error, match=message):
            load_pretrained(detector, config, Pretrained(source, **more))
        assert np.array_equal(before, detector.collect_learned()["backbone.stem.conv1.weight"].data().asnumpy())

    network = run.config.network
    refused("conv1.weight is .8, 1, 7, 7, 7. there, .16, 1", replace(run.config, network=replace(network, width=0.25)))
    group = replace(run.config, network=replace(network, batch_norm="group"))
    refused("network.batch_norm is live there and group here", group)
    refused("is an export of a run, which takes what ours takes", input_hu=(0.0, 100.0), error=ConfigError)
    refused("is a run of ct-faster-rcnn, the configuration's model is us-flow", us_config())
    tensors = safetensors.numpy.load_file(str(path))
    manifest = {"name": "step-3", "step": 3, "files": {"net.params": {"sha256": "0"}}}
    said = metadata_of(run, manifest)

    def written(tensors=tensors, **changed):
        out = tmp_path / "changed.safetensors"
        body = b"".join(tensors[name].tobytes() for name in sorted(tensors))
        out.write_bytes(header(tensors, {**said, **changed}) + body)
        return out

    refused("its metadata are damaged: classes is not JSON", source=written(classes="['cyst']"))
    refused("metadata: classes: expected", source=written(classes={"a": 1}))
    refused("its configuration cannot be read: .*deepness", source=written(config={"deepness": 3}))
    refused("trained_on.0.*: training_studies", source=written(trained_on=[{"training_patients": ["one"]}]))
    broken = {**tensors, "layer2.0.bn1.bias": np.full_like(tensors["layer2.0.bn1.bias"], np.nan)}
    refused("layer2.0.bn1.bias holds values that are not finite", source=written(broken))
    refused("safetensors finds it damaged", source=Path(_cut(path, tmp_path)))


def _cut(path, folder):
    cut = folder / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-9])
    return cut


def test_commands_that_cannot_be_refuse_and_leave_nothing(exported, tmp_path, capsys):
    run, _, path = exported
    for words, message in (
        (f"--safetensors --out {tmp_path}/net.params", "the name of such a file ends in .safetensors"),
        (f"--safetensors --out {path}", "exists: choose another"),
        (f"--safetensors --out {run.folder}/net.safetensors", "lies inside the folder that is read"),
        (f"--safetensors --legacy --out {tmp_path}/net.safetensors", "not allowed with argument"),
        (f"--safetensors --batch-size 2 --out {tmp_path}/net.safetensors", "--batch-size is for --legacy"),
        (f"--out {tmp_path}/net.safetensors", "one of the arguments --onnx"),
    ):
        try:
            code = main(["export", str(run.folder), *words.split()])
        except SystemExit as stop:
            code = stop.code
        assert code == 2 and message in capsys.readouterr().err, words
    assert not list(tmp_path.iterdir())


NETS = {
    "r50": ct_config(),
    "pools": ct_config(slices=9),
    "centre": ct_config({"slice_fusion": "centre"}, slices=9),
    "centre-seven": ct_config({"slice_fusion": "centre"}, slices=7),
    "channels": ct_config({"slice_fusion": "channels"}, slices=3),
    "flat-stem": ct_config({"stem": "1x7x7", "slice_fusion": "centre"}, slices=7),
    "r101-stride8": ct_config({"depth": 101, "stride": 8}, slices=3),
    "group": ct_config({"batch_norm": "group"}, slices=3),
    "us": us_config("us-faster-rcnn"),
}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """MXNet's features of every net and the file of its weights, for the other side."""
    if subprocess.run([TORCH_PYTHON, "-c", "import safetensors, torch"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"{TORCH_PYTHON} has no torch: TORCH_PYTHON may name one that has")
    folder, rng = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    for name, config in NETS.items():
        detector = shaken(config)
        backbone, data = detector.backbone, config.data
        shape = (2, 3, 64, 64) if name == "us" else (2, 1, data.slices, 64, 64)
        x = mx.nd.array(rng.uniform(0, 1, shape))
        if name == "us":
            block1 = backbone.block1(backbone.stem(detector.normalise(x)))
            maps = [block1, backbone.block2(block1), detector.frame_map(mx.nd, x)]
        else:
            stacks = zip(backbone(x), backbone.slices_out)
            maps = [backbone.collapse(mx.nd, one.reshape((-4, 2, depth, 0, 0, 0)), depth) for one, depth in stacks]
        crop = maps[2][:, :, :3, 1:4]
        arrays = dict(zip(("block1", "block2", "block3"), (one.asnumpy() for one in maps)))
        np.savez(
            folder / f"{name}.npz", x=x.asnumpy(), crop=crop.asnumpy(), block4=detector.block4(crop).asnumpy(), **arrays
        )
        learned = {torch_name(key): one.data().asnumpy() for key, one in detector.collect_learned().items()}
        said = {"gluon_liver": "0", "config": config.to_dict(), "classes": ["a"]}
        body = b"".join(learned[key].tobytes() for key in sorted(learned))
        (folder / f"{name}.safetensors").write_bytes(header(learned, said) + body)
    return folder


def test_the_pytorch_example_gives_the_same_features(features):
    done = subprocess.run([TORCH_PYTHON, "-c", FEATURES, EXAMPLE, features, *NETS], stdout=subprocess.PIPE, check=True)
    apart = json.loads(done.stdout)
    # MXNet's GroupNorm takes the variance of a few cells as a difference of large numbers
    assert set(apart) == set(NETS) and apart.pop("group") < 1e-4 and max(apart.values()) < 1e-5


def test_the_example_is_short():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 150


def test_weights_of_torchvisions_names_without_metadata_are_read_as_a_resnet(exported, tmp_path):
    _, _, path = exported
    tensors = safetensors.numpy.load_file(str(path))
    plain = tmp_path / "resnet.safetensors"
    safetensors.numpy.save_file(tensors, str(plain))
    assert read_metadata(plain) == {} and set(read_weights(plain)) == set(tensors)
