"""A run as a folder of graphs: what it holds, that it gives the run's detections, and what is refused."""

import hashlib
import json
import os
import re
import shutil
import sys

import mxnet as mx
import numpy as np
import onnx
import pytest

from gluon_liver.commands import main
from gluon_liver.data.open import TASKS, make_loader, open_dataset
from gluon_liver.errors import InputError
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.nn.build import make_detector
from gluon_liver.onnx.manifest import read_manifest
from gluon_liver.onnx.package import export_onnx
from gluon_liver.onnx.session import Session
from gluon_liver.onnx.settings import settings
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.run import Run
from tests.conftest import us_config

ALWAYS = {"README.md", "config.json", "manifest.json", "detector.onnx"}


@pytest.fixture(scope="module")
def ct(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("ct") / "graphs"
    assert main(f"export {tiny_run.folder} --onnx --out {out}".split()) == 0
    return out


@pytest.fixture(scope="module")
def us_run(us_data, tmp_path_factory):
    """A run of us-flow that was not trained."""
    config = us_config()
    run = Run.create(tmp_path_factory.mktemp("us") / "run", config, dataset=us_data)
    detector = make_detector(config, classes=us_data.classes, context=mx.cpu())
    save_checkpoint(run.checkpoints, detector, step=3, epoch=1, config=config)
    return run


@pytest.fixture(scope="module")
def flow(us_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("flow") / "graphs"
    export_onnx(us_run, out)
    return out


def test_what_is_written(ct, flow, tiny_run, us_run):
    for folder, run, more in ((ct, tiny_run, set()), (flow, us_run, {"frame.onnx", "stream.onnx"})):
        assert {path.name for path in folder.iterdir()} >= ALWAYS | more
        manifest = json.loads((folder / "manifest.json").read_text())
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert set(manifest["files"]) == files - {"manifest.json"}
        for name, listed in manifest["files"].items():
            content = (folder / name).read_bytes()
            assert listed == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        checkpoint = newest_checkpoint(run.checkpoints)
        digest = hashlib.sha256((checkpoint / "net.params").read_bytes()).hexdigest()
        assert manifest["checkpoint"]["name"] == checkpoint.name and manifest["checkpoint"]["sha256"] == digest
        assert manifest["opset"] == 17 and manifest["packages"]["mxnet"].startswith("1.9.1")
        graphs = {path.name for path in folder.glob("*.onnx")}
        assert set(manifest["graphs"]) == graphs
        for name in graphs:
            onnx.checker.check_model(onnx.load(str(folder / name)), full_check=True)
            said, session = manifest["graphs"][name], Session(folder / name)
            for ends, shapes in ((said["inputs"], session.inputs), (said["outputs"], session.outputs)):
                assert {one: tuple(end["shape"]) for one, end in ends.items()} == shapes


def test_nothing_says_where_it_was_made(ct, tiny_run):
    text = b"".join(path.read_bytes() for path in ct.rglob("*") if path.is_file())
    for word in (tiny_run.folder, tiny_run.data_folder, os.path.expanduser("~") + os.sep):
        assert str(word).encode() not in text


def test_the_graphs_give_the_run_s_detections(ct, tiny_run):
    dataset = open_dataset(tiny_run.data_folder)
    load = make_loader(tiny_run.config, dataset, cases=dataset.cases_of("test"))
    samples = [load(label) for label in dataset.labels_of("test")]
    image = TASKS["ct"].dataset.network_input(np.stack([one.image for one in samples]))
    expected = SliceDetector.from_run(tiny_run)[0].mxnet.detect([image])
    found = Session(ct / "detector.onnx").run({"image": image})
    assert len(samples) > 1 and np.isfinite(found["check"]).all()
    for number, rows in enumerate(expected):
        assert (rows[:, 0] >= 0).sum() > 1
        assert np.array_equal(found["classes"][number], rows[:, 0])
        np.testing.assert_allclose(found["scores"][number], rows[:, 1], atol=1e-5)
        np.testing.assert_allclose(found["boxes"][number], rows[:, 2:], atol=1e-3)


def test_the_configuration_says_all_that_the_input_needs(make_config):
    keys = {"data.slices": 9, "data.slice_step_mm": 5.0, "data.window": "paper", "data.storage": "jpeg", "row": None}
    config = make_config(**{"network.relation": "full", **keys})
    environment = {"classes": ["cyst"], "phases": ["noncontrast", "arterial", "delayed"]}
    said = settings(config, {**environment, "reference_phase": "arterial"})
    assert said["input"] == {
        "size": 64,
        "phases": ["arterial", "noncontrast", "delayed"],
        "reference_phase": "arterial",
        "modality": "CT",
        "window": {"width": 80.0, "level": 150.0},
        "storage": "jpeg",
        "jpeg_quality": 95,
        "slices": 9,
        "slice_step_mm": 5.0,
        "repeat_reference": False,
        "repeat_centre": False,
        "mean": 0.449,
        "std": 0.226,
    }
    assert said["output"] == {"max_detections": 20, "score_threshold": 0.01, "nms_threshold": 0.3}
    assert said["configuration"] == config.to_dict()
    alone = settings(make_config(), {**environment, "reference_phase": "arterial", "modality": "MRI"})["input"]
    assert (alone["phases"], alone["modality"], alone["jpeg_quality"]) == (["arterial"], "MRI", None)


@pytest.mark.parametrize("control", ["repeat_reference", "repeat_centre"])
def test_the_configuration_says_which_control_a_run_is(make_config, control):
    config = make_config(**{"data.slices": 9, "network.relation": "full", "row": None, f"data.{control}": True})
    said = settings(config, {"classes": ["cyst"], "phases": ["arterial", "delayed"], "reference_phase": "arterial"})
    assert [name for name in ("repeat_reference", "repeat_centre") if said["input"][name]] == [control]
    assert len(said["notes"]) == 1


def test_the_configuration_of_ultrasound_says_which_frames_are_read(flow, us_run):
    said = json.loads((flow / "config.json").read_text())
    trained = us_run.environment
    assert said["classes"] == trained["classes"] and said["input"] == {
        "size": 64,
        "frames": 2,
        "previous_frame": "before",
        "step": trained["step"],
        "frames_per_second": trained["frames_per_second"],
    }
    plain = settings(us_config("us-faster-rcnn"), trained)["input"]
    assert (plain["frames"], plain["previous_frame"], plain["step"]) == (1, None, None)


def test_the_example_in_the_readme_runs(ct, flow, monkeypatch):
    for folder in (ct, flow):
        monkeypatch.chdir(folder)
        (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        names = {}
        exec(code, names)
        assert names["boxes"].shape[-1] == 4 and np.isfinite(names["check"]).all()


def test_a_folder_is_what_its_manifest_says(ct, tmp_path):
    manifest = read_manifest(ct)
    assert manifest.checkpoint.name.startswith("step-") and "detector.onnx" in manifest.files
    copy = tmp_path / "copy"
    shutil.copytree(ct, copy)
    (copy / "config.json").write_text((copy / "config.json").read_text().replace("cyst", "CYST"))  # of the same length
    with pytest.raises(InputError, match=r"config.json is not the file that was exported, its SHA-256 differs: export"):
        read_manifest(copy)
    (copy / "config.json").unlink()
    with pytest.raises(InputError, match=r"config.json cannot be read"):
        read_manifest(copy)
    (copy / "manifest.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match=r"manifest.json: .*checkpoint"):
        read_manifest(copy)
    with pytest.raises(InputError, match=r"it has no manifest.json"):
        read_manifest(tmp_path)


def test_what_is_refused(tiny_run, tmp_path, capsys, monkeypatch):
    def refused(line, *words):
        assert main(f"export {tiny_run.folder} {line}".split()) == 2
        said = capsys.readouterr().err
        assert all(word in said for word in words), said

    (tmp_path / "taken").mkdir()
    refused(f"--onnx --out {tmp_path}/taken", "exists: choose another folder")
    refused(f"--onnx --out {tiny_run.folder}/graphs", "lies inside the folder that is read")
    refused(f"--onnx --out {tmp_path}/new --batch-size 2", "--batch-size is for --legacy")
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(f"--onnx --out {tmp_path}/new", "needs the package onnx,", "pip install 'gluon_liver[onnx]'")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_nothing(tiny_run, tmp_path, full_disk):
    with full_disk(100_000), pytest.raises(InputError, match="--out .*large|full|space"):
        export_onnx(tiny_run, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
