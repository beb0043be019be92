"""Slices to network inputs, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.data.ct_loader import CTLoader, OpenCase, ct_sample
from gluon_liver.data.samples import epoch_order, shuffle_labels
from gluon_liver.data.windowed_images import windowed
from gluon_liver.errors import DatasetError

CASE = "case-0000000000"


def load(dataset, slice_index, *, label=None, **data):
    config = build_config({"row": None, "data": {"window": "liver", "size": 64, "storage": "raw", **data}})
    return ct_sample(CTLoader(dataset, config, cases=[CASE]).open(CASE), slice_index, config, label=label)


def test_the_image_is_the_windowed_slice(tiny_dataset):
    sample = load(tiny_dataset, 1)
    hu = tiny_dataset.study(CASE).hu[0, 1].astype(float)
    expected = np.rint(255 * np.clip((hu - 5) / 150, 0, 1))  # width 150, level 80: 5 to 155 HU
    assert sample.image.shape == (1, 1, 1, 64, 64) and sample.image.dtype == np.uint8
    assert np.abs(sample.image[0, 0, 0] - expected).max() <= 1
    assert len(sample.boxes) == 0


def test_boxes_scale_with_the_image(tiny_dataset):
    label = tiny_dataset.labels_by_slice(CASE)[0]
    sample = load(tiny_dataset, 0, label=label, size=128)
    assert sample.scale == 2 and np.allclose(sample.boxes, label.boxes * 2)
    # the square (10 HU in liver of 60) lies inside its box in the enlarged image too
    x1, y1, x2, y2 = sample.boxes[0].astype(int)
    plane = sample.image[0, 0, 0]
    assert plane[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean() < 20
    assert plane[y1 - 6 : y1 - 2, x1:x2].mean() > 70


def test_a_stack_is_centred_and_repeats_at_the_ends(tiny_dataset):
    stack = load(tiny_dataset, 0, slices=5).image[0, 0]
    alone = [load(tiny_dataset, index).image[0, 0, 0] for index in range(3)]
    for plane, expected in zip(stack, (0, 0, 0, 1, 2)):
        assert np.array_equal(plane, alone[expected])
    with pytest.raises(DatasetError, match="slices 0 to 2, not 3"):
        load(tiny_dataset, 3)


def test_an_epoch_without_foreground_uses_all_backgrounds(tiny_dataset):
    labels = [label for label in tiny_dataset.labels if not len(label.boxes)]
    assert sorted(epoch_order(labels, background_ratio=0.5, seed=0, epoch=0)) == list(range(len(labels)))


def test_shuffled_labels_repeat(tiny_dataset):
    labels = tiny_dataset.labels
    first, second = (shuffle_labels(labels, seed=3) for _ in range(2))
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(first, second))
    # a number says which boxes of one study are one lesion
    numbered = [replace(label, lesions=np.arange(len(label.boxes))) for label in labels]
    assert all(len(label.lesions) == 0 for label in shuffle_labels(numbered, seed=3))


def phases_of(data, slice_index, *, case=CASE, **changes):
    tree = {"window": "liver", "size": 64, "storage": "raw", "slices": 3, **changes}
    config = build_config({"row": None, "data": tree, "network": {"relation": "full"}})
    return ct_sample(CTLoader(data, config, cases=[case]).open(case), slice_index, config)


def test_the_control_shows_the_reference_phase_in_place_of_every_other(phase_data):
    """Which phases are there stays as it is, so that the relation hears of as many as in the experiment."""
    for case, there in ((CASE, [True, True, True]), ("case-0000000003", [True, True, False])):
        usual, control = (phases_of(phase_data, 1, case=case, repeat_reference=on) for on in (False, True))
        assert usual.present.tolist() == control.present.tolist() == there
        assert not np.array_equal(usual.image[1], usual.image[0])
        assert np.array_equal(control.image, np.repeat(usual.image[:1], 3, axis=0))


def test_the_control_shows_the_annotated_slice_in_place_of_its_neighbours(phase_data):
    for slices in (3, 9):
        usual, control = (phases_of(phase_data, 1, slices=slices, repeat_centre=on) for on in (False, True))
        centre = usual.image[:, :, slices // 2 : slices // 2 + 1]
        assert np.array_equal(control.image, np.repeat(centre, slices, axis=2))
        assert not np.array_equal(usual.image, control.image)
        assert np.array_equal(usual.boxes, control.boxes) and usual.present.tolist() == control.present.tolist()


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_neighbours_lie_a_step_of_millimetres_apart_between_stored_slices(tiny_dataset, storage):
    """NumPy over all of the volume: HU between slices, then the window; beyond the ends the end."""
    study = tiny_dataset.study(CASE)
    depths = np.arange(study.hu.shape[1])
    step = study.geometry.spacing[0] * 0.4
    for index in depths:
        sample = load(tiny_dataset, int(index), slices=5, slice_step_mm=step, storage=storage)
        wanted = np.clip(index + 0.4 * np.arange(-2, 3), 0, depths[-1])
        columns = study.hu[0].reshape(len(depths), -1).astype(float).T
        hu = np.array([np.interp(wanted, depths, column) for column in columns]).T.reshape(5, *study.hu.shape[2:])
        expected = windowed(np.rint(hu).astype(np.int16), "liver", storage)
        assert expected.shape == sample.image[0, 0].shape
        # a value half-way between two HU may go either way, and an HU is 1.7 grey values
        difference = np.abs(sample.image[0, 0].astype(int) - expected)
        assert difference.mean() < 0.01 and difference.max() <= (2 if storage == "raw" else 6)
        assert np.array_equal(sample.image[0, 0, 2], load(tiny_dataset, int(index), storage=storage).image[0, 0, 0])


def test_a_step_of_the_stored_spacing_is_the_stored_neighbours(tiny_dataset):
    spacing = tiny_dataset.study(CASE).geometry.spacing[0]
    for index in range(3):
        usual = load(tiny_dataset, index, slices=5)
        assert np.array_equal(load(tiny_dataset, index, slices=5, slice_step_mm=spacing).image, usual.image)


def test_a_study_in_memory_reads_the_same_neighbours(tiny_dataset):
    config = build_config(
        {"row": None, "data": {"window": [400, 40], "size": 64, "storage": "raw", "slices": 3, "slice_step_mm": 1.0}}
    )
    stored = CTLoader(tiny_dataset, config, cases=[CASE]).open(CASE)
    memory = OpenCase.in_memory(tiny_dataset.study(CASE), config.data)
    for index in range(3):
        assert np.array_equal(ct_sample(stored, index, config).image, ct_sample(memory, index, config).image)


def test_phases_are_read_between_their_own_slices(phase_data):
    study = phase_data.study(CASE)
    step = study.geometry.spacing[0] / 2
    sample = phases_of(phase_data, 1, slice_step_mm=step)
    for place, phase in enumerate([study.reference_index, *(i for i in range(3) if i != study.reference_index)]):
        for depth, pair in ((0, (0, 1)), (2, (1, 2))):
            hu = np.rint(study.hu[phase, list(pair)].astype(float).mean(axis=0)).astype(np.int16)
            assert np.abs(sample.image[place, 0, depth].astype(int) - windowed(hu, "liver", "raw")).max() <= 2
    control = phases_of(phase_data, 1, slice_step_mm=step, repeat_centre=True)
    assert np.array_equal(control.image, np.repeat(sample.image[:, :, 1:2], 3, axis=2))
