"""Batches on their way to devices: the same numbers by way of page-locked memory, ahead of use and without mixing.

The contexts are those of the CPU; of MXNet's CPU build, page-locked memory is plain memory under its own context.
"""

import threading

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.training import staging as module
from gluon_liver.training.batches import Batch
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.staging import Staging
from gluon_liver.training.trainer import LOSS_TARGETS, NETWORK_INPUTS

from .conftest import load_batch, make_trainer, parameters, records

FIELDS = NETWORK_INPUTS + LOSS_TARGETS


def make_batch(images, *, value=0.0):
    """A batch of ``images`` whose numbers tell the image, the field and ``value``."""
    shapes = {"images": (1, 1, 1, 2, 2), "gt_boxes": (3, 4), "gt_labels": (3,), "rpn_labels": (5,)}
    shapes.update({"rpn_targets": (5, 4), "random_numbers": (7,), "present": (1,)})
    rows = np.arange(images, dtype=np.float32)
    return Batch(
        **{
            name: value + 100 * place + np.ones((images, *shape), np.float32) * rows.reshape(-1, *[1] * len(shape))
            for place, (name, shape) in enumerate(shapes.items())
        }
    )


def on_devices(staged):
    """For each part and device the arrays as NumPy."""
    taken = [[share.take() for share in shares] for shares in staged.parts]
    return [[{name: array.asnumpy() for name, array in one.items()} for one in shares] for shares in taken]


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("devices, accumulate, images", [(1, 1, 3), (2, 1, 5), (2, 3, 7), (4, 2, 8)])
def test_every_device_gets_its_images_and_no_other(pinned, devices, accumulate, images):
    contexts = [mx.cpu(index) for index in range(devices)]
    staging = Staging(contexts, accumulate=accumulate, fields=FIELDS, pinned=pinned)
    batch = make_batch(images)
    staged = staging.stage(batch)
    assert [len(shares) for shares in staged.parts] == [devices] * accumulate
    assert sum(len(share) for shares in staged.parts for share in shares) == images
    taken = [[share.take() for share in shares] for shares in staged.parts]
    for shares in taken:
        assert [one["images"].context for one in shares] == contexts
    for name in FIELDS:
        rows = [one[name].asnumpy() for shares in taken for one in shares]
        assert np.array_equal(np.concatenate(rows), getattr(batch, name)), name
    assert staged.batch is batch and set(taken[0][0]) == set(FIELDS)


def test_gpus_alone_take_page_locked_memory():
    assert not Staging([mx.cpu(0), mx.cpu(1)], accumulate=1, fields=FIELDS).pinned
    assert Staging([mx.gpu(0), mx.gpu(1)], accumulate=1, fields=FIELDS).pinned  # makes no context


def test_what_is_copied_lies_in_page_locked_memory_of_its_device_and_stays_there(monkeypatch):
    made = []
    empty = mx.nd.empty
    monkeypatch.setattr(mx.nd, "empty", lambda shape, ctx: made.append(ctx) or empty(shape, ctx=ctx))
    staging = Staging([mx.cpu(0), mx.cpu(1)], accumulate=1, fields=["images"], pinned=True)
    for value in range(6):
        staging.stage(make_batch(2, value=value))
    assert made == 2 * [mx.cpu_pinned(0), mx.cpu_pinned(1)]  # two steps' worth, made once
    staging.stage(make_batch(4))
    assert len(made) == 6  # another size


@pytest.mark.parametrize("pinned", [False, True])
def test_the_copies_begin_with_what_the_devices_start_with(pinned, monkeypatch):
    sent = []
    copy = module._copy
    monkeypatch.setattr(module, "_copy", lambda array, context: sent.append(array.shape) or copy(array, context))
    staging = Staging([mx.cpu(0), mx.cpu(1)], accumulate=2, fields=["images"], pinned=pinned)
    staged = staging.stage(make_batch(4))
    assert len(sent) == (2 if pinned else 0)
    on_devices(staged)
    assert len(sent) == 4  # none of them twice


def test_a_batch_staged_ahead_leaves_the_one_in_use_alone():
    """Also the parts of it that are sent later."""
    staging = Staging([mx.cpu()], accumulate=3, fields=FIELDS, pinned=True)
    for value in range(0, 3000, 1000):
        first, second = make_batch(3, value=value), make_batch(3, value=value + 500)
        staged = staging.stage(first), staging.stage(second)
        for one, batch in zip(staged, (first, second)):
            found = on_devices(one)
            assert all(found[part][0]["images"][0].min() == batch.images[part].min() for part in range(3))


@pytest.mark.parametrize("pinned", [False, True])
def test_batches_come_in_order_one_ahead_where_page_locked(pinned):
    made, threads = [], set()

    def batches():
        for value in range(4):
            made.append(value)
            threads.add(threading.get_ident())
            yield make_batch(2, value=1000 * value)

    staging = Staging([mx.cpu(0), mx.cpu(1)], accumulate=1, fields=FIELDS, pinned=pinned)
    stream = staging.ahead(batches())
    for value in range(4):
        staged = next(stream)
        if not pinned:
            assert made == list(range(value + 1))
        assert on_devices(staged)[0][1]["images"].min() == 1000 * value + 1
    assert next(stream, None) is None and made == [0, 1, 2, 3]
    assert (threading.get_ident() in threads) != pinned


def test_the_next_batch_is_made_while_one_is_in_use():
    made = threading.Semaphore(0)

    def batches():
        for value in range(3):
            yield make_batch(1, value=value)
            made.release()  # the one before is staged, and another one asked for

    stream = Staging([mx.cpu()], accumulate=1, fields=FIELDS, pinned=True).ahead(batches())
    next(stream)
    assert made.acquire(timeout=30)


def test_an_error_of_loading_comes_with_its_batch():
    def batches():
        yield make_batch(1)
        raise OSError("the disk is gone")

    stream = Staging([mx.cpu()], accumulate=1, fields=FIELDS, pinned=True).ahead(batches())
    assert on_devices(next(stream))
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [{}, {"devices": "cpu:2"}, {"devices": "cpu:2", "accumulate": 2}], ids=str)
def test_training_by_way_of_page_locked_memory_is_training(tiny_dataset, make_config, parallel):
    changes = {"network.batch_norm": "frozen", "train.batch_size": 4}

    def steps(pinned):
        trainer = make_trainer(make_config(parallel=parallel, **changes), tiny_dataset)
        trainer.staging.pinned = pinned
        indices = TrainingInputs(trainer.config, tiny_dataset).batches(epoch=0)[:3]
        batches = trainer.ahead(load_batch(trainer, tiny_dataset, one) for one in indices)
        losses = [trainer.step(batch, learning_rate=0.01) for batch in batches]
        learned = trainer.detector.collect_learned()
        return losses, {name: parameter.list_data()[-1].asnumpy() for name, parameter in learned.items()}

    (losses, weights), (expected_losses, expected) = steps(True), steps(False)
    assert losses == expected_losses and len(losses) == 3
    assert all(np.array_equal(weights[name], value) for name, value in expected.items())


@pytest.mark.slow
def test_a_run_by_way_of_page_locked_memory_writes_the_same_bytes(train_tiny, monkeypatch, tmp_path):
    whole = train_tiny({"train.epochs": 1}, folder=tmp_path / "plain", steps=3)
    monkeypatch.setattr(Staging, "pinned", property(lambda self: True, lambda self, value: None), raising=False)
    pinned = train_tiny({"train.epochs": 1}, steps=3)
    ours, theirs = parameters(pinned), parameters(whole)
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    losses = [[record["losses"] for record in records(run, "step")] for run in (whole, pinned)]
    assert losses[0] == losses[1]
