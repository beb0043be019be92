"""Training that starts from a run: what is taken, what is not, and that nobody is scored whom the weights have seen."""

import json
import shutil

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import ConfigError, DatasetError, InputError, RunError
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.training.train import train
from gluon_liver.weights.source import Pretrained
from tests.conftest import change_json, us_config, write_dataset

pytestmark = pytest.mark.slow
FIVE = ("cyst", "hemangioma", "hcc", "metastasis", "囊肿")
STILL = {"train.learning_rate": 1e-12, "train.weight_decay": 0.0}


def start(source, dataset, config, out):
    return train(config, dataset, out, steps=1, pretrained=Pretrained(source), progress=True)


def parameters(run):
    saved = mx.nd.load(str(newest_checkpoint(run.checkpoints) / "net.params"))
    return {name: array.asnumpy() for name, array in saved.items()}


def test_three_classes_to_five_make_new_predictors_and_say_so(tiny_run, make_config, tmp_path, capsys):
    dataset = CTDataset.open(write_dataset(tmp_path / "data", patients=6, classes=FIVE))
    run = start(tiny_run.folder, dataset, make_config(**STILL), tmp_path / "run")
    before, after = parameters(tiny_run), parameters(run)
    heads = {name for name in before if name.startswith(("class_predictor", "box_predictor"))}
    assert len(heads) == 4 and after["class_predictor.weight"].shape[0] == 6
    learned = [name for name in before if name not in heads and "running_" not in name]
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in learned)
    said = capsys.readouterr().err
    assert "keep their initial values: 4" in said
    assert "class_predictor made for other classes: cyst, hemangioma, hcc" in said
    record = json.loads((run.folder / "pretrained.json").read_text(encoding="utf-8"))
    assert {entry["name"] for entry in record["not_initialised"]} == heads and len(record["trained_on"]) == 1
    assert record["trained_on"][0]["training_patients"] == tiny_run.environment["training_patients"]
    again = start(run.folder, dataset, make_config(**STILL), tmp_path / "again")
    assert np.allclose(parameters(again)["class_predictor.weight"], after["class_predictor.weight"], atol=1e-6)
    assert len(again.trained_before()) == 2


def test_a_net_of_the_zoo_is_taken_by_its_name(tiny_run, tiny_dataset, make_config, tmp_path, monkeypatch):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "demo-ct"))
    (tmp_path / "demo-ct" / "results.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("GLUON_LIVER_ZOO", str(tmp_path))
    run = start("zoo:demo-ct", tiny_dataset, make_config(**STILL), tmp_path / "run")
    before, after = parameters(tiny_run), parameters(run)
    assert np.allclose(before["class_predictor.weight"], after["class_predictor.weight"], atol=1e-6)


def test_a_head_that_the_run_lacks_keeps_its_values(tiny_run, tiny_dataset, make_config, tmp_path, capsys):
    config = make_config(**{**STILL, "network.texture_head": True})
    start(tiny_run.folder, tiny_dataset, config, tmp_path / "run")
    said = capsys.readouterr().err
    assert "texture  not in the run's network" in said and "class_predictor" not in said.split("initial")[1]


def test_patients_that_trained_the_weights_are_not_scored(tiny_run, tiny_dataset, make_config, tmp_path, capsys):
    other = tmp_path / "data"
    shutil.copytree(str(tiny_dataset.folder), str(other))
    names = [info.patient for info in tiny_dataset.cases]
    change_json(other / "splits.json", train=names[1:], test=names[:1])
    dataset, note = CTDataset.open(other), "trained on some of the test split"
    with pytest.warns(UserWarning, match=note):
        run = start(tiny_run.folder, dataset, make_config(**STILL), tmp_path / "run")
    assert note in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(DatasetError, match="the weights that the run began with are another run's: "):
        evaluate(run, dataset, progress=False)
    assert evaluate(
        start(tiny_run.folder, tiny_dataset, make_config(), tmp_path / "same"), tiny_dataset, settings=ScoreSettings(2)
    )


def test_runs_that_cannot_be_started_from(tiny_run, tiny_dataset, make_config, us_data, tmp_path):
    narrow, group = make_config(**{"network.width": 0.25}), make_config(**{"network.batch_norm": "group"})
    channels = make_config(**{"row": None, "data.slices": 3, "network.slice_fusion": "channels"})
    for source, data, config, error, message in (
        (tmp_path, tiny_dataset, make_config(), RunError, "is not a run folder"),
        (tmp_path / "none", tiny_dataset, make_config(), InputError, "no such file of weights, and no run"),
        (tiny_run.folder, us_data, us_config("us-faster-rcnn"), InputError, "a run of ct-faster-rcnn"),
        (tiny_run.folder, tiny_dataset, narrow, InputError, "take a run of the same network.width, network.depth"),
        (
            tiny_run.folder,
            tiny_dataset,
            channels,
            InputError,
            "conv1.weight is .* network.slice_fusion and, with",
        ),
        (tiny_run.folder, tiny_dataset, group, InputError, "batch_norm is live there and group here"),
    ):
        with pytest.raises(error, match=message):
            start(source, data, config, tmp_path / "run")
    with pytest.raises(ConfigError, match="--pretrained-hu says what the net of a file takes"):
        train(make_config(), tiny_dataset, tmp_path / "run", pretrained=Pretrained(tiny_run.folder, (0.0, 1.0)))
    assert not (tmp_path / "run").exists()
