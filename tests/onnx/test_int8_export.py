"""Exports in int8 and what runs them: calibration never sees a test patient, and graphs are of the run's checkpoint."""

import json
import shutil

import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.choice import EngineChoice
from gluon_liver.onnx.calibration import Calibration
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.run import Run
from tests.runs.test_checkpoint import rewrite_manifest


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "graphs"
    options = "--precision int8 --calibrate train"  # the tiny data have no val split
    assert main(f"export {tiny_run.folder} --onnx {options} --out {out}".split()) == 0
    return out


def test_the_manifest_says_where_ranges_were_seen(exported, tiny_data):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["precision"] == "int8" and manifest["calibration"]["split"] == "train"
    dataset = CTDataset.open(tiny_data)
    assert manifest["calibration"]["images"] == len(dataset.labels_of("train"))
    assert manifest["calibration"]["digests"] == dataset.digests("train")
    assert "no test patient is in it" in manifest["calibration"]["note"]
    assert "int8" in (exported / "README.md").read_text() and "check.npz" in manifest["files"]


def test_calibration_sees_its_split_alone(tiny_run, tiny_data, monkeypatch):
    dataset = CTDataset.open(tiny_data)
    calibration = Calibration(tiny_run, dataset, split="train", images=2)
    train = {label.case for label in dataset.labels_of("train")}
    assert {label.case for label in calibration._labels} <= train and len(calibration._labels) == 2
    with pytest.raises(ValueError, match="not seen in the split test"):
        Calibration(tiny_run, dataset, split="test")
    monkeypatch.setattr(CTDataset, "labels_of", lambda self, split: [])
    with pytest.raises(DatasetError, match="the val split has no image .* --calibrate train"):
        Calibration(tiny_run, dataset)


@pytest.mark.slow
def test_an_evaluation_on_exported_graphs_says_their_precision(exported, tiny_run, tiny_data, tmp_path):
    out, choice = tmp_path / "scored", EngineChoice(str(exported))
    options = dict(settings=ScoreSettings(5), progress=False)
    text, _ = evaluate(tiny_run, CTDataset.open(tiny_data), choice=choice, out=out, **options)
    results = json.loads((out / "results.json").read_text())
    assert results["precision"] == results["engine"]["precision"] == "int8"
    assert results["engine"]["graphs"] == "exported"
    assert "computed in int8 (the graphs of --engine)" in results["data"]["note"]


def test_graphs_of_another_checkpoint_are_refused(exported, tiny_run, tmp_path):
    copy = Run.open(shutil.copytree(str(tiny_run.folder), str(tmp_path / "run")))
    EngineChoice(str(exported)).open(copy)
    checkpoint = newest_checkpoint(copy.checkpoints)
    path = checkpoint / "net.params"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    rewrite_manifest(checkpoint)
    with pytest.raises(InputError, match=f"was exported from {checkpoint.name} .* is another .*: export the run again"):
        EngineChoice(str(exported)).open(copy)


def test_proposals_cannot_be_chosen_of_a_folder():
    EngineChoice("onnx").check_proposals()
    with pytest.raises(InputError, match="--proposals: the graphs of graphs keep as many as the run"):
        EngineChoice("graphs").check_proposals()


@pytest.mark.parametrize(
    "options, said",
    [
        ("--legacy --precision int8", "--precision int8 is for --onnx"),
        ("--onnx --calibrate val", "--calibrate is for --precision int8"),
        ("--onnx --data elsewhere", "--data is for --precision int8"),
        ("--onnx --precision int8 --calibrate test", "invalid choice: 'test'"),
    ],
)
def test_options_that_contradict_each_other(tiny_run, tmp_path, capsys, options, said):
    try:
        code = main(f"export {tiny_run.folder} {options} --out {tmp_path / 'out'}".split())
    except SystemExit as end:
        code = end.code
    assert code == 2 and said in capsys.readouterr().err and not (tmp_path / "out").exists()
