"""Which frame of a stream is the previous one: kept features, the training's step, and another rate."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.config.inputs import DataConfig
from gluon_liver.config.schema import Config
from gluon_liver.errors import InputError
from gluon_liver.inference.engine import StreamRows
from gluon_liver.inference.frame_step import choose_step, every_nth, step_notes
from gluon_liver.inference.stream import StreamDetector

SIZE = 16


class FakeEngine:
    """Keeps a frame's level; of two frames the level of the previous one is the flow."""

    frames = 2

    def stream(self):
        return self

    def read(self, frame):
        return round(float(frame.mean()) * 255)

    def detect(self, current, previous):
        return StreamRows(np.full((1, 6), -1, np.float32), np.full((2, SIZE, SIZE), previous, np.float32))


class FakeDetector:
    classes, engine = ("tumor", "vessel"), FakeEngine()
    config = Config(model="us-flow", data=DataConfig(size=SIZE))


@pytest.fixture
def previous_of():
    """previous_of(stream, number): the level of the frame, all of one level, that frame ``number`` is compared with."""

    def previous(stream, number=None, level=None):
        level = number if level is None else level
        return stream.detect(np.full((SIZE, SIZE, 3), level, np.uint8), number).flow[0, 0, 0]

    return previous


@pytest.mark.parametrize(
    "step, numbers, expected, alone",
    [
        (1, [0, 1, 2, 3], [0, 0, 1, 2], 1),
        (3, [0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 0, 1, 2, 3], 3),
        (6, [12, 18, 24, 36, 42], [12, 12, 18, 36, 36], 2),  # 30 is not there
        (6, [0, 3, 6, 9, 12], [0, 3, 0, 3, 6], 2),
        (4, [0, 3, 6, 9], [0, 3, 6, 9], 4),
    ],
)
def test_the_frame_a_step_before_is_compared_with(previous_of, step, numbers, expected, alone):
    stream = StreamDetector(FakeDetector(), step=step)
    assert [previous_of(stream, number) for number in numbers] == expected
    assert stream.alone == alone and len(stream._seen) <= step
    stream.restart()
    assert previous_of(stream, 2) == 2


def test_frames_without_a_number_follow_each_other(previous_of):
    stream = StreamDetector(FakeDetector(), step=2)
    assert [previous_of(stream, level=level) for level in (50, 60, 70, 80)] == [50, 60, 50, 60]
    with pytest.raises(ValueError, match="frame 3 comes after frame 3"):
        previous_of(stream, 3)


def test_the_step_of_a_stream():
    assert choose_step({}, step=None, every=1) == choose_step({"step": 1}, step=None, every=1) == 1
    assert [choose_step({"step": 6}, step=None, every=every) for every in (1, 2, 3, 4, 6, 12)] == [6, 6, 6, 4, 6, 12]
    assert choose_step({"step": 6}, step=8, every=4) == 8
    with pytest.raises(InputError, match="--step 6 with --every 4.*a multiple of 4"):
        choose_step({}, step=6, every=4)


@pytest.mark.parametrize(
    "trained, step, rate, said",
    [
        (
            {"step": 6, "frames_per_second": [25.0]},
            6,
            25.0,
            ["6 before (0.24 s at 25 frames a second), as in training"],
        ),
        ({"step": 6, "frames_per_second": [25.0, 30.0]}, 6, 30.0, ["as in training"]),
        (
            {"step": 6, "frames_per_second": [25.0]},
            6,
            50.0,
            [
                "as in training",
                "is 0.12 s before, in training it was 0.24 s: the network learned other motion; --step 12",
            ],
        ),
        ({"step": 6, "frames_per_second": [25.0]}, 12, 50.0, ["in training it was 6 before (0.24 s at 25"]),
        (
            {"step": 1, "frames_per_second": [50.0]},
            1,
            10.0,
            ["as in training", "0.1 s before, in training it was 0.02 s"],
        ),
        ({"step": 6, "frames_per_second": [25.0]}, 6, None, ["6 before, as in", "rate of this recording is not known"]),
        ({}, 1, 25.0, ["as in training", "the rate of the training recordings is not known"]),
    ],
)
def test_what_is_said_of_the_previous_frame(trained, step, rate, said):
    notes = step_notes(trained, step=step, every=1, rate=rate)
    assert len(notes) == len(said) and all(words in note for words, note in zip(said, notes))
    if step == 1 and rate == 10.0:
        assert "--step" not in notes[1]  # none is nearer


def test_the_step_that_is_advised_is_one_that_can_be_given():
    trained = {"step": 6, "frames_per_second": [25.0]}
    for every, step, best in ((4, 4, None), (4, 12, 4), (5, 10, 5), (2, 2, 6), (1, 1, 6), (8, 16, 8)):
        told = step_notes(trained, step=step, every=every, rate=25.0)[1]
        assert f"--step {best} is" in told if best else "--step" not in told
        assert choose_step(trained, step=best or step, every=every)


def test_every_nth_frame_by_number():
    numbered = [(number, str(number)) for number in (13, 14, 18, 19, 25, 30)]
    assert [number for number, _ in every_nth(iter(numbered), 6)] == [13, 19, 25]
    assert list(every_nth(iter(numbered), 1)) == numbered and list(every_nth(iter([]), 3)) == []
