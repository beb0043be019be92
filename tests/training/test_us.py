"""Both ultrasound models through training, the choice of the best epoch, and what training refuses."""

import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.errors import ConfigError, DatasetError, InputError, RunError
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.resume import find_resume_point
from gluon_liver.training.train import train
from tests.conftest import SIZE, us_config

from .conftest import records

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_both_models_train_and_detect(model, us_data, us_flow, tmp_path):
    chosen = us_config(model, best_epoch=True, epochs=3)
    run = train(chosen, us_data, tmp_path / "run", flow=us_flow if model == "us-flow" else None, progress=False)
    best = json.loads((run.folder / "best.json").read_text())
    scores = [record["map"] for record in records(run, "score")]
    assert len(scores) == 3 and best["map"] == max(scores) and best["split"] == "test"
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [f"step-{step:08d}" for step in (4, 8, 12)]
    detector, name = SliceDetector.from_run(run)
    assert name == best["checkpoint"] == chosen_checkpoint(run).name
    results = detect_labelled(detector, us_data, us_data.labels_of("test"), progress=False)
    assert len(results) == 8 and all(np.isfinite(result.scores).all() for result in results)
    assert (run.folder / "flow.json").exists() == (model == "us-flow")


def test_the_flow_of_the_file_is_kept_as_it_is(us_data, us_flow, tmp_path):
    run = train(us_config(), us_data, tmp_path / "run", flow=us_flow, steps=2, progress=False)
    detector, _ = SliceDetector.from_run(run)
    saved = mx.nd.load(str(us_flow))
    own = detector.network.flow._collect_params_with_prefix()
    assert all(np.array_equal(own[name].data().asnumpy(), saved[name].asnumpy()) for name in saved)


def test_inputs_hold_the_frame_before(us_data):
    inputs = TrainingInputs(us_config(), us_data)
    batch = inputs.load([0, 1], epoch=0, anchors=np.array([[0.0, 0, 16, 16]]), random_numbers=lambda rng: rng.random(3))
    assert batch.images.shape == (2, 2, 3, SIZE, SIZE) and batch.images.max() <= 1
    assert np.array_equal(batch.images[0, 0], batch.images[0, 1])  # the first frame of its scene
    assert np.array_equal(batch.images[1, 0], batch.images[0, 1]) and not np.array_equal(*batch.images[1])
    control = build_config(dict(us_config().to_dict(), data={"size": SIZE, "previous_frame": "current"}))
    with pytest.warns(UserWarning, match="the current frame is its own previous one"):
        control = TrainingInputs(control, us_data)
    assert control.notes[0] == "control experiment: the current frame is its own previous one (data.previous_frame)"
    own = control.load([1], epoch=0, anchors=np.zeros((1, 4)), random_numbers=lambda rng: rng.random(3)).images
    assert np.array_equal(own[0, 0], own[0, 1]) and np.array_equal(own[0, 1], batch.images[1, 1])
    alone = TrainingInputs(us_config("us-faster-rcnn"), us_data)
    alone = alone.load([1], epoch=0, anchors=np.zeros((1, 4)), random_numbers=lambda rng: rng.random(3))
    assert np.array_equal(alone.images[0, 0], batch.images[1, 1])


def test_what_does_not_fit_is_refused(us_data, us_flow, tiny_dataset, tiny_config, tmp_path):
    wide = build_config(dict(us_config().to_dict(), flow={"width": 0.25}))
    still = build_config(dict(us_config().to_dict(), flow={"width": 0.125, "estimate": "zero"}))
    alone = us_flow.parent / "alone.params"
    alone.write_bytes(us_flow.read_bytes())
    for chosen, dataset, file, error, message in (
        (us_config(), tiny_dataset, us_flow, DatasetError, "holds CT data, the model us-flow takes ultrasound"),
        (tiny_config, us_data, None, DatasetError, "holds ultrasound data, the model ct-faster-rcnn takes CT"),
        (us_config(), us_data, None, ConfigError, "us-flow needs --flow FILE"),
        (us_config("us-faster-rcnn"), us_data, us_flow, ConfigError, "--flow is for the model us-flow"),
        (still, us_data, us_flow, ConfigError, "--flow is not read with flow.estimate zero"),
        (wide, us_data, us_flow, InputError, "flow.params is of a flow net of width 0.125, flow.width is 0.25"),
        (us_config(), us_data, alone, InputError, "alone.json"),
    ):
        with pytest.raises(error, match=message):
            train(chosen, dataset, tmp_path / "run", flow=file, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_damaged_choice_of_the_best_is_told(us_data, tmp_path):
    run = train(us_config("us-faster-rcnn", best_epoch=True, epochs=1), us_data, tmp_path / "run", progress=False)
    gone = json.dumps({"checkpoint": "step-9", "map": 0.1, "split": "x"})
    for text, message in (("{", "best.json cannot be read: it is not JSON.*; delete it"), (gone, "step-9")):
        (run.folder / "best.json").write_text(text)
        with pytest.raises(RunError, match=message):
            SliceDetector.from_run(run)


def test_a_run_of_before_steps_goes_on_with_data_of_the_step_1(us_data, us_flow, tmp_path):
    config = us_config("us-flow", epochs=1)
    run = train(config, us_data, tmp_path / "run", flow=us_flow, steps=1, progress=False)
    environment = json.loads((run.folder / "environment.json").read_text())
    for key in ("step", "frames_per_second"):
        del environment[key]
    del environment["digests"]["training_pairs"]
    (run.folder / "environment.json").write_text(json.dumps(environment))
    point = find_resume_point(run.folder, "auto", config, us_data)
    assert point.data_unknown == ["pairs"]  # which frames were previous ones then
    rates = [dataclasses.replace(info, frames_per_second=25.0) for info in us_data.cases]
    assert find_resume_point(run.folder, "auto", config, dataclasses.replace(us_data, cases=rates))
    with pytest.raises(DatasetError, match=r"differs in step from what .* was trained on \(6 here, 1 there\)"):
        find_resume_point(run.folder, "auto", config, dataclasses.replace(us_data, step=6))
