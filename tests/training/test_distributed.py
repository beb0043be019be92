"""One step is one step, however its images are parted among devices and accumulated parts; and what is refused."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.parallel_limits import check_parallel
from gluon_liver.errors import ConfigError
from gluon_liver.runs.devices import parse_devices
from gluon_liver.training.distributed import Worker, even_parts
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.schedule import async_schedule, learning_rate

from .conftest import load_batch, make_trainer, parameters

pytestmark = pytest.mark.slow

SGD = {"network.batch_norm": "frozen", "train.batch_size": 4, "train.optimizer": "sgd"}


def test_even_parts():
    assert even_parts(range(10), 4) == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    assert even_parts([1, 2], 2) == [[1], [2]] and even_parts([1], 2) == [[1], []]


def steps_of(config, dataset, count=3):
    """Parameters, optimiser state and losses after some steps of the configuration's devices."""
    trainer, losses = make_trainer(config, dataset), []
    for step, indices in enumerate(TrainingInputs(config, dataset).batches(epoch=0)[:count]):
        batch = load_batch(trainer, dataset, indices)
        losses.append(trainer.step(batch, learning_rate=0.01 * (step + 1))["total"])
    learned = trainer.detector.collect_learned()
    return {name: [one.asnumpy() for one in p.list_data()] for name, p in learned.items()}, losses


@pytest.mark.parametrize("batch_size", [4, 5])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "parallel",
    [
        {"devices": "cpu:4", "kvstore": "device"},
        {"devices": "cpu:4", "kvstore": "local"},
        {"devices": "cpu:2", "accumulate": 2},
        {"accumulate": 4},
    ],
    ids=str,
)
def test_devices_and_parts_give_the_step_of_one_device(tiny_dataset, make_config, batch_size, optimizer, parallel):
    """With dropout, sampling and clipping at work; Adam divides by gradients and so amplifies their last bits."""
    changes = {**SGD, "train.batch_size": batch_size, "train.optimizer": optimizer, "network.head.dropout": 0.5}
    changes.update({"data.augment": {"flip": True}, "train.clip_norm": 1.0})
    config, several = make_config(**changes), make_config(parallel=parallel, **changes)
    count = 3 if optimizer == "sgd" else 1
    expected, losses = steps_of(config, tiny_dataset, count)
    parted, parted_losses = steps_of(several, tiny_dataset, count)
    assert np.allclose(parted_losses, losses, rtol=1e-5)
    assert len(parted["class_predictor.weight"]) == len(parse_devices(several.parallel.devices))
    for name, arrays in parted.items():
        # Adam's first step is its rate times the gradient's sign: where the gradient is rounding, so is the step
        for array in arrays:
            error = np.abs(array - expected[name][0])
            assert error.max() <= 1e-6 if optimizer == "sgd" else (error > 1e-6).mean() < 1e-3, name
    moved, start = expected["class_predictor.weight"][0], steps_of(config, tiny_dataset, 0)[0]
    assert np.abs(moved - start["class_predictor.weight"][0]).max() > 1e-3


def test_mirrored_nets_on_two_devices_in_two_parts(tiny_dataset, make_config):
    parallel = {"devices": "cpu:2", "accumulate": 2}
    expected, losses = steps_of(make_config(**SGD), tiny_dataset)
    mirrored, mirrored_losses = steps_of(make_config(parallel=parallel, **SGD, **{"train.mirror": True}), tiny_dataset)
    assert np.allclose(mirrored_losses, losses, rtol=1e-5)
    for name, arrays in mirrored.items():
        assert max(np.abs(array - expected[name][0]).max() for array in arrays) <= 1e-5, name


def test_live_batch_norm_depends_on_the_devices(tiny_dataset, make_config):
    """Statistics are those of a device's own images."""
    changes = {"train.batch_size": 8, "train.optimizer": "sgd"}
    one, _ = steps_of(make_config(**changes), tiny_dataset, 1)
    four, _ = steps_of(make_config(parallel={"devices": "cpu:4"}, **changes), tiny_dataset, 1)
    name = "backbone.stem.conv1.weight"
    assert all(np.array_equal(array, four[name][0]) for array in four[name])  # learned in step on all devices
    assert 1e-6 < np.abs(four[name][0] - one[name][0]).max() < 0.1


@pytest.mark.parametrize("devices", [2, 3])
def test_running_statistics_are_averaged_where_they_are_saved(tiny_dataset, make_config, train_tiny, devices):
    parallel = {"devices": f"cpu:{devices}"}
    changes = {"parallel": parallel, "train.batch_size": 2 * devices, "train.optimizer": "sgd"}
    trainer = make_trainer(make_config(**changes), tiny_dataset)
    for indices in TrainingInputs(trainer.config, tiny_dataset).batches(epoch=0)[:1]:
        trainer.step(load_batch(trainer, tiny_dataset, indices), learning_rate=0.01)
    mx.nd.waitall()
    learned = trainer.detector.collect_learned()
    names = [name for name in learned if ".running_" in name]
    before = {name: [data.asnumpy() for data in learned[name].list_data()] for name in names}
    assert names and any(np.abs(each[0] - each[1]).max() > 1e-3 for each in before.values())
    for _ in range(2):  # a second time changes nothing
        trainer.average_statistics()
        for name in names:
            for data in learned[name].list_data():
                assert np.allclose(data.asnumpy(), np.mean(before[name], axis=0), rtol=1e-6, atol=1e-7), name
    assert np.array_equal(learned[names[0]].list_data()[0].asnumpy(), learned[names[0]].list_data()[1].asnumpy())
    whole = train_tiny({**changes, "train.learning_rate": 0.01 / 2 / devices}, steps=1)
    saved = parameters(whole)
    assert all(np.allclose(saved[name], np.mean(before[name], axis=0), atol=1e-6) for name in names)


def test_a_live_run_on_two_devices_goes_on_to_the_same_bytes(train_tiny, tmp_path):
    changes = {"parallel": {"devices": "cpu:2"}, "train.batch_size": 4, "train.checkpoint_steps": 1}
    whole = parameters(train_tiny(changes, folder=tmp_path / "whole", steps=3))
    train_tiny(changes, steps=2)
    again = parameters(train_tiny(changes, resume="auto", steps=3))
    assert all(np.array_equal(again[name], value) for name, value in whole.items())


def test_two_bit_gradients_are_minus_one_zero_and_one_times_the_threshold(tiny_dataset, make_config):
    plain = {**SGD, "train.batch_size": 2, "train.momentum": 0.0, "train.weight_decay": 0.0}
    config = make_config(parallel={"devices": "cpu:2", "compression": 0.02}, **plain)
    before, _ = steps_of(config, tiny_dataset, 0)
    after, _ = steps_of(config, tiny_dataset, 1)
    change = (before["class_predictor.weight"][0] - after["class_predictor.weight"][0]) / 0.01
    assert set(np.round(np.unique(np.round(change, 4)) / 0.02)) <= {-2.0, -1.0, 0.0, 1.0, 2.0} and change.any()


@pytest.mark.parametrize("text, count", [("cpu", 1), ("cpu:1", 1), ("cpu:4", 4)])
def test_devices(text, count):
    assert parse_devices(text) == [mx.cpu(index) for index in range(count)]


@pytest.mark.parametrize("text", "cpu:0 cpu:-1 cpu:a cpu:0,1 gpu gpu: gpu:0,0 gpu:0,,1 tpu:0".split() + [""])
def test_devices_that_are_none(text):
    with pytest.raises(ConfigError, match="--devices"):
        parse_devices(text)


def test_statistics_that_nobody_can_average_are_refused(make_config, monkeypatch):
    monkeypatch.setenv("DMLC_ROLE", "worker")
    config = make_config(**{"parallel.kvstore": "dist_async", "train.batch_size": 8})
    check_parallel(config, workers=1)
    with pytest.raises(ConfigError, match="batch_norm is live.*workers never meet"):
        check_parallel(config, workers=2)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"parallel": {"kvstore": "nccl"}}, "NCCL"),
        ({"parallel": {"kvstore": "dist_sync"}}, "gluon_liver launch"),
        ({"parallel": {"compression": 0.5, "kvstore": "local", "devices": "cpu:2"}}, "MXNet 1.9.1 has none for local"),
        ({"parallel": {"compression": 0.5}}, "two devices"),
        ({"parallel": {"amp": True}}, "--amp needs GPUs"),
        ({"parallel": {"devices": "cpu:4"}, "train.batch_size": 3, "network.batch_norm": "frozen"}, "need 4 images"),
        ({"parallel": {"devices": "cpu:2", "accumulate": 2}, "train.batch_size": 6}, "8 images a step"),
        # in a job of `launch`
        ({"DMLC_ROLE": "worker", "train.clip_norm": 1.0, "parallel.kvstore": "dist_async"}, "never is in one place"),
        ({"DMLC_ROLE": "worker", "parallel.kvstore": "device"}, "every worker would train on its own"),
        # a server takes it for its own
        ({"DMLC_ROLE": "worker", "PORT": "8080", "parallel.kvstore": "dist_sync"}, "PORT=8080"),
    ],
)
def test_what_mxnet_cannot_do_is_refused_with_the_reason(make_config, monkeypatch, changes, reason):
    for name in changes.keys() & {"DMLC_ROLE", "PORT"}:
        monkeypatch.setenv(name, changes[name])
    config = make_config(**{name: value for name, value in changes.items() if not name.isupper()})
    with pytest.raises(ConfigError, match=reason):
        check_parallel(config)


def test_mixed_precision_does_not_go_with_mirroring(make_config):
    config = make_config(**{"parallel.amp": True, "parallel.devices": "gpu:0", "train.mirror": True})
    with pytest.raises(ConfigError, match="the mirrored graph has no casts"):
        check_parallel(config)


@pytest.mark.parametrize("start", [0, 3, 10, 25])
def test_servers_of_dist_async_apply_the_recipes_rates(make_config, start):
    """Two workers: a server counts two updates a step."""
    train = make_config(**{"train.warmup_steps": 6, "train.decay_epochs": [1, 2]}).train
    worker = Worker()
    worker.count, worker.updates_on_server = 2, True
    schedule = async_schedule(train, per_epoch=10, worker=worker, step=start)
    for step in range(start + 1, start + 30):
        expected = learning_rate(train, step=step, per_epoch=10)
        # MXNet's schedulers change after the update at which ours do, hence the one
        assert np.isclose(schedule(2 * (step - start) + (0 if step < 6 else 1)), expected), step
