"""Augmentation: pixels and boxes move together, by hand and by measuring what was painted."""

import hashlib
from statistics import NormalDist

import cv2
import numpy as np
import pytest

from gluon_liver.config.inputs import AugmentConfig
from gluon_liver.data.augment import add_noise, augment, erase, flip, rewindow, shift_phases, transform
from gluon_liver.data.images import grey_per_hu, to_grey
from gluon_liver.data.samples import AUGMENT, Sample, generator


def sample_of(image, boxes=()):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(image, boxes, np.arange(len(boxes)), 1.0)


LEAVING = [[0, 0, 10, 10], [40, 40, 60, 60], [10, 40, 30, 60]]


def blank(boxes):
    return sample_of(np.zeros((1, 1, 1, 100, 100), np.uint8), boxes)


def painted(*ellipses, size=128, planes=2):
    """Ellipses (x, y, half width, half height) in edge coordinates, and their boxes."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.zeros((size, size), np.uint8)
    for cx, cy, a, b in ellipses:
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1] = 255
    boxes = [[cx - a, cy - b, cx + a, cy + b] for cx, cy, a, b in ellipses]
    return sample_of(np.broadcast_to(image, (2, 1, planes, size, size)).copy(), boxes)


def measured(plane):
    y, x = np.nonzero(plane > 127)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_flip_moves_boxes_with_the_pixels():
    image = np.zeros((1, 1, 1, 8, 8), np.uint8)
    image[..., 2:4, 1:4] = 9
    flipped = flip(sample_of(image, [[1, 2, 4, 4]]))
    assert flipped.boxes.tolist() == [[4, 2, 7, 4]]
    assert (flipped.image[0, 0, 0, 2:4, 4:7] == 9).all() and flipped.image.sum() == image.sum()


@pytest.mark.parametrize(
    "scale, angle, shift",
    [(1.3, 0.0, (0.0, 0.0)), (0.8, 0.0, (7.3, -4.6)), (1.0, 20.0, (0.0, 0.0)), (1.15, -33.0, (-5.0, 6.0))],
)
def test_boxes_are_those_of_the_painted_ellipse_after_the_transform(scale, angle, shift):
    for ellipse in ((70, 52, 18, 9), (48, 76, 8, 14), (64, 64, 11, 11)):
        moved = transform(painted(ellipse), scale=scale, angle=angle, shift=shift)
        assert np.abs(moved.boxes[0] - measured(moved.image[1, 0, 1])).max() < 1.5
        for plane in moved.image.reshape(-1, 128, 128):
            assert np.array_equal(plane, moved.image[0, 0, 0])  # the same in all slices and phases


def test_augmentation_depends_on_seed_epoch_and_index_alone():
    sample, config = painted((70, 52, 18, 9)), AugmentConfig(True, 0.2, 5.0, 0.05, 5.0)

    def draw(*place):
        return augment(sample, config, grey_per_noise=grey_per_hu("paper"), rng=generator(0, AUGMENT, *place))

    first, again = draw(1, 2), draw(1, 2)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.boxes, again.boxes)
    boxes = [tuple(draw(epoch, index).boxes[0]) for epoch in range(4) for index in range(4)]
    assert len(set(boxes)) == 16
    flips = sum(box[0] + box[2] < 128 for box in boxes)
    assert 2 < flips < 14


def test_sizes_grow_and_shrink_alike_by_up_to_the_factor():
    """Of 300 draws of up to 1.25 or its inverse, as evenly as the logarithm says."""
    sample = painted((64, 64, 20, 20), planes=1)
    factors = []
    for index in range(300):
        (box,) = augment(sample, AugmentConfig(scale=0.25), grey_per_noise=1.0, rng=generator(0, AUGMENT, index)).boxes
        factors.append((box[2] - box[0]) / 40)
    logs = np.log(factors) / np.log(1.25)
    assert np.abs(logs).max() <= 1 + 1e-5
    assert np.allclose(np.percentile(logs, [5, 25, 50, 75, 95]), [-0.9, -0.5, 0, 0.5, 0.9], atol=0.15)


def test_turns_and_shifts_go_both_ways_by_up_to_what_is_given():
    """300 draws; a box of a lesion that is no circle tells the angle, its centre the shift."""
    sample = painted((64, 64, 30, 10), planes=1)
    shifts, widths = [], []
    for index in range(300):
        draw = dict(grey_per_noise=1.0, rng=generator(0, AUGMENT, index))
        (box,) = augment(sample, AugmentConfig(shift=0.1), **draw).boxes
        shifts.append([box[0] + box[2] - 128, box[1] + box[3] - 128])
        turned = augment(sample, AugmentConfig(rotate=30.0), **dict(draw, rng=generator(1, AUGMENT, index)))
        widths.append(turned.boxes[0, 2] - turned.boxes[0, 0])
    parts = np.array(shifts) / 2 / 12.8
    assert np.abs(parts).max() <= 1 + 1e-5
    assert np.allclose(np.percentile(parts, [5, 50, 95], axis=0).T, [-0.9, 0, 0.9], atol=0.2)
    least = 2 * np.hypot(30 * np.cos(np.pi / 6), 10 * np.sin(np.pi / 6))  # the width at 30 degrees
    assert least - 0.01 <= min(widths) < 1.03 * least and max(widths) <= 60.01


def test_opencvs_affine_convention_is_the_one_assumed():
    """warpAffine's matrix maps source pixel centres to target pixel centres."""
    image = np.zeros((9, 9), np.uint8)
    image[2, 3] = 100
    assert cv2.warpAffine(image, np.array([[1.0, 0, 2], [0, 1, 1]]), (9, 9))[3, 5] == 100


@pytest.mark.parametrize("planes", [1, 2, 3, 4, 5, 9])
def test_planes_moved_together_are_those_moved_one_by_one(planes):
    rng = np.random.default_rng(planes)
    sample = sample_of(rng.integers(0, 256, (1, 1, planes, 96, 96), dtype=np.uint8))
    moved = transform(sample, scale=1.1, angle=4.0, shift=(3.3, -2.6))
    for plane, result in zip(sample.image[0, 0], moved.image[0, 0]):
        alone = transform(sample_of(plane[None, None, None].copy()), scale=1.1, angle=4.0, shift=(3.3, -2.6))
        assert np.array_equal(alone.image[0, 0, 0], result)


def test_erasing_covers_one_rectangle_and_keeps_boxes():
    sample = Sample(np.full((2, 3, 64, 64), 7, np.uint8), np.array([[1, 2, 30, 40]], np.float32), np.array([0]), 1.0)
    for seed in range(20):
        erased = erase(sample, rng=np.random.default_rng(seed))
        changed = (erased.image != 7).any(axis=(0, 1))
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert 0.015 * 64**2 < area < 0.22 * 64**2 and changed.sum() > 0.95 * area
        assert np.array_equal(erased.boxes, sample.boxes) and (sample.image == 7).all()
    always = augment(sample, AugmentConfig(erase=1.0), grey_per_noise=1.0, rng=np.random.default_rng(0))
    assert not np.array_equal(always.image, sample.image)


@pytest.mark.parametrize(
    "boxes, scale, angle, shift, expected, labels",
    [
        # about (50, 50): half the distances, then the shift
        ([[40, 50, 60, 90]], 0.5, 0.0, (10.0, -5.0), [[55, 45, 65, 65]], [0]),
        # a quarter turn, clockwise as seen: what lay to the right lies below
        ([[60, 45, 90, 55]], 1.0, 90.0, (0.0, 0.0), [[45, 60, 55, 90]], [0]),
        # of boxes that leave the image the first is gone, the third keeps half of its area and is clipped
        (LEAVING, 1.0, 0.0, (-20.0, 0.0), [[20, 40, 40, 60], [0, 40, 10, 60]], [1, 2]),
        ([], 1.1, 3.0, (1.0, 1.0), np.zeros((0, 4)), []),
    ],
)
def test_boxes_move_by_hand(boxes, scale, angle, shift, expected, labels):
    moved = transform(blank(boxes), scale=scale, angle=angle, shift=shift)
    assert moved.boxes.shape == np.shape(expected) and moved.labels.tolist() == labels
    assert np.allclose(moved.boxes, expected, atol=1e-4 if angle else 1e-8)


@pytest.mark.parametrize("left, stays", [(0.2, False), (0.24, False), (0.26, True)])
def test_boxes_stay_where_a_quarter_of_them_does(left, stays):
    moved = transform(blank([[0, 40, 50, 60]]), scale=1.0, angle=0.0, shift=(-50 * (1 - left), 0.0))
    assert len(moved.boxes) == len(moved.labels) == stays


def test_nothing_moves_at_identity_and_nothing_is_copied_without_options():
    sample = painted((70, 52, 18, 9))
    same = transform(sample, scale=1.0, angle=0.0, shift=(0.0, 0.0))
    assert np.array_equal(same.image, sample.image) and np.allclose(same.boxes, sample.boxes)
    assert augment(sample, AugmentConfig(), grey_per_noise=1.0, rng=np.random.default_rng(0)) is sample


def test_noise_has_its_deviation_and_is_given_in_hu():
    sample = sample_of(np.full((1, 1, 1, 200, 200), 128, np.uint8))
    noisy = add_noise(sample, sd=6.0, rng=np.random.default_rng(0)).image.astype(float)
    assert abs(noisy.std() - 6.0) < 0.1 and abs(noisy.mean() - 128) < 0.1
    noisy = augment(sample, AugmentConfig(noise=4.0), grey_per_noise=grey_per_hu("liver"), rng=np.random.default_rng(0))
    assert abs(noisy.image.astype(float).std() - 4.0 * 255 / 150) < 0.15  # the window is 150 HU wide


@pytest.mark.parametrize("sd", [0.7, 6.0, 15.9])
def test_noise_is_that_of_a_rounded_normal_distribution(sd):
    """Of each whole value as often as the normal distribution says, with no relation between neighbours."""
    sample = sample_of(np.full((2, 1, 3, 200, 200), 128, np.uint8))
    noise = add_noise(sample, sd=sd, rng=np.random.default_rng(1)).image.astype(int) - 128
    edges = np.arange(-3, 4) + 0.5
    for edge in edges:
        expected = NormalDist(0, sd).cdf(float(edge))
        assert abs((noise <= edge).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / noise.size) + 1e-5
    for one, other in ((noise[..., 1:], noise[..., :-1]), (noise[0], noise[1]), (noise[:, :, 1:], noise[:, :, :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.012


def test_noise_is_clipped_and_may_be_wider_than_the_grey_values():
    for grey in (0, 255):
        noisy = add_noise(
            sample_of(np.full((1, 1, 1, 50, 50), grey, np.uint8)), sd=5000.0, rng=np.random.default_rng(0)
        )
        assert 0.4 < (noisy.image == grey).mean() < 0.6
        assert 0.4 < (noisy.image == 255 - grey).mean() < 0.6


def test_a_window_is_changed_as_hu_would_be_windowed_anew():
    """Window (80, 150) of HU 110 to 190: half as wide again, and its level a tenth of the width, 8 HU, higher."""
    hu = np.linspace(110, 190, 48 * 48, dtype=np.float32).reshape(1, 1, 1, 48, 48)
    changed = rewindow(sample_of(to_grey(hu, "paper"), [[1, 2, 3, 4]]), width=1.5, level=0.1)
    expected = 255 * np.clip((hu - (158 - 60)) / 120, 0, 1)
    assert np.abs(changed.image.astype(float) - expected).max() < 1.2  # rounded twice
    assert changed.image.dtype == np.uint8 and changed.boxes.tolist() == [[1, 2, 3, 4]]
    # narrower: what leaves the window is black or white; what it cut off before stays at its edge's grey
    grey = np.array([0, 51, 128, 204, 255], np.uint8).reshape(1, 1, 1, 1, 5)
    assert rewindow(sample_of(grey), width=0.5, level=0.0).image.ravel().tolist() == [0, 0, 128, 255, 255]
    assert rewindow(sample_of(grey), width=2.0, level=0.0).image.ravel().tolist() == [64, 89, 128, 166, 191]


def test_the_window_is_drawn_once_for_all_slices_and_phases_both_ways():
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 5, 256, 256))
    widths, levels = [], []
    for seed in range(200):
        options = AugmentConfig(window=0.5)
        seen = augment(sample_of(ramp), options, grey_per_noise=1.0, rng=np.random.default_rng(seed)).image
        assert (seen == seen[0, 0, 0, 0]).all()
        line = seen[0, 0, 0, 0].astype(float)
        inside = np.flatnonzero((line > 5) & (line < 250))
        slope = (line[inside[-1]] - line[inside[0]]) / (inside[-1] - inside[0])
        widths.append(1 / slope)
        levels.append((np.interp(127.5, line[inside], inside) - 127.5) / 255)
    assert 0.65 < min(widths) < 0.7 and 1.45 < max(widths) < 1.52  # 1 / 1.5 and 1.5
    assert abs(np.mean(np.log(widths))) < 0.06 and abs(np.mean(levels)) < 0.03  # as often narrower as wider
    assert -0.26 < min(levels) < -0.23 and 0.23 < max(levels) < 0.26


def test_phases_move_against_the_reference_and_slices_stay_together():
    rng = np.random.default_rng(0)
    sample = sample_of(rng.integers(1, 256, (3, 1, 5, 20, 20), dtype=np.uint8), [[2, 3, 9, 11]])
    moved = shift_phases(sample, np.array([[2.0, 0.0], [-3.0, 4.0]]))  # whole pixels, so that nothing is blurred
    assert np.array_equal(moved.image[0], sample.image[0]) and np.array_equal(moved.boxes, sample.boxes)
    assert np.array_equal(moved.image[1, ..., 2:], sample.image[1, ..., :-2]) and not moved.image[1, ..., :2].any()
    assert np.array_equal(moved.image[2, ..., 4:, :-3], sample.image[2, ..., :-4, 3:])
    assert not moved.image[2, ..., :4, :].any() and not moved.image[2, ..., -3:].any()


def test_each_phase_draws_its_own_shift_within_the_share():
    """The middle of a square of each phase tells where it went."""
    image = np.zeros((3, 1, 2, 64, 64), np.uint8)
    image[..., 27:37, 27:37] = 200
    y, x = np.mgrid[:64, :64]
    places = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        seen = augment(sample_of(image), AugmentConfig(phase_shift=0.1), grey_per_noise=1.0, rng=rng).image
        assert np.array_equal(seen[:, :, 0], seen[:, :, 1]) and np.array_equal(seen[0], image[0])
        places.append([[(axis * one[0, 0]).sum() / one[0, 0].sum() - 31.5 for axis in (x, y)] for one in seen[1:]])
    shifts = np.array(places)  # (seed, phase, axis) in pixels, at most 6.4
    assert (np.abs(shifts) < 6.5).all() and (np.abs(shifts).max(axis=0) > 5.5).all()
    assert (np.abs(shifts.mean(axis=0)) < 1.5).all()
    assert abs(np.corrcoef(shifts[:, 0, 0], shifts[:, 1, 0])[0, 1]) < 0.4  # phases are drawn one by one
    alone = augment(sample_of(image[:1]), AugmentConfig(phase_shift=0.1), grey_per_noise=1.0, rng=rng)
    assert np.array_equal(alone.image, image[:1])


def test_the_frame_before_may_be_spared_what_hides_the_current_one():
    sample = Sample(np.full((2, 3, 64, 64), 7, np.uint8), np.array([[1, 2, 30, 40]], np.float32), np.array([0]), 1.0)
    for frames, changed in (("all", [True, True]), ("current", [False, True])):
        options = AugmentConfig(erase=1.0, erase_frames=frames)
        erased = augment(sample, options, grey_per_noise=1.0, rng=np.random.default_rng(0)).image
        assert [bool((frame != 7).any()) for frame in erased] == changed
        covered = (erased[1] != 7).any(axis=0)
        assert covered.any(axis=1).sum() * covered.any(axis=0).sum() > 0.015 * 64**2


def test_older_configurations_draw_the_numbers_that_they_drew():
    """A run that is gone on with sees the images that it would have seen: digests of before the later options."""
    rng = np.random.default_rng(0)
    sample = sample_of(rng.integers(0, 256, (2, 1, 3, 48, 48), dtype=np.uint8), [[5, 6, 30, 33]])
    older = AugmentConfig(flip=True, scale=0.2, rotate=5.0, shift=0.05, noise=5.0, erase=0.7)
    digest = hashlib.sha256()
    for index in range(8):
        changed = augment(sample, older, grey_per_noise=1.7, rng=generator(3, AUGMENT, 1, index))
        digest.update(changed.image.tobytes() + np.round(changed.boxes, 3).tobytes())
    assert digest.hexdigest()[:16] == "327d9b9dcaa8671a"
