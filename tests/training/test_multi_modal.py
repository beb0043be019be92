"""Several phases through loader, training, evaluation and detection."""

import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.data.ct_dataset import CTDataset, input_phases
from gluon_liver.data.ct_loader import CTLoader, OpenCase, ct_sample
from gluon_liver.errors import ConfigError, DatasetError
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.run_note import run_note
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.inference.study import detect_study
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.training.train import train
from tests.conftest import PHASES, TINY, write_dataset

from .conftest import make_trainer

pytestmark = pytest.mark.slow

CASE, LACKING = "case-0000000000", "case-0000000003"


@pytest.fixture
def multi(make_config):
    def make(**changes):
        return make_config(**{"row": None, "network.relation": "full", **changes})

    return make


def test_the_reference_phase_comes_first_and_absence_is_told(phase_data, multi, make_config):
    config = multi()
    loader = CTLoader(phase_data, config, cases=[CASE, LACKING])
    sample = ct_sample(loader.open(CASE), 1, config)
    assert sample.image.shape == (3, 1, 1, 64, 64) and sample.present.tolist() == [True, True, True]
    hu = phase_data.study(CASE).hu[:, 1].astype(float)
    for plane, phase in zip(sample.image[:, 0, 0], (1, 0, 2)):  # arterial, non_contrast, delayed
        assert np.abs(plane - np.rint(255 * np.clip((hu[phase] - 5) / 150, 0, 1))).max() <= 1
    lacking = ct_sample(loader.open(LACKING), 1, config)
    assert lacking.present.tolist() == [True, True, False]
    assert np.array_equal(lacking.image[2], lacking.image[0])  # nothing foreign for BatchNorm
    alone = ct_sample(loader.open(CASE), 1, make_config())
    assert np.array_equal(alone.image[0], sample.image[0]) and alone.present.tolist() == [True]


def test_a_stack_repeats_the_ends_of_its_own_phase(tmp_path, multi):
    """A phase that ends inside the reference grid: no black slice beside a present one."""
    folder = write_dataset(tmp_path / "data", phases=PHASES)
    study = folder / "studies" / CASE
    record = json.loads((study / "study.json").read_text())
    record["present"][2] = [True, True, False]
    (study / "study.json").write_text(json.dumps(record))
    volume = np.load(str(study / "volume.npy"))
    volume[2, 2] = -1024
    np.save(str(study / "volume.npy"), volume)
    data = CTDataset.open(str(folder))
    config = multi(**{"data.slices": 3})
    case = CTLoader(data, config, cases=[CASE]).open(CASE)
    at_end, beyond = (ct_sample(case, index, config) for index in (1, 2))
    assert at_end.present.tolist() == [True, True, True]
    assert np.array_equal(at_end.image[2, 0, 2], at_end.image[2, 0, 1])
    assert beyond.present.tolist() == [True, True, False]


def test_a_multi_modal_net_starts_as_the_single_phase_net(phase_data, multi, make_config):
    many = make_trainer(multi(), phase_data, phases=3).detector
    one = make_trainer(make_config(), phase_data).detector
    shared = many.collect_learned()
    for name, parameter in one.collect_learned().items():
        parameter.set_data(shared[name].data())
    assert {name.split(".")[0] for name in set(shared) - set(one.collect_learned())} == {"relation"}
    x = np.random.default_rng(0).normal(size=(2, 3, 1, 1, 64, 64))
    rows, _ = DetectionNet(many)(mx.nd.array(x), mx.nd.array([[1, 1, 1], [1, 0, 1]]))
    expected, _ = DetectionNet(one)(mx.nd.array(x[:, :1]))
    assert np.allclose(rows.asnumpy(), expected.asnumpy(), atol=1e-5)


def test_training_moves_every_relation(phase_data, multi, tmp_path):
    run = train(multi(**{"train.weight_decay": 0.0}), phase_data, tmp_path / "run", steps=6, progress=False)
    detector, _ = SliceDetector.from_run(run)
    trained = detector.mxnet.net.detector.collect_learned()
    fresh = make_trainer(run.config, phase_data, phases=3).detector.collect_learned()
    relations = [name for name in fresh if name.startswith("relation.")]
    assert len(relations) == 8  # theta, phi, g and project of two pairs
    for name in relations:
        assert not np.array_equal(trained[name].data().asnumpy(), fresh[name].data().asnumpy()), name


@pytest.fixture(scope="module")
def run(phase_data, tmp_path_factory):
    network, data = dict(TINY["network"], relation="full"), dict(TINY["data"], slices=3)
    config = build_config(dict(TINY, row=None, network=network, data=data))
    return train(config, phase_data, tmp_path_factory.mktemp("multi") / "run", progress=False)


def test_a_control_is_said_in_the_log_and_beside_every_figure(phase_data, multi, tmp_path):
    config = multi(**{"data.repeat_reference": True, "network.relation": "same_cell"})
    (note,) = config.controls
    with pytest.warns(UserWarning, match="control experiment: every other phase is the reference phase's picture"):
        run = train(config, phase_data, tmp_path / "run", steps=1, progress=False)
    assert run.training_notes() == [note] and run_note(run, phase_data, "test").count(note) == 1
    assert multi().controls == []


def test_evaluate_and_detect_take_all_phases(run, phase_data, tmp_path):
    _, report = evaluate(run, phase_data, settings=ScoreSettings(5), progress=False)
    assert report.is_file()
    result = detect_study(run, phase_data.folder / "studies" / LACKING, tmp_path / "out", progress=False)
    assert result["slices"] == 3


def test_what_lies_where_a_phase_is_absent_does_not_matter(run, phase_data):
    detector, _ = SliceDetector.from_run(run)
    sample = ct_sample(OpenCase.in_memory(phase_data.study(LACKING), run.config.data), 1, run.config)
    images = np.stack([sample.image, sample.image])
    images[1, 2] = 200
    options = {"scales": [1.0, 1.0], "shapes": [(64, 64)] * 2}
    first, second = detector.detect(images, np.stack([sample.present] * 2), **options)
    assert np.array_equal(first.boxes, second.boxes) and np.array_equal(first.scores, second.scores)
    seen, _ = detector.detect(images[[1, 1]], np.ones((2, 3), bool), **options)
    assert not np.array_equal(seen.scores, first.scores)


def test_phases_that_do_not_fit_are_refused(run, phase_data, multi, tiny_dataset, tmp_path):
    with pytest.raises(ConfigError, match="relates 2 to 4 phases, the data have 1: arterial"):
        train(multi(), tiny_dataset, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="the data have 5"):
        input_phases(multi(), ("a", "b", "c", "d", "e"))
    swapped = dataclasses.replace(phase_data, phases=("delayed", "arterial", "non_contrast"))
    with pytest.raises(DatasetError, match="the data have phases .*delayed"):
        evaluate(run, swapped, progress=False)
