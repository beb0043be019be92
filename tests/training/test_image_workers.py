"""Batches loaded by threads: the same arrays, in their order, and nothing left behind."""

import threading
import time

import cv2
import numpy as np
import pytest

from gluon_liver.data.ct_loader import CTLoader
from gluon_liver.errors import DatasetError
from gluon_liver.training import image_workers
from gluon_liver.training.image_workers import default_workers, load_ahead
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.loop import LossMeter, Waiting
from tests.training.conftest import records

ANCHORS = np.array([[x, y, x + 20, y + 20] for x in range(0, 44, 4) for y in range(0, 44, 4)], np.float32)
AUGMENT = {"flip": True, "scale": 0.2, "rotate": 5.0, "shift": 0.05, "noise": 5.0, "erase": 0.5}
BATCHES = [[0, 3], [1, 2], [5, 4], [0, 0], [7]]
OPTIONS = {"epoch": 1, "anchors": ANCHORS, "random_numbers": lambda rng: rng.random(3)}


@pytest.fixture
def make_inputs(tiny_dataset, make_config):
    def make(**changes):
        return TrainingInputs(make_config(**{"data.augment": AUGMENT, **changes}), tiny_dataset)

    return make


def load_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("load-images")]


def fields(batch):
    return {name: array.copy() for name, array in vars(batch).items()}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_change_no_bit_of_a_batch_and_not_the_order(make_inputs, workers):
    alone, inputs = make_inputs(), make_inputs(**{"train.loader_workers": workers})
    assert inputs.workers == workers
    loaded = list(map(fields, inputs.stream(BATCHES, **OPTIONS)))
    assert len(loaded) == len(BATCHES) and not load_threads()
    for indices, batch in zip(BATCHES, loaded):
        expected = fields(alone.load(indices, **OPTIONS))
        assert expected.keys() == batch.keys() and all(np.array_equal(expected[name], batch[name]) for name in expected)


class Arrays:
    """Stands for :class:`BatchArrays`: notes which images came into it."""

    def __init__(self, images):
        self.images = np.zeros((images, 1000), np.float32)

    def __len__(self):
        return len(self.images)

    def batch(self):
        return self


def noted(batches, *, workers, fill=None):
    """The iterator, and the list of images in the order in which they are begun."""
    begun, lock = [], threading.Lock()

    def note(arrays, row, number):
        with lock:
            begun.append(number)
        if fill is not None:
            fill(number)
        arrays.images[row] = number

    return load_ahead(batches, start=Arrays, fill=note, workers=workers), begun


def settled(begun):
    """The images that are begun when none has been for a while."""
    before = -1
    while before != len(begun):
        before = len(begun)
        time.sleep(0.1)
    return sorted(begun)


@pytest.mark.parametrize("workers, ahead", [(1, 2), (2, 2), (4, 3), (5, 4)])
def test_a_few_batches_are_loaded_ahead_and_no_more(workers, ahead, monkeypatch):
    """As many as keep the workers busy, and more where memory allows."""
    monkeypatch.setattr(image_workers, "AHEAD_BYTES", 0)
    loaded, begun = noted([[2 * step, 2 * step + 1] for step in range(40)], workers=workers)
    assert begun == [] and next(loaded).images[:, 0].tolist() == [0, 1]
    assert settled(begun) == list(range(2 + 2 * ahead))
    next(loaded)
    assert settled(begun) == list(range(4 + 2 * ahead))
    monkeypatch.setattr(image_workers, "AHEAD_BYTES", 5 * 2 * 1000 * 4)  # room for five batches
    next(loaded), next(loaded)
    assert settled(begun) == list(range(8 + 2 * max(ahead, 5)))
    monkeypatch.setattr(image_workers, "AHEAD_BYTES", 2**40)
    next(loaded), next(loaded)
    assert settled(begun) == list(range(12 + 2 * 8))
    loaded.close()
    assert not load_threads()


def test_images_of_a_batch_are_loaded_at_once():
    meeting = threading.Barrier(2, timeout=20)  # each waits for the other
    loaded, _ = noted([[0, 1], [2, 3]], workers=2, fill=lambda number: meeting.wait())
    assert [batch.images[:, 0].tolist() for batch in loaded] == [[0, 1], [2, 3]]


def test_closing_ends_the_threads_and_what_was_not_begun():
    go = threading.Event()
    loaded, begun = noted([[0, 1]] + [[2, 3]] * 20, workers=2, fill=lambda number: number < 2 or go.wait(20))
    next(loaded)
    threading.Timer(0.2, go.set).start()
    loaded.close()
    assert len(begun) <= 4 and not load_threads()


def test_opencv_has_its_threads_back():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        seen = []
        loaded, _ = noted([[0], [1]], workers=1, fill=lambda number: seen.append(cv2.getNumThreads()))
        assert [len(batch) for batch in loaded] == [1, 1]
        assert seen == [1, 1] and cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(
    "error, raised, message",
    [
        (DatasetError("the disk is gone"), DatasetError, "case-0000000001, slice 1 cannot be loaded: the disk is gone"),
        (ZeroDivisionError("oh"), RuntimeError, "case-0000000001, slice 1 cannot be loaded"),
    ],
)
def test_a_failing_image_is_named_where_its_batch_is_due(make_inputs, monkeypatch, error, raised, message):
    labelled = CTLoader.labelled

    def broken(self, label):
        if label.case.endswith("1") and label.slice == 1:
            raise error
        return labelled(self, label)

    monkeypatch.setattr(CTLoader, "labelled", broken)
    inputs = make_inputs(**{"train.loader_workers": 2})
    at = next(place for place, one in enumerate(inputs.labels) if one.case.endswith("1") and one.slice == 1)
    loaded = inputs.stream([[0, 1], [2, at], [0, 1]], **OPTIONS)
    next(loaded)
    with pytest.raises(raised) as caught:
        next(loaded)
    assert message in str(caught.value) and caught.value.__cause__ is error
    assert not load_threads()


def test_a_failing_image_ends_training_and_leaves_no_thread(train_tiny, monkeypatch):
    def broken(self, label):
        raise DatasetError("the disk is gone")

    monkeypatch.setattr(CTLoader, "labelled", broken)
    with pytest.raises(DatasetError, match=r"case-\d+.* cannot be loaded: the disk is gone"):
        train_tiny()
    assert not load_threads()


def test_an_interrupt_in_a_step_leaves_no_thread(train_tiny, monkeypatch):
    def interrupted(self, batch, *, learning_rate):
        raise KeyboardInterrupt

    monkeypatch.setattr("gluon_liver.training.trainer.DetectorTrainer.step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_tiny()
    assert not load_threads()


@pytest.mark.parametrize("value, expected", [("1", 1), ("3", 3), ("64", 8), ("2,1", 2), ("many", 5), ("", 5), ("0", 1)])
def test_by_default_there_are_as_many_as_mxnets_threads(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr("gluon_liver.system.runtime.usable_cores", lambda: (5, ""))
    assert default_workers() == expected


def test_the_share_of_waiting_by_hand():
    meter = LossMeter()
    meter.add({"total": 1.0}, images=2, waited=1.0, worked=3.0)
    meter.add({"total": 3.0}, images=2, waited=0.0, worked=4.0)
    record = meter.flush()
    assert record["losses"] == {"total": 2.0} and record["waited_for_images"] == 0.125
    meter.add({"total": 1.0}, images=2, waited=0.0, worked=1.0)
    assert meter.flush()["waited_for_images"] == 0.0 and LossMeter().flush()["waited_for_images"] == 0.0


def test_the_log_says_how_long_training_waited_and_the_end_what_to_do(train_tiny, monkeypatch, capsys):
    labelled = CTLoader.labelled

    def slow(self, label):
        time.sleep(0.05)
        return labelled(self, label)

    monkeypatch.setattr(CTLoader, "labelled", slow)
    monkeypatch.setattr("gluon_liver.training.loop.SECONDS_WORTH_A_NOTE", 0.0)
    monkeypatch.setattr("gluon_liver.training.trainer.DetectorTrainer.step", lambda *_, **__: _stepped(*_))
    run = train_tiny({"train.loader_workers": 1}, steps=4)
    shares = [record["waited_for_images"] for record in records(run, "step")]
    assert len(shares) == 4 and all(0.5 < share <= 1 for share in shares)
    (end,) = records(run, "end")
    assert 0.5 < end["waited_for_images"] <= 1
    error = capsys.readouterr().err
    assert "note: training waited for images" in error and "train.loader_workers, 1 here" in error


def _stepped(trainer, batch):
    trainer.step_count += 1
    return {"total": 1.0}


def test_no_note_where_training_hardly_waited():
    waiting = Waiting()
    waiting.add(1.0, 99.0)
    assert waiting.share == 0.01 and "1% of its time (0.0 minutes)" in waiting.note(2)
