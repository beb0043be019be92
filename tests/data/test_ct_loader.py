"""Slices to network inputs, by hand."""

import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.data.ct_loader import CTLoader, ct_sample
from gluon_liver.data.samples import epoch_order, shuffle_labels
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
