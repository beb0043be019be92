"""What training says of its plan, its speed and its epochs."""

import pytest

from gluon_liver.system import terminal
from gluon_liver.training.progress import TrainingProgress, plan_text
from gluon_liver.training.step_counts import StepCounts
from gluon_liver.training.validation import Score

COUNTS = StepCounts(images=2, boxes=4, covered=3)


def steps(told, count, *, seconds=1.0, loss=0.5):
    for _ in range(count):
        told.step(loss, counts=COUNTS, images=2, seconds=seconds)


@pytest.fixture
def told(make_config, monkeypatch):
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: False, raising=False)
    return TrainingProgress(make_config(**{"train.batch_size": 2}), total=60, done=0, per_epoch=20, show=True)


def test_how_long_it_takes_is_said_after_ten_steps_and_not_of_the_first_two(told, capsys):
    steps(told, 2, seconds=50.0)
    steps(told, 7, seconds=2.0)
    assert capsys.readouterr().err == ""
    steps(told, 1, seconds=2.0)
    first = "1.0 images a second by the first 10 steps: an epoch takes about 40 s, all that is left about 2 min\n"
    assert capsys.readouterr().err == first


def test_an_epoch_is_a_line_with_its_own_means_and_what_is_left(told, capsys):
    steps(told, 20, loss=1.0)
    told.epoch(1, Score("val COCO mAP 0.250, AP50 0.500", 60, 4.0, 0.17), scorings_left=2)
    steps(told, 10, loss=0.2)
    steps(told, 10, loss=0.4)
    told.epoch(2, None, scorings_left=1)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]
    cost = "(60 images in 4 s, 17% of the time)"
    assert lines[0] == (
        "epoch 1 of 3: loss 1.000, rpn recall 0.75, 2.0 images/s, "
        f"val COCO mAP 0.250, AP50 0.500 {cost}, about 48 s left"
    )
    assert lines[1] == "epoch 2 of 3: loss 0.300, rpn recall 0.75, 2.0 images/s, about 24 s left"


def test_what_is_left_is_reckoned_by_the_last_epoch(told, capsys):
    steps(told, 20, seconds=30.0)
    told.epoch(1, None)
    steps(told, 20, seconds=1.0)
    told.epoch(2, None)
    assert capsys.readouterr().err.splitlines()[-1].endswith("2.0 images/s, about 20 s left")


def test_nothing_is_left_after_the_last_epoch_and_nothing_is_said_unasked(make_config, capsys):
    for show in (True, False):
        told = TrainingProgress(make_config(), total=20, done=18, per_epoch=10, show=show)
        with told:
            told.step(0.5, counts=StepCounts(images=2), images=2, seconds=1.0)
            told.step(0.5, counts=StepCounts(images=2), images=2, seconds=1.0)
            told.epoch(2, None)
        said = capsys.readouterr().err
        assert said == ("epoch 2 of 2: loss 0.500, rpn recall no boxes, 2.0 images/s\n" if show else "")


def test_the_plan_is_a_line(make_config, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    config = make_config(**{"train.batch_size": 4})
    text = plan_text(config, steps=60, per_epoch=20, done=0)
    assert text == "training: 3 epochs of 20 steps, 4 images a step, on cpu with 2 threads"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = plan_text(config, steps=25, per_epoch=20, done=8, workers=3)
    assert text == "training: 25 steps, 4 images a step, on cpu of 3 processes each with 1 thread; 8 steps are done"
