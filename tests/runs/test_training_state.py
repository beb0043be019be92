"""Going on from a saved optimiser state equals never having stopped, bit for bit."""

import dataclasses

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon
from mxnet.gluon import nn

from gluon_liver.errors import RunError
from gluon_liver.runs.checkpoint import load_checkpoint, load_state, save_checkpoint
from gluon_liver.runs.training_state import TrainingState, optimizer_state, restore_optimizer

OPTIMIZERS = {
    "momentum": ("sgd", {"momentum": 0.9, "wd": 0.01}),
    "sgd": ("sgd", {"wd": 0.01}),
    "adam": ("adam", {"wd": 0.01}),
}


class Net(nn.HybridSequential):
    """Six learned arrays (more than MXNet updates at once), two frozen ones, and running statistics."""

    classes = ("cyst", "hcc")

    def __init__(self, devices, seed=0):
        super().__init__()
        mx.random.seed(seed)
        with self.name_scope():
            self.add(nn.Dense(5, in_units=4, activation="tanh"), nn.BatchNorm(in_channels=5, use_global_stats=True))
            self.add(nn.Dense(3, in_units=5), nn.Dense(1, in_units=3))
        self.initialize(mx.init.Xavier(), ctx=devices)
        for parameter in self[2].collect_params().values():
            parameter.grad_req = "null"

    def collect_learned(self):
        return self._collect_params_with_prefix()


class Training:
    """A net, its trainer and the steps it has done, on ``count`` CPU devices."""

    def __init__(self, kind, count=1, *, rate=0.05, seed=0):
        self.devices = [mx.cpu(number) for number in range(count)]
        self.net = Net(self.devices, seed)
        name, options = OPTIMIZERS[kind]
        learned = [p for p in self.net.collect_learned().values() if p.grad_req != "null"]
        store = dict(kvstore="device" if count > 1 else None, update_on_kvstore=False)
        self.trainer = gluon.Trainer(learned, name, dict(options, learning_rate=rate), **store)
        self.name, self.done = name, 0

    def steps(self, count):
        for _ in range(count):
            rng = np.random.default_rng(self.done)
            batch = mx.nd.array(rng.normal(size=(8, 4)))
            with autograd.record():
                losses = [(self.net(part) ** 2).sum() for part in gluon.utils.split_and_load(batch, self.devices)]
            autograd.backward(losses)
            self.trainer.step(8)
            self.done += 1
        return self

    def save(self, folder):
        counts, arrays = optimizer_state(self.trainer, self.net.collect_learned())
        state = TrainingState(self.done, 0, self.done, 0, self.name, counts, arrays)
        return save_checkpoint(folder, self.net, step=self.done, epoch=0, state=state)

    def resume(self, path):
        load_checkpoint(path, self.net)
        state = load_state(path)
        restore_optimizer(self.trainer, self.net.collect_learned(), state)
        self.done = state.step
        return self

    def values(self, device=0):
        return {name: p.data(self.devices[device]).asnumpy() for name, p in self.net.collect_learned().items()}


def same(one, other):
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("stop", [0, 1, 4])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_going_on_is_bit_equal(tmp_path, kind, count, stop):
    whole = Training(kind, count).steps(7)
    path = Training(kind, count).steps(stop).save(tmp_path)
    resumed = Training(kind, count, seed=5).resume(path).steps(7 - stop)
    assert all(same(whole.values(), resumed.values(device)) for device in range(count))
    again, first = (load_state(one.save(tmp_path / name)) for one, name in ((resumed, "again"), (whole, "whole")))
    assert again.update_counts == first.update_counts == dict.fromkeys(first.update_counts, 7)
    assert len(first.update_counts) == 6
    assert same(*({name: a.asnumpy() for name, a in state.arrays.items()} for state in (first, again)))
    assert whole.trainer.optimizer.num_update == resumed.trainer.optimizer.num_update == 7


@pytest.mark.parametrize("kind", ["momentum", "adam"])
def test_without_the_state_it_would_not_be_equal(tmp_path, kind):
    whole = Training(kind).steps(7)
    path = Training(kind).steps(4).save(tmp_path)
    bare = Training(kind)
    load_checkpoint(path, bare.net)
    bare.done = 4
    assert not same(whole.values(), bare.steps(3).values())
    if kind == "adam":  # nor without the counts alone
        state, resumed = load_state(path), Training(kind).resume(path)
        state = dataclasses.replace(state, update_counts=dict.fromkeys(state.update_counts, 1))
        restore_optimizer(resumed.trainer, resumed.net.collect_learned(), state)
        assert not same(whole.values(), resumed.steps(3).values())


@pytest.mark.parametrize("counts", [(1, 4), (4, 1), (2, 4)])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_going_on_with_other_devices(tmp_path, kind, counts):
    whole = Training(kind, counts[0]).steps(7).values()
    path = Training(kind, counts[0]).steps(4).save(tmp_path)
    resumed = Training(kind, counts[1], seed=5).resume(path).steps(3)
    for device in range(counts[1]):
        found = resumed.values(device)
        assert all(np.allclose(whole[name], found[name], rtol=0, atol=1e-6) for name in whole)


@pytest.mark.parametrize("count", [1, 4])
def test_a_trainer_that_had_begun_is_set_back(tmp_path, count):
    """Nothing of the updates before the restoring is left."""
    path = Training("adam", count).steps(2).save(tmp_path)
    used = Training("adam", count, seed=5).steps(5).resume(path).steps(1)
    assert same(Training("adam", count).steps(3).values(), used.values(count - 1))
    assert used.trainer.optimizer.num_update == 3


def test_the_learning_rate_is_the_new_one_and_the_state_a_copy(tmp_path):
    path = Training("momentum").steps(2).save(tmp_path)
    slow, fast = (Training("momentum", rate=rate).resume(path).steps(1).values() for rate in (0.05, 0.5))
    assert not same(slow, fast)
    assert Training("momentum", rate=0.5).resume(path).trainer.learning_rate == 0.5
    # a state is a copy
    training = Training("momentum").steps(1)
    _, arrays = optimizer_state(training.trainer, training.net.collect_learned())
    before = {name: array.asnumpy() for name, array in arrays.items()}
    training.steps(1)
    assert all(np.array_equal(before[name], array.asnumpy()) for name, array in arrays.items())


WEIGHT = "momentum/0.weight"
FROZEN_TOO = dict.fromkeys("0.bias 0.weight 1.beta 1.gamma 2.bias 3.bias 3.weight".split(), 2)


@pytest.mark.parametrize(
    "change, message",  # of the state's fields, or of its arrays: None takes one away
    [
        ({"optimizer": "adam"}, "trained with adam, not with sgd"),
        ({WEIGHT: mx.nd.zeros((4, 5))}, r"momentum/0.weight of the checkpoint is default \(4, 5\) float32"),
        ({WEIGHT: mx.nd.zeros((5, 4), dtype="float64")}, "float64, not a dense array .* float32"),
        ({WEIGHT: mx.nd.zeros((5, 4)).tostype("row_sparse")}, "is row_sparse"),
        ({WEIGHT: mx.nd.full((5, 4), np.nan)}, "momentum/0.weight of the checkpoint holds values .* not finite"),
        ({"momentum/9.weight": mx.nd.zeros((5, 4))}, "have 'momentum/9.weight'"),
        ({"velocity": mx.nd.zeros(1)}, "have 'velocity'"),
        ({WEIGHT: None}, "lack 'momentum/0.weight'"),
        ({"arrays": {}}, "lack 'momentum/0.bias' and more"),
        ({"update_counts": {}}, "update counts lack '0.bias' and more"),
        ({"update_counts": FROZEN_TOO}, "have '2.bias'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_set(tmp_path, change, message):
    state = load_state(Training("momentum").steps(2).save(tmp_path))
    if not set(change) <= set(vars(state)):
        arrays = {name: array for name, array in {**state.arrays, **change}.items() if array is not None}
        change = {"arrays": arrays}
    other = Training("momentum", seed=5).steps(1)
    with pytest.raises(RunError, match=message):
        restore_optimizer(other.trainer, other.net.collect_learned(), dataclasses.replace(state, **change))
    assert same(other.steps(1).values(), Training("momentum", seed=5).steps(2).values())


def test_momentum_that_was_not_there_before_is_refused(tmp_path):
    for first, second in (("sgd", "momentum"), ("momentum", "sgd")):
        path = Training(first).steps(1).save(tmp_path / first)
        with pytest.raises(RunError, match="(lack|have) 'momentum/0.bias' and more"):
            Training(second).resume(path)


def test_a_state_on_servers_cannot_be_had():
    net = Net([mx.cpu(0), mx.cpu(1)])
    learned = [p for p in net.collect_learned().values() if p.grad_req != "null"]
    for options in ({"kvstore": "device", "update_on_kvstore": True}, {"kvstore": "dist_async"}):
        with pytest.raises(RunError, match="key-value store"):
            optimizer_state(gluon.Trainer(learned, "adam", **options), net.collect_learned())
