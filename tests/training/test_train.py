"""Training on a tiny data set: what a run leaves, what stops it, what repeats."""

import dataclasses
import json

import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.samples import epoch_order
from gluon_liver.errors import DatasetError, RunError, TrainingError
from gluon_liver.evaluation.run_note import run_note
from gluon_liver.runs.log import IMPORTED
from gluon_liver.training.inputs import TrainingInputs, training_labels, training_notes
from gluon_liver.training.loop import LossMeter
from gluon_liver.training.schedule import learning_rate
from gluon_liver.training.trainer import DetectorTrainer
from gluon_liver.weights.source import Pretrained
from tests.conftest import write_dataset

from .conftest import load_batch, make_trainer, parameters, records

pytestmark = pytest.mark.slow


def test_a_run_folder_holds_what_it_should(tiny_run):
    names = {path.name for path in tiny_run.folder.iterdir()}
    assert names >= {"config.yaml", "environment.json", "log.jsonl", "checkpoints"}
    log = records(tiny_run)
    assert [log[0]["event"], log[-1]["event"]] == ["start", "end"]
    steps = records(tiny_run, "step")
    # 6 images with boxes + 3 backgrounds in batches of 2, the last one filled up: 5 steps an epoch
    assert [record["step"] for record in steps] == list(range(1, 11))
    assert set(steps[0]["losses"]) == {"rpn_score", "rpn_box", "rcnn_score", "rcnn_box", "total"}
    environment = json.loads((tiny_run.folder / "environment.json").read_text())
    assert environment["packages"]["numpy"] and environment["seed"] == 0
    assert len(environment["training_patients"]) == 3


def test_same_seed_same_parameters_and_another_seed_others(train_tiny, tmp_path):
    first, second, other = (
        parameters(train_tiny({"train.seed": seed, "data.augment.flip": True}, folder=tmp_path / name, steps=4))
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["class_predictor.weight"], other["class_predictor.weight"])


def test_the_loss_falls(train_tiny):
    totals = [record["losses"]["total"] for record in records(train_tiny({"train.epochs": 8}), "step")]
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])


def test_every_parameter_learns(train_tiny, tiny_dataset):
    """After some steps no trained parameter is where initialisation left it."""
    run = train_tiny({"train.weight_decay": 0.0}, steps=8)
    fresh, saved = make_trainer(run.config, tiny_dataset), parameters(run)
    for name, parameter in fresh.detector.collect_learned().items():
        if parameter.grad_req != "null":
            assert not np.array_equal(saved[name], parameter.data().asnumpy()), name


def test_background_alone_trains(train_tiny, tmp_path):
    dataset = CTDataset.open(str(write_dataset(tmp_path / "data", boxes=False)))
    with pytest.warns(UserWarning, match="background alone"):
        run = train_tiny(dataset=dataset, steps=3)
    losses = [record["losses"] for record in records(run, "step")]
    assert all(loss["rpn_box"] == 0 and loss["rcnn_box"] == 0 for loss in losses)


def test_a_batch_larger_than_the_data_trains(train_tiny):
    assert records(train_tiny({"train.batch_size": 16}, steps=2))[-1]["event"] == "end"


def test_a_loss_that_is_not_finite_stops_with_the_step(train_tiny, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+: the .* not finite.* Lower .*rate or set train.clip_norm"):
        train_tiny({"train.learning_rate": 1e12, "train.optimizer": "sgd"}, steps=10)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert (tmp_path / "run" / "log.jsonl").is_file()  # it shows how the losses grew


def test_a_taken_folder_is_refused_and_left_alone(train_tiny, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        train_tiny()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_what_cannot_be_trained_on_leaves_no_run(train_tiny, tiny_dataset, tmp_path):
    bare = dataclasses.replace(tiny_dataset, labels=[])
    with pytest.raises(DatasetError, match="no labelled slice .*: import the studies with --labels"):
        train_tiny(dataset=bare)
    elsewhere = dataclasses.replace(tiny_dataset, labels=tiny_dataset.labels_of("test"))
    with pytest.raises(DatasetError, match="the labels are of patients of other splits"):
        train_tiny(dataset=elsewhere)
    images = [
        dataclasses.replace(image, boxes=np.tile(image.boxes, (5, 1)), labels=np.tile(image.labels, 5))
        for image in tiny_dataset.labels
    ]
    with pytest.raises(DatasetError, match="5 boxes, network.head.max_boxes is 4"):
        train_tiny(dataset=dataclasses.replace(tiny_dataset, labels=images))
    assert not (tmp_path / "run").exists()
    dataset = CTDataset.open(str(write_dataset(tmp_path / "data")))
    with pytest.raises(RunError, match="inside the data folder"):
        train_tiny(dataset=dataset, folder=tmp_path / "data" / "studies" / "run")


@pytest.mark.parametrize(
    "options, note",
    [
        ({"boxes": False}, "none of the 9 training images has a box: training on background alone"),
        (
            {"classes": ["lesion"]},
            "the data have one class, lesion: the network finds it and has nothing to tell apart",
        ),
        ({"classes": [*"abcdefg"]}, "no training image has a box of e, f, g, which the network cannot learn"),
    ],
)
def test_what_a_network_cannot_learn_is_said_before_and_after(train_tiny, tmp_path, capsys, options, note):
    dataset = CTDataset.open(write_dataset(tmp_path / "data", **options))
    with pytest.warns(UserWarning, match=note):
        run = train_tiny(dataset=dataset, steps=1)
    assert capsys.readouterr().err.splitlines()[-1] == f"note: {note}"
    assert run.training_notes() == [note] and note in run_note(run, dataset, "test")


def test_statistics_that_nobody_gave_are_no_statistics(train_tiny, tmp_path, capsys):
    """Frozen BatchNorm without weights is said on the screen and in the results; with weights, and live, nothing is."""
    frozen, note = {"network.batch_norm": "frozen"}, "network.batch_norm is frozen and the network began without"
    with pytest.warns(UserWarning, match=note):
        run = train_tiny(frozen, steps=1, folder=tmp_path / "frozen")
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"note: {note} weights")
    assert len(run.training_notes()) == 1 and run.training_notes()[0].startswith(note)
    with pytest.warns(UserWarning, match=note):  # it is as true when the run is gone on with
        train_tiny(frozen, steps=2, folder=tmp_path / "frozen", resume="auto")
    with (tmp_path / "frozen" / "log.jsonl").open("a") as log:  # which another program's weights began with
        log.write(json.dumps({"event": IMPORTED}) + "\n")
    capsys.readouterr()
    train_tiny(frozen, steps=3, folder=tmp_path / "frozen", resume="auto")
    assert note not in capsys.readouterr().err
    stages = "network.frozen_stages is 2 and the network began without weights: .* or with network.frozen_stages=0"
    with pytest.warns(UserWarning, match=stages):
        train_tiny({"network.frozen_stages": 2}, steps=1, folder=tmp_path / "stages")
    live = train_tiny(steps=1, folder=tmp_path / "live")
    for options in ({}, {"resume": "auto"}):
        weights = None if options else Pretrained(live.folder)
        run = train_tiny(frozen, steps=1 + len(options), pretrained=weights, **options)
        assert live.training_notes() == run.training_notes() == []


def test_boxes_of_one_class_alone_are_named(tiny_dataset):
    hcc = [dataclasses.replace(one, labels=np.full_like(one.labels, 2)) for one in tiny_dataset.labels]
    (note,) = training_notes(hcc, tiny_dataset.classes)
    assert note.startswith("all training boxes are hcc: no training image has a box of cyst, hemangioma")
    assert training_notes(tiny_dataset.labels, tiny_dataset.classes) == []


def test_shuffled_labels_are_the_same_boxes_on_other_images(tiny_dataset, make_config):
    plain = training_labels(make_config(), tiny_dataset)
    shuffled = training_labels(make_config(**{"data.shuffled_labels": True}), tiny_dataset)
    assert [(a.case, a.slice) for a in plain] == [(b.case, b.slice) for b in shuffled]

    def boxes(labels):
        return sorted(tuple(box) + (int(c),) for label in labels for box, c in zip(label.boxes, label.labels))

    assert boxes(plain) == boxes(shuffled)
    assert any(len(a.boxes) != len(b.boxes) or not np.array_equal(a.boxes, b.boxes) for a, b in zip(plain, shuffled))


def test_learning_rate_by_hand(make_config):
    config = make_config(**{"train.learning_rate": 0.01, "train.batch_size": 4}).train
    config = dataclasses.replace(config, warmup_steps=10, decay_epochs=(2, 3))
    rates = [learning_rate(config, step=step, per_epoch=20) for step in (0, 5, 10, 39, 40, 60)]
    assert np.allclose(rates, [0.004, 0.022, 0.04, 0.04, 0.004, 0.0004])


def test_epochs_draw_their_own_backgrounds(tiny_dataset, tiny_config):
    labels = training_labels(tiny_config, tiny_dataset)
    options = {"background_ratio": 1 / 6, "seed": 0}
    orders = [epoch_order(labels, epoch=epoch, **options) for epoch in range(6)]
    foreground = {index for index, label in enumerate(labels) if len(label.boxes)}
    assert all(len(order) == 7 and foreground < set(order) for order in orders)
    assert len({next(iter(set(order) - foreground)) for order in orders}) > 1
    assert orders[0] == epoch_order(labels, epoch=0, **options)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_one_step_of_sgd_by_hand(tiny_dataset, make_config, clip):
    sgd = {"train.optimizer": "sgd", "train.weight_decay": 0.1, "train.momentum": 0.5, "train.clip_norm": clip}
    trainer = make_trainer(make_config(**sgd), tiny_dataset)
    weight = trainer.detector.class_predictor.weight
    before, velocity = weight.data().asnumpy(), 0
    for epoch in range(2):
        trainer.step(load_batch(trainer, tiny_dataset, (0, 1), epoch=epoch), learning_rate=0.2)
        gradient = weight.grad().asnumpy()
        velocity = 0.5 * velocity + 0.2 * (gradient + 0.1 * before)
        assert np.allclose(weight.data().asnumpy(), before - velocity, atol=1e-6)
        before = weight.data().asnumpy()
    learned = [p for p in trainer.detector.collect_learned().values() if p.grad_req != "null"]
    norm = np.sqrt(sum((p.grad().asnumpy() ** 2).sum() for p in learned))
    assert norm > 0.05 if clip is None else np.isclose(norm, 0.01, rtol=1e-3)


def test_the_seed_decides_the_weights(tiny_dataset, make_config):
    first, again, other = (
        make_trainer(make_config(**{"train.seed": seed}), tiny_dataset).detector.backbone.stem.conv1.weight.data()
        for seed in (1, 1, 2)
    )
    first, again, other = (weight.asnumpy() for weight in (first, again, other))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_batches_hold_their_labels_and_change_with_the_epoch(tiny_dataset, make_config):
    trainer = make_trainer(make_config(**{"data.augment": {"flip": True}}), tiny_dataset)
    labels, xs = training_labels(trainer.config, tiny_dataset), set()
    for epoch in range(8):
        batch = load_batch(trainer, tiny_dataset, (0, 1), epoch=epoch)
        for row in range(2):
            x1, _, x2, _ = labels[row].boxes[0]
            assert batch.gt_boxes[row, 0, 0] in (x1, 64 - x2)
            assert batch.gt_labels[row, 0] == labels[row].labels[0]
        xs.add(float(batch.gt_boxes[0, 0, 0]))
    assert len(xs) == 2


def test_the_last_batch_is_filled_from_the_epochs_beginning(tiny_dataset, make_config):
    config = make_config(**{"train.batch_size": 4})
    batches = TrainingInputs(config, tiny_dataset).batches(epoch=0)
    flat = [index for batch in batches for index in batch]
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert sorted(flat[:9]) == list(range(9)) and flat[9:] == flat[:3]


def test_the_meter_averages_since_the_last_record():
    meter = LossMeter()
    for value in (1.0, 2.0, 6.0):
        meter.add({"total": value}, images=2, waited=0.0, worked=1.0)
    assert meter.flush()["losses"] == {"total": 3.0}
    meter.add({"total": 5.0}, images=2, waited=0.0, worked=1.0)
    assert meter.flush()["losses"] == {"total": 5.0}


def test_every_step_enters_one_record(train_tiny, monkeypatch):
    """5 steps an epoch, a record every 4: no step is lost between epochs."""
    seen, add = [], LossMeter.add

    def noted(self, losses, **step):
        seen.append(losses["total"])
        add(self, losses, **step)

    monkeypatch.setattr(LossMeter, "add", noted)
    means = {
        record["step"]: record["losses"]["total"] for record in records(train_tiny({"train.log_every": 4}), "step")
    }
    assert list(means) == [4, 8, 10]
    assert np.allclose(list(means.values()), [np.mean(seen[:4]), np.mean(seen[4:8]), np.mean(seen[8:])])


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(train_tiny, tmp_path, monkeypatch):
    def interrupt(self, batch, *, learning_rate):
        raise KeyboardInterrupt

    monkeypatch.setattr(DetectorTrainer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_tiny()
    assert not (tmp_path / "run").exists()
    # a folder that was there before stays, through a link too
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "link"):
        with pytest.raises(KeyboardInterrupt):
            train_tiny(folder=tmp_path / name)
        assert (tmp_path / name).is_dir() and not any((tmp_path / name).iterdir())


def test_what_others_put_into_a_run_is_left_alone(train_tiny, tmp_path, monkeypatch):
    def interrupt(self, batch, *, learning_rate):
        (tmp_path / "run" / "notes.txt").write_text("mine")
        raise KeyboardInterrupt

    monkeypatch.setattr(DetectorTrainer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_tiny()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
