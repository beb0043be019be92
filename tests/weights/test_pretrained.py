"""Training that starts from a file of weights."""

import json

import mxnet as mx
import numpy as np
import pytest
from gluoncv.model_zoo.resnetv1b import resnet50_v1b

from gluon_liver.commands import run_command
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.runs.checkpoint import read_parameters
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.training.train import train
from gluon_liver.training.trainer import DetectorTrainer
from gluon_liver.weights.pretrained import _source_input
from gluon_liver.weights.source import Pretrained
from tests.conftest import write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """GluonCV's ResNet-50 with random weights, as its save_parameters leaves it."""
    net = resnet50_v1b(pretrained=False, classes=2)
    net.initialize(mx.init.Normal(0.05))
    net(mx.nd.zeros((1, 3, 32, 32)))
    path = tmp_path_factory.mktemp("weights") / "resnet50.params"
    net.save_parameters(str(path))
    return path


def test_a_run_starts_from_the_file_and_records_it(tiny_dataset, make_config, tmp_path, weights, capsys):
    config = make_config(**{"train.learning_rate": 1e-12, "train.weight_decay": 0.0})
    run = train(config, tiny_dataset, tmp_path / "run", steps=1, pretrained=Pretrained(weights))
    saved = read_weights(weights)["layer2.1.conv2.weight"]
    _, learned = read_parameters(chosen_checkpoint(run))
    ours = learned["backbone.block2.1.conv2.weight"].asnumpy()
    assert np.allclose(ours, saved[:16, :16], atol=1e-6)  # an eighth of the width
    record = json.loads((run.folder / "pretrained.json").read_text())
    assert record["cropped"] and len(record["sha256"]) == 64 and len(record["matched"]) > 200
    assert "transferred: " in capsys.readouterr().err
    assert str(weights) not in (run.folder / "pretrained.json").read_text()


def test_bad_weights_leave_nothing(tiny_data, tiny_dataset, make_config, tmp_path, weights, capsys):
    frozen = make_config(**{"network.batch_norm": "frozen"})
    with pytest.raises(ConfigError, match="network.batch_norm is 'frozen' with network.width 0.125"):
        train(frozen, tiny_dataset, tmp_path / "run", pretrained=Pretrained(weights), progress=False)
    stages, group = make_config(**{"network.frozen_stages": 2}), make_config(**{"network.batch_norm": "group"})
    with pytest.raises(ConfigError, match="network.frozen_stages is 2 with network.width 0.125.*it must be 0"):
        train(stages, tiny_dataset, tmp_path / "run", pretrained=Pretrained(weights), progress=False)
    with pytest.raises(ConfigError, match="was trained with BatchNorm, whose weights do not fit GroupNorm"):
        train(group, tiny_dataset, tmp_path / "run", pretrained=Pretrained(weights), progress=False)
    with pytest.raises(InputError, match="two numbers are needed, the first below the second"):
        train(make_config(), tiny_dataset, tmp_path / "run", pretrained=Pretrained(weights, (5.0, 5.0)), progress=False)
    np.savez(str(tmp_path / "vgg.npz"), **{"features.0.weight": np.zeros((64, 3, 3, 3), np.float32)})
    words = f"--config demo-ct --set data.size=64 --data {tiny_data} --out {tmp_path}/run --pretrained "
    for extra, message in (
        (f"{tmp_path}/vgg.npz", r"the first tensor is features.0.weight (64, 3, 3, 3)"),
        (f"{tmp_path}/none.params", "no such file of weights"),
        (f"{weights} --pretrained-hu 9 1", "--pretrained-hu 9.0 1.0"),
        (f"{weights} --pretrained-hu 0 inf", "--pretrained-hu 0.0 inf"),
        (f"{weights} --pretrained-hu 0 1e-300", "not finite"),
    ):
        assert run_command(("train",), (words + extra).split(), program="train.py") == 2
        error = capsys.readouterr().err
        assert message in error, error
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_leaves_nothing_behind(tiny_dataset, make_config, tmp_path, weights, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(DetectorTrainer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(), tiny_dataset, tmp_path / "run", pretrained=Pretrained(weights), progress=False)
    assert not (tmp_path / "run").exists()


def test_the_same_tissue_means_the_same_to_a_ct_net(make_config):
    """Window 5 to 155 HU: its darkest and brightest grey as a net sees them that takes -1000 to 1000 HU as 0 to 1."""
    scale, shift = _source_input(make_config(), (-1000.0, 1000.0))
    for grey, hu in ((0.0, 5.0), (1.0, 155.0)):
        ours = (grey - 0.449) / 0.226
        assert np.isclose(scale * ours + shift, (hu + 1000) / 2000)
    assert _source_input(make_config(), None) == (1.0, 0.0)


def test_phases_get_the_weights_too(tmp_path, make_config, weights):
    data = CTDataset.open(str(write_dataset(tmp_path / "data", phases=("arterial", "delayed"))))
    network = dict(relation="full", depth=101, fusion=True)
    changes = {"row": None, "network.rpn.anchor_sizes": [8, 12, 16, 24, 32]}
    config = make_config(**changes, **{f"network.{name}": value for name, value in network.items()})
    run = train(config, data, tmp_path / "run", steps=1, pretrained=Pretrained(weights), progress=False)
    kept = json.loads((run.folder / "pretrained.json").read_text())["not_initialised"]
    reasons = {entry["why"] for entry in kept}
    assert reasons == {"the detector's own layer", "transition layer", "bottleneck that the file lacks"}
