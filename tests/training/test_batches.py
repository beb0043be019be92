"""Samples to arrays, by hand."""

import numpy as np
import pytest

from gluon_liver.config.network import HeadConfig, NetworkConfig, RPNConfig
from gluon_liver.data.images import normalise, unit_range
from gluon_liver.data.samples import Sample
from gluon_liver.training.batches import make_batch

ANCHORS = np.array([[x, y, x + 16, y + 16] for x in range(0, 48, 4) for y in range(0, 48, 4)], np.float32)


def sample(boxes, labels):
    image = np.full((2, 1, 3, 64, 64), 51, np.uint8)
    return Sample(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels), 1.0)


def batch(samples, seeds):
    return make_batch(
        samples,
        anchors=ANCHORS,
        network=NetworkConfig(rpn=RPNConfig(samples=8), head=HeadConfig(max_boxes=3)),
        rngs=[np.random.default_rng(seed) for seed in seeds],
        random_numbers=np.zeros((len(samples), 5), np.float32),
    )


def test_grey_is_normalised_with_imagenets_mean_and_deviation():
    grey = normalise(np.array([0, 255], np.uint8))
    assert grey.dtype == np.float32
    assert np.allclose(grey, [-0.449 / 0.226, 0.551 / 0.226])


@pytest.mark.parametrize("to_input, mean, sd", [(normalise, 0.449, 0.226), (unit_range, 0.0, 1.0)])
def test_the_table_gives_the_float32_of_the_arithmetic(to_input, mean, sd):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
    expected = (images.astype(np.float32) / 255.0 - mean) / sd
    assert np.array_equal(to_input(images), expected)
    into = np.zeros((4, 3, 5, 7), np.float32)
    to_input(images, out=into[1:3])
    assert np.array_equal(into[1:3], expected) and not into[[0, 3]].any()


def test_boxes_are_padded_with_minus_one():
    made = batch([sample([[0, 0, 16, 16], [32, 32, 48, 48]], [2, 0]), sample([], [])], (0, 1))
    assert made.images.shape == (2, 2, 1, 3, 64, 64)
    assert made.gt_boxes[0].tolist() == [[0, 0, 16, 16], [32, 32, 48, 48], [-1] * 4]
    assert made.gt_labels.tolist() == [[2, 0, -1], [-1, -1, -1]]
    assert (made.gt_boxes[1] == -1).all()


def test_targets_belong_to_their_image():
    made = batch([sample([[0, 0, 16, 16]], [1]), sample([], [])], (0, 0))
    positive = np.flatnonzero(made.rpn_labels[0] == 1)
    assert 0 in positive and (made.rpn_labels[1] != 1).all()
    assert (made.rpn_labels >= 0).sum(axis=1).tolist() == [8, 8]


def test_each_sample_is_sampled_with_its_own_generator():
    same, other = batch([sample([], [])] * 2, (5, 5)), batch([sample([], [])] * 2, (5, 6))
    assert np.array_equal(same.rpn_labels[0], same.rpn_labels[1])
    assert not np.array_equal(other.rpn_labels[0], other.rpn_labels[1])
