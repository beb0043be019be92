"""Epochs scored on held-out patients: on which, what is logged, and that the best one is what evaluation reads."""

import dataclasses
import json
from unittest.mock import Mock

import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.splits import Splits
from gluon_liver.errors import DatasetError
from gluon_liver.evaluation.run_note import run_note
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.metrics.coco import coco_average_precision
from gluon_liver.runs.log import read_log
from gluon_liver.training import validation
from gluon_liver.training.train import train
from gluon_liver.training.validation import Validation, evenly, scored_labels, scored_split

from .conftest import make_trainer, parameters, records

SCORED = {"network.head.score_threshold": 0.0}


def split_of(dataset, *, train=(), val=(), test=()):
    """The tiny data with patients of these numbers in each split."""
    names = [info.patient for info in dataset.cases]
    parts = [tuple(names[number] for number in numbers) for numbers in (train, val, test)]
    return dataclasses.replace(dataset, splits=Splits(*parts, 0))


@pytest.fixture
def validated(tiny_dataset):
    """The tiny data with a val split: patients 0 and 1 to train, 2 for val, 3 to test."""
    return split_of(tiny_dataset, train=(0, 1), val=(2,), test=(3,))


@pytest.fixture
def validation_of(make_config):
    """validation_of(dataset, {...}): a Validation of a fresh network."""

    def make(dataset, changes):
        config = make_config(**changes)
        trainer = make_trainer(config, dataset)
        return Validation(config, dataset, trainer.detector, context=trainer.contexts[0])

    return make


@pytest.mark.parametrize("choice", ["train.validate", "train.best_epoch"])
def test_the_val_split_is_scored_wherever_there_is_one_and_never_the_test_split(validated, validation_of, choice):
    scorer = validation_of(validated, {choice: True})
    assert scorer.split == "val"
    assert {label.case for label in scorer.labels} == {validated.cases[2].case}
    assert scorer.text() == "epochs are scored on 3 of 3 images of the val split, 2 with boxes"


def test_null_scores_where_there_is_a_val_split_and_says_why_not_elsewhere(validated, tiny_dataset, make_config):
    assert scored_labels(make_config(**{"train.validate": None}), validated)[0] == "val"
    with pytest.raises(DatasetError, match="^[^:]* has no val split: import"):
        scored_labels(make_config(**{"train.validate": None}), tiny_dataset)


@pytest.mark.slow
def test_a_run_without_a_val_split_is_trained_and_says_that_it_is_not_scored(
    make_config, tiny_dataset, tmp_path, capsys
):
    config = make_config(**{"train.validate": None})
    run = train(config, tiny_dataset, tmp_path / "run", steps=1)
    assert not records(run, "score")
    said = capsys.readouterr().err
    assert "epochs are not scored: " in said and "has no val split: import with a share" in said
    assert "training: 1 steps, " in said and "epoch 1 of 1: loss " in said


@pytest.mark.slow
def test_scores_come_every_few_epochs_and_after_the_last_with_their_cost(make_config, validated, tmp_path, capsys):
    changes = {"train.validate": None, "train.validate_every": 2, "train.checkpoint_every": 5, "train.epochs": 3}
    run = train(make_config(**{**SCORED, **changes}), validated, tmp_path / "run")
    scores = records(run, "score")
    assert [one["epoch"] for one in scores] == [2, 3]
    assert all(0 < one["seconds"] < 60 and 0 < one["share_of_time"] < 1 for one in scores)
    assert [one["epoch"] for one in records(run, "checkpoint")] == [2, 3]  # what is scored is kept
    said = capsys.readouterr().err
    assert (
        "every 2 epochs, and after the last, training is scored on 3 of 3 images of the val split, 2 with boxes" in said
    )
    lines = [line for line in said.splitlines() if line.startswith("epoch ")]
    assert [("val COCO mAP" in line, " left" in line) for line in lines] == [(False, True), (True, True), (True, False)]
    assert "(3 images in " in lines[1] and "% of the time)" in lines[1]


def test_the_test_split_chooses_where_there_is_no_val_split_and_this_is_said(tiny_dataset, validation_of, make_config):
    chooses = validation_of(tiny_dataset, {"train.best_epoch": True})
    assert chooses.split == "test" and "the data have no val split, and results on test" in chooses.text()
    with pytest.raises(DatasetError, match=r"train.validate is true, but .* has no val split: import .*--split-frac"):
        scored_split(make_config(**{"train.validate": True}), tiny_dataset)


def test_what_cannot_be_scored_is_told_before_there_is_a_run(validated, train_tiny, validation_of, tmp_path):
    bare = [dataclasses.replace(one, boxes=one.boxes[:0], labels=one.labels[:0]) for one in validated.labels]
    of_val = {label.image_id for label in validated.labels_of("val")}
    unlabelled = dataclasses.replace(
        validated, labels=[label for label in validated.labels if label.image_id not in of_val]
    )
    with pytest.raises(DatasetError, match="val split of .* has 1 cases and no labelled image"):
        train_tiny({"train.best_epoch": True}, dataset=unlabelled)  # no reason to choose on test
    with pytest.raises(DatasetError, match="of the 3 images of the val split 3 are scored, none with a box"):
        validation_of(dataclasses.replace(validated, labels=bare), {"train.validate": True})
    nothing = split_of(validated, train=(0, 1, 2, 3))
    with pytest.raises(DatasetError, match="the val and test splits of .* have no labelled image"):
        train_tiny({"train.best_epoch": True}, dataset=nothing)
    assert not (tmp_path / "run").exists()


def test_the_images_that_are_scored_are_evenly_spaced():
    assert evenly([*range(12)], None) == evenly([*range(12)], 12) == evenly([*range(12)], 20) == [*range(12)]
    assert evenly([*range(12)], 3) == [2, 6, 10] and evenly([*range(5)], 1) == [2]


def test_the_best_epoch_is_by_map_and_of_equal_ones_the_first(validated, validation_of, monkeypatch):
    scores = iter([(0.2, 0.9), (0.5, 0.6), (0.5, 0.8), (0.4, 0.95)])  # COCO mAP and AP50

    def table(*args):
        score, ap50 = next(scores)
        return {"ap": {"mean": score}, "ap50": {"mean": ap50}}

    monkeypatch.setattr(validation, "detect_labelled", lambda *args, **options: [])
    monkeypatch.setattr(validation, "coco_average_precision", table)
    scorer, run = validation_of(validated, {"train.best_epoch": True}), Mock(board=None)
    for epoch in range(1, 5):
        scorer.score(run, step=3 * epoch, epoch=epoch)
    assert scorer.record == {"checkpoint": "step-00000006", "step": 6, "epoch": 2, "map": 0.5, "split": "val"}


@pytest.mark.slow
def test_a_run_is_validated_and_its_training_is_not_touched(validated, train_tiny, tmp_path):
    plain = train_tiny(SCORED, dataset=validated, folder=tmp_path / "plain")
    run = train_tiny({**SCORED, "train.validate": True}, dataset=validated)
    scores = records(run, "score")
    assert [(one["epoch"], one["split"], one["images"]) for one in scores] == [(1, "val", 3), (2, "val", 3)]
    first, second = parameters(plain), parameters(run)
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
    assert not (run.folder / "best.json").exists()  # to score is not to choose
    detector, name = SliceDetector.from_run(run)
    results = detect_labelled(detector, validated, validated.labels_of("val"), progress=False)
    table = coco_average_precision(results, validated.classes)
    assert name == "step-00000006" and len(results) == 3
    assert (scores[-1]["map"], scores[-1]["ap50"]) == (table["ap"]["mean"], table["ap50"]["mean"])
    few = train_tiny(
        {**SCORED, "train.validate": True, "train.validation_images": 2}, dataset=validated, folder=tmp_path / "few"
    )
    assert [one["images"] for one in records(few, "score")] == [2, 2]


@pytest.mark.slow
def test_evaluation_reads_the_best_epoch_of_a_ct_run_and_says_so(validated, train_tiny, monkeypatch):
    scores = iter([0.2, 0.7, 0.4])
    monkeypatch.setattr(validation, "detect_labelled", lambda *args, **options: [])
    table = {"ap50": {"mean": 0.9}}
    monkeypatch.setattr(validation, "coco_average_precision", lambda *args: {**table, "ap": {"mean": next(scores)}})
    run = train_tiny({"train.best_epoch": True, "train.epochs": 3, "train.keep_checkpoints": 1}, dataset=validated)
    assert json.loads((run.folder / "best.json").read_text())["epoch"] == 2
    assert SliceDetector.from_run(run)[1] == "step-00000006"
    assert "the best epoch of the run by COCO mAP on the val split" in run_note(run, validated, "test")
    assert "the choice favours it" in run_note(run, validated, "val")
    assert "the choice favours it" not in run_note(run, validated, "test")


@pytest.mark.slow
def test_a_validated_run_goes_on_to_the_same_bytes_scores_and_choice(
    validated, train_tiny, stop_after, monkeypatch, tmp_path
):
    def mean_score(results, classes):  # of a network that has learned little: its AP is 0
        mean = float(np.mean([score for result in results for score in result.scores]))
        return {"ap": {"mean": mean}, "ap50": {"mean": mean}}

    monkeypatch.setattr(validation, "coco_average_precision", mean_score)
    changes = {**SCORED, "train.best_epoch": True, "train.epochs": 3}
    whole = train_tiny(changes, dataset=validated, folder=tmp_path / "whole")
    for step in (2, 3, 8, None):  # within an epoch of 3 steps, at its end, within the last
        if step is not None:
            stop_after(step)
        run = train_tiny(changes, dataset=validated, resume="auto")
    first, second = parameters(whole), parameters(run)
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
    fields = ("step", "epoch", "map", "ap50")
    one, other = (
        [[r[f] for f in fields] for r in read_log(each.folder / "log.jsonl") if r["event"] == "score"]
        for each in (whole, run)
    )
    assert one == other and [score[0] for score in one] == [3, 6, 9] and len({score[2] for score in one}) == 3
    assert (whole.folder / "best.json").read_text() == (run.folder / "best.json").read_text()


def test_the_data_of_these_tests_have_a_val_split(validated):
    assert isinstance(validated, CTDataset) and len(validated.labels_of("val")) == 3
