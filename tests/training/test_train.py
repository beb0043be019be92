"""Training on a tiny data set: what a run leaves, what stops it, what repeats."""

import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.data.samples import epoch_order
from gluon_liver.errors import DatasetError, RunError, TrainingError
from gluon_liver.runs.checkpoint import newest_checkpoint
from gluon_liver.training.inputs import TrainingInputs, training_labels
from gluon_liver.training.loop import LossMeter
from gluon_liver.training.train import train
from gluon_liver.training.trainer import DetectorTrainer, learning_rate
from tests.conftest import write_dataset


def records(run):
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


def parameters(run):
    return mx.nd.load(str(newest_checkpoint(run.folder / "checkpoints") / "net.params"))


def test_a_run_folder_holds_what_it_should(tiny_run):
    assert {path.name for path in tiny_run.folder.iterdir()} >= {
        "config.yaml",
        "environment.json",
        "log.jsonl",
        "checkpoints",
    }
    log = records(tiny_run)
    assert [log[0]["event"], log[-1]["event"]] == ["start", "end"]
    steps = [record for record in log if record["event"] == "step"]
    # 6 images with boxes + 3 backgrounds in batches of 2, the last one filled up: 5 steps an epoch
    assert [record["step"] for record in steps] == list(range(1, 11))
    assert set(steps[0]["losses"]) == {"rpn_score", "rpn_box", "rcnn_score", "rcnn_box", "total"}
    environment = json.loads((tiny_run.folder / "environment.json").read_text())
    assert environment["packages"]["numpy"] and environment["seed"] == 0
    assert len(environment["training_patients"]) == 3


@pytest.mark.slow
def test_same_seed_same_parameters_and_another_seed_others(tiny_dataset, make_config, tmp_path):
    runs = [
        train(
            make_config(**{"train.seed": seed, "data.augment.flip": True}),
            tiny_dataset,
            tmp_path / name,
            steps=4,
            progress=False,
        )
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    first, second, other = map(parameters, runs)
    assert all(np.array_equal(first[name].asnumpy(), second[name].asnumpy()) for name in first)
    assert not np.array_equal(first["class_predictor.weight"].asnumpy(), other["class_predictor.weight"].asnumpy())


@pytest.mark.slow
def test_the_loss_falls(tiny_dataset, make_config, tmp_path):
    run = train(make_config(**{"train.epochs": 8}), tiny_dataset, tmp_path / "run", progress=False)
    totals = [record["losses"]["total"] for record in records(run) if record["event"] == "step"]
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])


@pytest.mark.slow
def test_every_parameter_learns(tiny_dataset, make_config, tmp_path):
    """After some steps no trained parameter is where initialisation left it."""
    config = make_config(**{"train.weight_decay": 0.0})
    fresh = DetectorTrainer(config, classes=tiny_dataset.classes, contexts=[mx.cpu()])
    run = train(config, tiny_dataset, tmp_path / "run", steps=8, progress=False)
    saved = parameters(run)
    for name, parameter in fresh.detector.collect_learned().items():
        if parameter.grad_req != "null":
            assert not np.array_equal(saved[name].asnumpy(), parameter.data().asnumpy()), name


@pytest.mark.slow
def test_background_alone_trains(make_config, tmp_path):
    from gluon_liver.data.ct_dataset import CTDataset

    dataset = CTDataset.open(str(write_dataset(tmp_path / "data", boxes=False)))
    with pytest.warns(UserWarning, match="background alone"):
        run = train(make_config(), dataset, tmp_path / "run", steps=3, progress=False)
    losses = [record["losses"] for record in records(run) if record["event"] == "step"]
    assert all(loss["rpn_box"] == 0 and loss["rcnn_box"] == 0 for loss in losses)


@pytest.mark.slow
def test_a_batch_larger_than_the_data_trains(tiny_dataset, make_config, tmp_path):
    run = train(make_config(**{"train.batch_size": 16}), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    assert records(run)[-1]["event"] == "end"


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_with_the_step(tiny_dataset, make_config, tmp_path):
    config = make_config(**{"train.learning_rate": 1e12, "train.optimizer": "sgd"})
    with pytest.raises(TrainingError, match=r"step \d+: the .* not finite"):
        train(config, tiny_dataset, tmp_path / "run", steps=10, progress=False)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert (tmp_path / "run" / "log.jsonl").is_file()  # it shows how the losses grew


def test_a_taken_folder_is_refused_and_left_alone(tiny_dataset, tiny_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        train(tiny_config, tiny_dataset, tmp_path / "run", progress=False)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_no_training_labels(tiny_config, tmp_path):
    from gluon_liver.data.coco import save_labels
    from gluon_liver.data.ct_dataset import CTDataset
    from gluon_liver.data.ct_labels import CLASSES

    folder = write_dataset(tmp_path / "data")
    save_labels([], CLASSES, folder / "labels.json")
    with pytest.raises(DatasetError, match="no labelled slice"):
        train(tiny_config, CTDataset.open(str(folder)), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_shuffled_labels_are_the_same_boxes_on_other_images(tiny_dataset, make_config):
    plain = training_labels(make_config(), tiny_dataset)
    shuffled = training_labels(make_config(**{"data.shuffled_labels": True}), tiny_dataset)
    assert [(a.case, a.slice) for a in plain] == [(b.case, b.slice) for b in shuffled]

    def boxes(labels):
        return sorted(tuple(box) + (int(c),) for label in labels for box, c in zip(label.boxes, label.labels))

    assert boxes(plain) == boxes(shuffled)
    assert any(len(a.boxes) != len(b.boxes) or not np.array_equal(a.boxes, b.boxes) for a, b in zip(plain, shuffled))


def test_learning_rate_by_hand(make_config):
    config = make_config(
        **{"train.learning_rate": 0.01, "train.batch_size": 4, "train.warmup_steps": 10, "train.decay_epochs": [2, 3]}
    ).train
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


def one_batch(trainer, dataset, config, *, epoch=0, indices=(0, 1)):
    return TrainingInputs(config, dataset).load(
        indices, epoch=epoch, anchors=trainer.anchors, random_number_count=trainer.detector.random_number_count
    )


@pytest.mark.parametrize("clip", [None, 0.01])
def test_one_step_of_sgd_by_hand(tiny_dataset, make_config, clip):
    config = make_config(
        **{"train.optimizer": "sgd", "train.weight_decay": 0.1, "train.momentum": 0.5, "train.clip_norm": clip}
    )
    trainer = DetectorTrainer(config, classes=tiny_dataset.classes, contexts=[mx.cpu()])
    weight = trainer.detector.class_predictor.weight
    before, velocity = weight.data().asnumpy(), 0
    for epoch in range(2):
        trainer.step(one_batch(trainer, tiny_dataset, config, epoch=epoch), learning_rate=0.2)
        gradient = weight.grad().asnumpy()
        velocity = 0.5 * velocity + 0.2 * (gradient + 0.1 * before)
        assert np.allclose(weight.data().asnumpy(), before - velocity, atol=1e-6)
        before = weight.data().asnumpy()
    learned = [p for p in trainer.detector.collect_learned().values() if p.grad_req != "null"]
    norm = np.sqrt(sum((p.grad().asnumpy() ** 2).sum() for p in learned))
    assert norm > 0.05 if clip is None else np.isclose(norm, 0.01, rtol=1e-3)


def test_the_seed_decides_the_weights(tiny_dataset, make_config):
    first, again, other = (
        DetectorTrainer(make_config(**{"train.seed": seed}), classes=("a", "b"), contexts=[mx.cpu()])
        .detector.backbone.stem.conv1.weight.data()
        .asnumpy()
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_batches_hold_their_labels_and_change_with_the_epoch(tiny_dataset, make_config):
    config = make_config(**{"data.augment": {"flip": True}})
    trainer = DetectorTrainer(config, classes=tiny_dataset.classes, contexts=[mx.cpu()])
    labels = training_labels(config, tiny_dataset)
    xs = set()
    for epoch in range(8):
        batch = one_batch(trainer, tiny_dataset, config, epoch=epoch, indices=(0, 1))
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
        meter.add({"total": value}, images=2)
    assert meter.flush()["losses"] == {"total": 3.0}
    meter.add({"total": 5.0}, images=2)
    assert meter.flush()["losses"] == {"total": 5.0}


@pytest.mark.slow
def test_every_step_enters_one_record(tiny_dataset, make_config, tmp_path, monkeypatch):
    """5 steps an epoch, a record every 4: no step is lost between epochs."""
    seen = []
    add = LossMeter.add
    monkeypatch.setattr(
        LossMeter,
        "add",
        lambda self, losses, images: (seen.append(losses["total"]), add(self, losses, images=images))[1],
    )
    run = train(make_config(**{"train.log_every": 4}), tiny_dataset, tmp_path / "run", progress=False)
    means = [(record["step"], record["losses"]["total"]) for record in records(run) if record["event"] == "step"]
    assert [step for step, _ in means] == [4, 8, 10]
    assert np.allclose([mean for _, mean in means], [np.mean(seen[:4]), np.mean(seen[4:8]), np.mean(seen[8:])])


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(tiny_dataset, make_config, tmp_path, monkeypatch):
    def interrupt(self, batch, *, learning_rate):
        raise KeyboardInterrupt

    monkeypatch.setattr(DetectorTrainer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(), tiny_dataset, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    # a folder that was there before stays, through a link too
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "link"):
        with pytest.raises(KeyboardInterrupt):
            train(make_config(), tiny_dataset, tmp_path / name, progress=False)
        assert (tmp_path / name).is_dir() and not any((tmp_path / name).iterdir())


def test_what_others_put_into_a_run_is_left_alone(tiny_dataset, make_config, tmp_path, monkeypatch):
    def interrupt(self, batch, *, learning_rate):
        (tmp_path / "run" / "notes.txt").write_text("mine")
        raise KeyboardInterrupt

    monkeypatch.setattr(DetectorTrainer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(), tiny_dataset, tmp_path / "run", progress=False)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_too_many_boxes_are_refused_before_training(tiny_dataset, make_config, tmp_path):
    import dataclasses

    images = [
        dataclasses.replace(image, boxes=np.tile(image.boxes, (5, 1)), labels=np.tile(image.labels, 5))
        for image in tiny_dataset.labels
    ]
    crowded = dataclasses.replace(tiny_dataset, labels=images)
    with pytest.raises(DatasetError, match="5 boxes, network.head.max_boxes is 4"):
        train(make_config(), crowded, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_inside_the_data_is_refused(tiny_config, tmp_path):
    from gluon_liver.data.ct_dataset import CTDataset

    folder = write_dataset(tmp_path / "data")
    with pytest.raises(RunError, match="inside the data folder"):
        train(tiny_config, CTDataset.open(str(folder)), folder / "studies" / "run", progress=False)
