"""What epochs show of the data, by hand: slices of lesions, classes in balance, epochs of a chosen length."""

from collections import Counter

import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.data.augment import augment
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.samples import epoch_order
from gluon_liver.errors import ConfigError
from gluon_liver.runs.run import Run
from gluon_liver.training import inputs as inputs_module
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.sampler import STARTS, EpochSampler, balance, lesion_images, spaced, spread
from gluon_liver.training.train import train

from .conftest import parameters, records

SEEDS = (0, 1, 2)


def config_of(**keys):
    data = {key: keys.pop(key) for key in list(keys) if key not in ("seed", "images_per_epoch")}
    return build_config({"data": data, "train": keys})


def labels_of(kinds, *, cases=None):
    """An image for each of ``kinds``: the classes of its boxes, which lie at 10 pixels from each other."""
    result = []
    for number, classes in enumerate(kinds):
        boxes = np.array([[30 * at, 0, 30 * at + 20, 20] for at in range(len(classes))], np.float32).reshape(-1, 4)
        case = cases[number] if cases else "case-a"
        labels = np.array(classes, np.int32)
        result.append(CTLabel(number + 1, case, number, 200, 200, boxes, labels, "arterial"))
    return result


def indices(sampler, labels, epoch):
    return [number % len(labels) for number in sampler.epoch(epoch)]


@pytest.mark.parametrize("count, order", [(1, [0]), (2, [1, 0]), (3, [1, 0, 2]), (8, [4, 2, 6, 1, 5, 3, 7, 0])])
def test_every_beginning_of_an_order_is_spread(count, order):
    assert spread(count) == order


def test_an_order_has_everything_once():
    assert all(sorted(spread(count)) == list(range(count)) for count in range(1, 70))


def test_spaced_by_hand():
    # 12 slices, 3 of them: 4 turns, of which the first begins at place 2 of 4
    assert [spaced(12, 3, turn=turn, start=0) for turn in range(4)] == [[2, 6, 10], [1, 5, 9], [3, 7, 11], [0, 4, 8]]
    assert spaced(12, 3, turn=4, start=0) == [2, 6, 10]
    assert spaced(5, 1, turn=0, start=STARTS - 1) == [2]
    assert spaced(2, 3, turn=7, start=5) == [0, 1] and spaced(1, 1, turn=3, start=9) == [0]
    # 10 slices, 3 of them: 10/3 between them, and half of 1/4 of it more with the start in the middle
    assert spaced(10, 3, turn=1, start=STARTS // 2) == [1, 4, 7]


@pytest.mark.parametrize("start", [0, 1, 40000, STARTS - 1])
def test_every_place_is_there_once_or_twice_in_the_fewest_turns(start):
    for total in range(1, 45):
        for count in range(1, 8):
            turns = -(-total // count)
            for first in (0, 3):
                chosen = [spaced(total, count, turn=turn, start=start) for turn in range(first, first + turns)]
                seen = Counter(place for places in chosen for place in places)
                assert set(seen) == set(range(total)) and max(seen.values()) <= 2
                assert all(len(places) == min(total, count) for places in chosen)
                gaps = {after - before for places in chosen for before, after in zip(places, places[1:])}
                assert gaps <= {total // min(total, count), -(-total // min(total, count))}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_slice_of_a_lesion_is_seen_in_the_passes_that_it_takes(seed):
    labels = labels_of([[0]] * 40)
    lesions = [list(range(7)), list(range(7, 33)), [33], [34, 39]]
    sampler = EpochSampler(config_of(slices_per_lesion=3, seed=seed), labels, lesions=lesions)
    epochs = [indices(sampler, labels, epoch) for epoch in range(9)]
    assert sampler.images == 3 + 3 + 1 + 2 and all(len(epoch) == 9 for epoch in epochs)
    for epoch in epochs:
        assert [len(set(epoch) & set(lesion)) for lesion in lesions] == [3, 3, 1, 2]
    assert set(epochs[0]) | set(epochs[1]) | set(epochs[2]) >= set(lesions[0])  # ceil(7 / 3) passes
    assert set().union(*epochs) == {*range(35), 39}  # ceil(26 / 3) passes; 35 to 38 are of no lesion


def test_lesions_begin_at_places_of_their_own_so_that_no_epoch_is_all_middles():
    labels = labels_of([[0]] * 900)
    lesions = [list(range(9 * at, 9 * at + 9)) for at in range(100)]
    for seed in SEEDS:
        sampler = EpochSampler(config_of(slices_per_lesion=1, seed=seed), labels, lesions=lesions)
        for epoch in range(3):
            places = Counter(index % 9 for index in sampler.epoch(epoch))
            assert len(places) == 9 and max(places.values()) < 30


def test_images_that_lesions_share_are_there_once_and_passes_follow_each_other():
    """Two lesions of four slices, two of them shared: a pass has 1 or 2 images, an epoch as many as the first pass."""
    labels = labels_of([[0], [0], [0, 0], [0, 0], [0], [0]])
    sizes = set()
    for seed in range(8):
        sampler = EpochSampler(config_of(slices_per_lesion=1, seed=seed), labels, lesions=[[0, 1, 2, 3], [2, 3, 4, 5]])
        passes = [sampler._pass(number) for number in range(20)]
        assert all(len(set(one)) == len(one) for one in passes)
        sizes |= {len(one) for one in passes}
        sequence = [index for one in passes for index in one]
        size = sampler.images
        for epoch in range(8):
            assert indices(sampler, labels, epoch) == sequence[epoch * size : (epoch + 1) * size]
    assert sizes == {1, 2}


def test_background_goes_by_the_images_that_were_chosen():
    labels = labels_of([[0]] * 20 + [[]] * 30)
    keys = dict(slices_per_lesion=2, background_ratio=1.5)
    sampler = EpochSampler(config_of(**keys), labels, lesions=[list(range(10)), list(range(10, 20))])
    for epoch in range(3):
        shown = indices(sampler, labels, epoch)
        assert sum(index < 20 for index in shown) == 4 and sum(index >= 20 for index in shown) == 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("exponent, expected", [(0.0, [90, 30, 10]), (0.5, [90, 51.96, 30]), (1.0, [90, 90, 90])])
def test_classes_are_shown_as_often_as_asked(exponent, expected, seed):
    labels = labels_of([[0]] * 90 + [[1]] * 30 + [[2]] * 10)
    sampler = EpochSampler(config_of(class_balance=exponent, seed=seed), labels)
    epochs = [Counter(int(labels[at].labels[0]) for at in sampler._pass(number)) for number in range(50)]
    shown = np.array([[epoch[kind] for kind in range(3)] for epoch in epochs])
    assert np.abs(shown - expected).max() <= 1  # in each pass
    assert np.allclose(shown.mean(axis=0), expected, atol=0.25)


def test_an_image_with_several_classes_goes_by_the_rarest_and_a_class_without_images_counts_for_nothing():
    # class 0 on 8 images, class 1 on 4, class 3 on 2; class 2 on none
    kinds = [{0}] * 5 + [{0, 1}] * 2 + [{1}] * 2 + [{0, 3}] + [{3}]
    times = balance([frozenset(one) for one in kinds], 1.0, rng=np.random.default_rng(0))
    assert times.tolist() == [1] * 5 + [2] * 4 + [4] * 2


def test_each_image_of_a_class_is_repeated_as_often_in_the_long_run():
    classes = [frozenset({0})] * 5 + [frozenset({1})] * 3
    times = np.array([balance(classes, 0.5, rng=np.random.default_rng(seed)) for seed in range(2000)])
    assert set(times[:, 5:].ravel()) == {1, 2}
    assert np.allclose(times.mean(axis=0), [1] * 5 + [np.sqrt(5 / 3)] * 3, atol=0.04)  # three deviations are 0.03
    assert set(times.sum(axis=1)) == {8, 9}  # 5 + 3 * 1.29 = 8.87


def test_slices_are_chosen_before_classes_are_balanced():
    """20 slices of a cyst and 2 of a hemangioma are 2 images each, of which none is repeated."""
    labels = labels_of([[0]] * 20 + [[1]] * 2)
    lesions = [list(range(20)), [20, 21]]
    sampler = EpochSampler(config_of(slices_per_lesion=2, class_balance=1.0), labels, lesions=lesions)
    assert all(sorted(index >= 20 for index in sampler._pass(number)) == [0, 0, 1, 1] for number in range(5))


@pytest.mark.parametrize("size", [1, 4, 9, 10, 23, 30])
@pytest.mark.parametrize("keys", [{}, {"class_balance": 1.0}])
def test_an_epoch_has_its_images_and_the_next_goes_on(size, keys):
    labels = labels_of([[0]] * 5 + [[1]] * 2 + [[]] * 4)
    sampler = EpochSampler(config_of(images_per_epoch=size, background_ratio=0.5, **keys), labels)
    sequence = [index for number in range(20) for index in sampler._pass(number)]
    for epoch in range(6):
        numbers = sampler.epoch(epoch)
        assert len(set(numbers)) == size == sampler.images
        assert [number % 11 for number in numbers] == sequence[epoch * size : (epoch + 1) * size]
    # as a run that is gone on with asks for it
    fresh = EpochSampler(config_of(images_per_epoch=size, background_ratio=0.5, **keys), labels)
    assert fresh.epoch(5) == sampler.epoch(5)


def test_without_the_keys_an_epoch_is_what_it_was():
    labels = labels_of([[0]] * 6 + [[]] * 9)
    for epoch in range(4):
        sampler = EpochSampler(config_of(background_ratio=0.5, seed=3), labels)
        assert sampler.epoch(epoch) == epoch_order(labels, background_ratio=0.5, seed=3, epoch=epoch)


def test_no_box_at_all_shows_the_background_whatever_is_asked():
    labels = labels_of([[]] * 4)
    sampler = EpochSampler(config_of(slices_per_lesion=2, class_balance=1.0), labels, lesions=[])
    assert sorted(sampler.epoch(1)) == [0, 1, 2, 3]


def test_boxes_are_joined_to_lesions_case_by_case_and_class_by_class(tiny_dataset):
    """Two cases of six slices: a lesion of three slices, one beside it of another class, and one two slices above."""
    corners = np.array([[10, 10, 30, 30], [60, 60, 70, 70]], np.float32)
    here = {0: [0], 1: [0, 1], 2: [0], 5: [0]}
    labels = []
    for case in ("case-0000000001", "case-0000000000"):
        for place in range(6):
            rows = here.get(place, [])
            labels.append(CTLabel(1, case, place, 64, 64, corners[rows], np.array(rows, np.int32), "arterial"))
    found = lesion_images(config_of(slices_per_lesion=1), tiny_dataset, labels)
    # slices of 5 mm: two that are looked at and empty part a lesion
    assert sorted(found) == [[0, 1, 2], [1], [5], [6, 7, 8], [7], [11]]
    assert lesion_images(config_of(), tiny_dataset, labels) is None


def test_numbers_of_lesions_say_which_slices_are_one(tiny_dataset):
    """A lesion of two boxes on one slice, which is there once, and one far below that is the same by its number."""
    corners = np.array([[10, 10, 30, 30], [60, 60, 70, 70]], np.float32)
    labels = [
        CTLabel(1, "case-0000000001", place, 64, 64, corners, np.zeros(2, np.int32), "arterial", np.array(numbers))
        for place, numbers in ((0, [1, 1]), (1, [1, 2]), (5, [2, 1]))
    ]
    assert sorted(lesion_images(config_of(slices_per_lesion=1), tiny_dataset, labels)) == [[0, 1, 2], [1, 2]]


def test_images_that_come_again_in_an_epoch_are_drawn_anew(tiny_dataset, make_config, monkeypatch):
    seen = []

    def noted(sample, *options, rng, **more):
        seen.append(rng.random())
        return augment(sample, *options, rng=rng, **more)

    monkeypatch.setattr(inputs_module, "augment", noted)
    inputs = TrainingInputs(make_config(**{"train.images_per_epoch": 40}), tiny_dataset)
    numbers = [number for batch in inputs.batches(epoch=0) for number in batch]
    assert inputs.steps_per_epoch == 20 and max(numbers) >= 4 * 9
    again = [number for number in numbers if number % 9 == 0]
    batch = inputs.load(again, epoch=0, anchors=np.zeros((1, 4)), random_numbers=lambda rng: rng.random(3))
    assert len(again) >= 4 and all(inputs.label(number) is inputs.labels[0] for number in again)
    assert len(set(seen)) == len(again) == len(np.unique(batch.random_numbers[:, 0]))


def test_what_cannot_be_meant_is_refused():
    us = {"model": "us-faster-rcnn", "row": None}
    with pytest.raises(ConfigError, match="data.slices_per_lesion is 3: it must be None with model us-faster-rcnn"):
        build_config({**us, "data": {"slices_per_lesion": 3}})
    with pytest.raises(ConfigError, match="data.slices_per_lesion is 3: it must be null with data.shuffled_labels"):
        config_of(slices_per_lesion=3, shuffled_labels=True)
    build_config({**us, "data": {"class_balance": 0.5}, "train": {"images_per_epoch": 5}})


KNOBS = {"data.slices_per_lesion": 1, "data.class_balance": 0.5, "train.images_per_epoch": 7}


@pytest.mark.slow
@pytest.mark.parametrize("keys", [KNOBS, {"train.images_per_epoch": 3}])
def test_a_run_is_gone_on_with_to_the_same_bytes(train_tiny, tmp_path, keys):
    keys = {**keys, "data.augment.flip": True, "train.epochs": 3, "train.checkpoint_steps": 1}
    keys["train.keep_checkpoints"] = 20
    whole = train_tiny(keys, folder=tmp_path / "whole")
    steps = [record["step"] for record in records(whole, "step")]
    per_epoch = -(-keys["train.images_per_epoch"] // 2)
    assert steps == list(range(1, 3 * per_epoch + 1))
    for stop in (per_epoch - 1, per_epoch + 1):
        folder = tmp_path / str(stop)
        train_tiny(keys, folder=folder, steps=stop)
        again = train_tiny(keys, folder=folder, resume="auto")
        first, second = parameters(whole), parameters(again)
        assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    with pytest.raises(ConfigError, match="train.images_per_epoch was"):
        train_tiny({**keys, "train.images_per_epoch": 4}, folder=folder, resume="auto")


@pytest.mark.slow
def test_screen_and_log_say_what_an_epoch_shows(tiny_dataset, make_config, tmp_path, capsys):
    run = train(make_config(**KNOBS), tiny_dataset, tmp_path / "run", steps=1)
    start = records(run, "start")[0]
    assert start["images"] == 9 and start["an_epoch"]["images"] == 7
    with_boxes, there = start["an_epoch"]["with_boxes"]
    assert there == 6 and 3 <= with_boxes <= 6
    counts = start["an_epoch"]["class_images"]
    assert [there for _, there in counts.values()] == [2, 2, 2]
    assert sum(shown for shown, _ in counts.values()) == with_boxes
    lesions = start["an_epoch"]["lesions"]
    line = f"an epoch: 7 images of 9, {with_boxes} of 6 with boxes, 1 slice a pass of each of {lesions} lesions; images"
    line += " of " + ", ".join(f"{name} {shown} of {all_images}" for name, (shown, all_images) in counts.items())
    assert line in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_from_before_these_keys_goes_on(train_tiny, tmp_path):
    run = train_tiny(steps=3)
    path = run.folder / "config.yaml"
    names = ("slices_per_lesion", "class_balance", "images_per_epoch")
    lines = [line for line in path.read_text().splitlines(True) if line.split(":")[0].strip() not in names]
    path.write_text("".join(lines))
    assert len(lines) > 20 and Run.open(run.folder).config == run.config
    assert records(train_tiny(resume="auto"))[-1]["event"] == "end"
