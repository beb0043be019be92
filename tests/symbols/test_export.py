"""Runs to Module checkpoints and back: the same parameters to the byte, the same detections; what is refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import build_config
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.open import TASKS, make_loader
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.run_note import run_note
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.run import Run
from symbols.predict import load_module, predict
from symbols.predict import main as predict_file
from tests.conftest import TINY, write_dataset

from .gluon_side import seeded_network
from .test_legacy import LEGACY_PYTHON
from .test_module_refusals import UNUSABLE, changed, renamed

pytestmark = pytest.mark.slow

FILES = "README.md SHA256SUMS config.json detector-0000.params detector-symbol.json predict.py".split()
RESAVE = """
import sys
import mxnet as mx
symbol, args, aux = mx.model.load_checkpoint(sys.argv[1], 0)
module = mx.mod.Module(symbol, data_names=[n for n in symbol.list_arguments() if n not in args], label_names=None)
module.bind([(name, eval(symbol.attr_dict()[name]["__shape__"])) for name in module.data_names], for_training=False)
module.set_params(args, aux)
module.save_checkpoint(sys.argv[2], 7)
"""


def run(command):
    assert main(command.split()) == 0


def refused(capsys, command, *messages):
    """A command ends with 2, and its standard error, which is returned, holds the messages."""
    capsys.readouterr()
    code = main(command.split())
    error = capsys.readouterr().err
    assert code == 2 and all(message in error for message in messages), (command, error)
    return error


@pytest.fixture(scope="module")
def phases_run(tmp_path_factory):
    """An untrained run of R-101 multi-modal with frozen seeded weights, on data that lack a phase of a study."""
    folder = tmp_path_factory.mktemp("multi")
    data = write_dataset(folder / "data", phases=("noncontrast", "arterial", "delayed"))
    dataset = CTDataset.open(str(data))
    config, _, detector, _ = seeded_network("r101-multimodal", "data.storage=raw", "network.roi_mode=align")
    made = Run.create(folder / "run", config, dataset=dataset)
    save_checkpoint(made.checkpoints, detector, step=3, epoch=1, config=config)
    return made, dataset


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "out"
    run(f"export {tiny_run.folder} --legacy --out {out} --batch-size 2")
    return out


@pytest.fixture
def to_import(exported, tiny_run, tmp_path):
    """The command, and a copy of the parameters to be broken: name -> NDArray."""
    params = mx.nd.load(str(exported / "detector-0000.params"))
    options = f"--config {exported}/config.json --data {tiny_run.data_folder} --out {tmp_path}/new"
    return f"import-legacy {tmp_path}/broken {options}", params


def network_inputs(made, dataset):
    """What the network sees of the test patients' labelled slices."""
    load = make_loader(made.config, dataset, cases=dataset.cases_of("test"))
    samples = [load(label) for label in dataset.labels_of("test")]
    inputs = {"data": TASKS[made.config.task].dataset.network_input(np.stack([sample.image for sample in samples]))}
    if made.config.network.multi_modal:
        inputs["present"] = np.stack([sample.present for sample in samples]).astype(np.float32)
    return inputs


def gluon_rows(made, inputs):
    net = SliceDetector.from_run(made)[0].mxnet.net
    return net(*[mx.nd.array(inputs[name]) for name in ("data", "present") if name in inputs])[0].asnumpy()


def same_parameters(*folders):
    """Whether two runs' newest checkpoints hold the same to the byte."""
    one, other = ((newest_checkpoint(folder / "checkpoints") / "net.params").read_bytes() for folder in folders)
    return one == other


def same_rows(found, wanted):
    """Rows (n, K, 6) in their order; scores of this data are apart by more than the last digits."""
    assert (wanted[..., 0] >= 0).sum() > 3
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_is_written(exported, tiny_run):
    assert sorted(path.name for path in exported.iterdir()) == FILES
    sums = dict(reversed(line.split("  ")) for line in (exported / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == [name for name in FILES if name != "SHA256SUMS"]
    for name, digest in sums.items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == digest
    config = json.loads((exported / "config.json").read_text())
    assert config["classes"] == ["cyst", "hemangioma", "hcc"] and config["phases"] == ["arterial"]
    assert build_config({key: config[key] for key in config if key not in ("classes", "phases")}) == tiny_run.config
    readme = (exported / "README.md").read_text()
    assert newest_checkpoint(tiny_run.checkpoints).name in readme and "`data` (2, 1, 1, 1, 64, 64)" in readme
    nodes = json.loads((exported / "detector-symbol.json").read_text())["nodes"]
    attributes = [node.get("attrs", {}) for node in nodes if node["op"] in ("_arange", "Pooling")]
    assert not any("infer_range" in one or "layout" in one for one in attributes)


def test_a_module_detects_what_the_run_detects(exported, tiny_run, tiny_data):
    inputs = network_inputs(tiny_run, CTDataset.open(str(tiny_data)))
    found = predict(load_module(str(exported / "detector")), inputs)  # three images in batches of two
    same_rows(found["detections"], gluon_rows(tiny_run, inputs))
    assert found["check"].shape == (3,) and np.isfinite(found["check"]).all()


def test_inputs_that_predict_refuses(exported, tiny_run, tiny_data, phases_run, tmp_path):
    inputs = network_inputs(tiny_run, CTDataset.open(str(tiny_data)))
    module = load_module(str(exported / "detector"))
    for given, message in (
        (dict(inputs, date=inputs["data"]), "input date is unknown: the network takes data"),
        ({"data": inputs["data"] * np.nan}, "input data holds values that are not finite"),
        ({"data": np.zeros((3, 1), np.float32)}, r"input data is \(3, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            predict(module, given)
    np.savez(str(tmp_path / "in.npz"), **inputs)
    shutil.copytree(str(exported), str(tmp_path / "huge"))
    params = mx.nd.load(str(exported / "detector-0000.params"))
    params = changed(params, "arg:class_predictor.weight", lambda a: a * 1e38)
    mx.nd.save(str(tmp_path / "huge" / "detector-0000.params"), params)
    with pytest.raises(ValueError, match="the scores of image 0 are not finite"):
        predict_file(str(tmp_path / "huge" / "detector"), str(tmp_path / "in.npz"), str(tmp_path / "out.npz"))
    made, dataset = phases_run
    run(f"export {made.folder} --legacy --out {tmp_path}/out")
    inputs = network_inputs(made, dataset)
    with pytest.raises(ValueError, match="different numbers of images: data of 3, present of 2"):
        predict(load_module(str(tmp_path / "out" / "detector")), dict(inputs, present=inputs["present"][:2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["huge", "in.npz", "out"]


def test_there_and_back_and_on(exported, tiny_run, tiny_data, tmp_path):
    dataset, out = CTDataset.open(str(tiny_data)), tmp_path / "back"
    run(f"import-legacy {exported}/detector --data {tiny_data} --out {out}")
    back = Run.open(out)
    assert back.config == tiny_run.config
    for name in ("classes", "phases", "reference_phase", "training_patients", "training_studies"):
        assert back.environment[name] == tiny_run.environment[name]
    assert same_parameters(out, tiny_run.folder)
    inputs = network_inputs(back, dataset)
    assert np.array_equal(gluon_rows(back, inputs), gluon_rows(tiny_run, inputs))
    texts = [evaluate(one, dataset, settings=ScoreSettings(10), progress=False)[0] for one in (back, tiny_run)]
    assert "the weights were imported" in texts[0] and "unfinished" not in texts[0]
    results = [json.loads((one.folder / "results.json").read_text()) for one in (back, tiny_run)]
    assert results[0]["summary"] == results[1]["summary"]
    # training goes on from imported weights
    before = mx.nd.load(str(newest_checkpoint(out / "checkpoints") / "net.params"))
    run(f"train --config {out}/config.yaml --data {tiny_data} --out {out} --resume auto --steps 1")
    after = mx.nd.load(str(newest_checkpoint(out / "checkpoints") / "net.params"))
    learned = [name for name in before if ".running_" not in name]
    moved = max(float(np.abs(after[name].asnumpy() - before[name].asnumpy()).max()) for name in learned)
    assert 0 < moved < 0.0011  # one step of Adam moves a parameter by its rate at most: 0.0005 for each of two images


def test_phases_and_frozen_statistics_there_and_back(phases_run, tmp_path, capsys):
    made, dataset = phases_run
    run(f"export {made.folder} --legacy --out {tmp_path}/out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["phases"] == ["arterial", "noncontrast", "delayed"]
    inputs = network_inputs(made, dataset)
    assert inputs["present"].min() == 0
    found = predict(load_module(str(tmp_path / "out" / "detector")), inputs)
    same_rows(found["detections"], gluon_rows(made, inputs))
    command = f"import-legacy {tmp_path}/out/detector"
    run(f"{command} --data {dataset.folder} --out {tmp_path}/back")
    assert same_parameters(tmp_path / "back", made.folder)
    other = write_dataset(tmp_path / "other", phases=("arterial", "noncontrast", "delayed", "portal"))
    message = "made for the phases ['arterial', 'noncontrast', 'delayed']"
    refused(capsys, f"{command} --data {other} --out {tmp_path}/new", message)
    assert not (tmp_path / "new").exists()


def test_a_control_says_so_in_its_export(us_data, tmp_path):
    """No flow, every frame its own previous one, and in the network the aggregation that follows the flow."""
    changes = ("flow.estimate=zero", "data.previous_frame=current", "network.aggregation=warp")
    config, _, detector, _ = seeded_network("us-flow", *changes, "network.roi_mode=align")
    made = Run.create(tmp_path / "run", config, dataset=us_data)
    save_checkpoint(made.checkpoints, detector, step=3, epoch=1, config=config)
    run(f"export {made.folder} --legacy --out {tmp_path}/out")
    inputs = network_inputs(made, us_data)
    assert np.array_equal(inputs["data"][:, 0], inputs["data"][:, 1])
    same_rows(predict(load_module(str(tmp_path / "out" / "detector")), inputs)["detections"], gluon_rows(made, inputs))
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "**Note**: control experiment: no motion is estimated" in readme
    run(f"import-legacy {tmp_path}/out/detector --data {us_data.folder} --out {tmp_path}/back")
    assert same_parameters(tmp_path / "back", made.folder)
    assert "(data.previous_frame)" in run_note(Run.open(tmp_path / "back"), us_data, "test")


@pytest.mark.skipif(not LEGACY_PYTHON, reason="LEGACY_PYTHON names no Python 2.7 with mxnet 1.0.0")
@pytest.mark.parametrize("which", ["tiny", "phases"])
def test_mxnet_1_0_detects_the_same_and_its_checkpoint_comes_back(which, tiny_run, tiny_data, phases_run, tmp_path):
    made, dataset = (tiny_run, CTDataset.open(str(tiny_data))) if which == "tiny" else phases_run
    out, inputs = tmp_path / "out", network_inputs(made, dataset)
    run(f"export {made.folder} --legacy --out {out} --batch-size 2")
    np.savez(str(out / "in.npz"), **inputs)
    for words in (["predict.py", "detector", "in.npz", "out.npz"], ["-c", RESAVE, "detector", "later"]):
        environment = {"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
        command = [os.path.abspath(LEGACY_PYTHON), *words]
        subprocess.run(command, cwd=str(out), check=True, capture_output=True, env=environment)
    same_rows(np.load(str(out / "out.npz"))["detections"], gluon_rows(made, inputs))
    back = tmp_path / "back"
    run(f"import-legacy {out}/later --epoch 7 --data {dataset.folder} --out {back}")
    assert same_parameters(back, made.folder)


def test_exports_that_are_refused(tiny_run, tmp_path, capsys):
    folder = tiny_run.folder
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(folder), "--out", f"{tmp_path}/new"])
    assert "one of the arguments --onnx" in capsys.readouterr().err
    for words, message in (
        (f"{folder} --legacy --out {tmp_path}/new --batch-size 0", "--batch-size 0"),
        (f"{tmp_path}/nowhere --legacy --out {tmp_path}/new", "no run folder"),
        (f"{folder} --legacy --out {tmp_path}", "exists: choose another folder"),
        (f"{folder} --legacy --out {folder}/new", "lies inside"),
        (f"{folder} --legacy --out {folder}/a/new", "lies inside"),
    ):
        refused(capsys, f"export {words}", message)
    assert list(tmp_path.iterdir()) == [] and not {"a", "new"} & {path.name for path in folder.iterdir()}


def test_a_damaged_checkpoint_or_a_network_of_no_row_is_not_exported(phases_run, tmp_path, capsys):
    _, dataset = phases_run
    config, _, detector, _ = seeded_network("r101-multimodal", "row=null", "network.fusion=false", "data.storage=raw")
    other = Run.create(tmp_path / "run", config, dataset=dataset)
    path = save_checkpoint(other.checkpoints, detector, step=1, epoch=1, config=config)
    command = f"export {other.folder} --legacy --out {tmp_path}/new"
    refused(capsys, command, "symbols/ cannot compute", "(101, True, False, True)")
    content = bytearray((path / "net.params").read_bytes())
    content[1000] ^= 1
    (path / "net.params").write_bytes(content)
    refused(capsys, command, "net.params is damaged")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_nothing(tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mx.nd, "save", lambda path, arrays: open(path, "wb").close())
    refused(capsys, f"export {tiny_run.folder} --legacy --out {tmp_path}/new", "is the disk full")
    assert not list(tmp_path.iterdir())


BIAS, VARIANCE = "rpn.score.bias", "backbone.stem.bn1.running_var"
BAD_PARAMETERS = dict(
    UNUSABLE,
    missing=(lambda p: {k: v for k, v in p.items() if k != f"arg:{BIAS}"}, rf"arg:{BIAS} \(6,\) is missing"),
    unknown=(lambda p: dict(p, **{"arg:fc1_weight": mx.nd.ones((2,))}), r"arg:fc1_weight \(2,\) is unknown"),
    shape=(lambda p: changed(p, "arg:class_predictor.bias", lambda a: a[:3]), r"of another shape, wanted \(4,\)"),
    auxiliary=(lambda p: renamed(p, f"aux:{VARIANCE}", f"arg:{VARIANCE}"), rf"aux:{VARIANCE} \(8,\) is missing"),
    anchors=(lambda p: changed(p, "arg:rpn.anchors", lambda a: a * 1.5), "the constant rpn.anchors differs"),
)


@pytest.mark.parametrize("kind", BAD_PARAMETERS)
def test_parameters_that_do_not_fit_are_refused(kind, to_import, tmp_path, capsys):
    command, params = to_import
    change, message = BAD_PARAMETERS[kind]
    mx.nd.save(str(tmp_path / "broken-0000.params"), change(params))
    assert re.search(message, refused(capsys, command, "broken-0000.params"))
    assert [path.name for path in tmp_path.iterdir()] == ["broken-0000.params"]


def test_files_that_are_no_parameters_are_refused(to_import, tmp_path, capsys):
    command, params = to_import
    path = tmp_path / "broken-0000.params"
    refused(capsys, command, "broken-0000.params is not there", "--epoch 7")
    path.write_bytes(b"PK\x03\x04 an archive")
    refused(capsys, command, "is no parameter file of MXNet")
    mx.nd.save(str(path), params)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(capsys, command, "damaged or cut")
    with mx.util.np_shape(True):
        mx.nd.save(str(path), params)
    refused(capsys, command, "saved in NumPy mode, which MXNet 1.0 cannot read")
    assert [path.name for path in tmp_path.iterdir()] == ["broken-0000.params"]


def test_options_that_do_not_go_together(to_import, exported, tiny_run, tmp_path, capsys):
    command, params = to_import
    mx.nd.save(str(tmp_path / "broken-0000.params"), params)
    deep = exported.parent / "deep.json"
    deep.write_text("[" * 10**6)
    for option, message in (
        ("--epoch -1", "--epoch -1"),
        ("--set train.epochs=5", "a config.json says all of it"),
        (f"--config {tmp_path}/none.json", "say with --config"),
        (f"--config {exported}/detector-symbol.json", "unknown key"),
        (f"--config {deep}", "nested too deeply; say with --config"),
        ("--config us-faster-rcnn", "holds CT data"),
        ("--config demo-ct", "does not fit the configuration's network"),
        (f"--out {exported}", "not an empty folder"),
        (f"--data {tmp_path}", "no dataset.json"),
    ):
        refused(capsys, f"{command} {option}", message)
        assert [path.name for path in tmp_path.iterdir()] == ["broken-0000.params"]
    # the configuration by name instead: everything that the file holds must be its
    (tmp_path / "tiny.yaml").write_text(json.dumps(TINY))
    run(f"{command} --config {tmp_path}/tiny.yaml --set train.epochs=5")
    assert Run.open(tmp_path / "new").config.train.epochs == 5
