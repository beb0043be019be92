"""Targets of the proposal network against cases worked out by hand."""

import numpy as np
import pytest

from gluon_liver.config.network import RPNConfig
from gluon_liver.nn.regions.rpn_targets import assign_anchors
from gluon_liver.structures.boxes import encode_boxes

ANCHORS = np.array(
    [[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20], [-5, 0, 5, 10], [12, 12, 28, 28]], np.float64
)


def assign(boxes, *, size=(20, 20), seed=0, samples=8, **config):
    boxes, config = np.array(boxes, np.float64).reshape(-1, 4), RPNConfig(samples=samples, **config)
    return assign_anchors(ANCHORS, boxes, config, size=size, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    "boxes, changes, labels, offsets",
    [
        ([[10, 0, 20, 10]], {}, [0, 1, 0, 0, -1, -1], 0),  # exact; border anchors are ignored
        # overlap 8 x 10 of 12 x 10 with the first anchor (IoU 2/3 < 0.7): the best there is, so positive
        ([[2, 0, 12, 10]], {}, [1, 0, 0, 0, -1, -1], [0.2, 0, 0, 0]),
        ([], {}, [0, 0, 0, 0, -1, -1], 0),
        ([[0, 0, 10, 10]], {"negative_iou": 0.1}, [1, 0, 0, 0, -1, -1], 0),
        ([[20, 20, 20.5, 20.5]], {}, [0, 0, 0, 0, -1, -1], 0),  # no anchor overlaps it
    ],
)
def test_labels_and_offsets_by_hand(boxes, changes, labels, offsets):
    assigned, targets, matches = assign(boxes, **changes)
    assert assigned.tolist() == labels and not matches.any()
    assert np.allclose(targets[assigned == 1], offsets) and not targets[assigned != 1].any()


def test_sampling_keeps_the_counts():
    labels, _, _ = assign([], samples=2)
    assert (labels == 0).sum() == 2
    boxes = [[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20]]
    labels, _, _ = assign(boxes, samples=4)
    assert (labels == 1).sum() == 2 and (labels == 0).sum() == 0


def test_same_generator_same_sample():
    first, second = (assign([], samples=2, seed=7)[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_encoding_by_hand():
    anchor, box = np.array([[0, 0, 10, 20]], float), np.array([[5, 10, 25, 20]], float)
    # centres (5, 10) and (15, 15); sizes (10, 20) and (20, 10)
    assert np.allclose(encode_boxes(anchor, box), [[1.0, 0.25, np.log(2), -np.log(2)]])


def test_between_the_thresholds_is_ignored():
    # overlaps with [0, 0, 20, 14]: anchors 0 and 1 each 100 / 280 and the rows below each 40 / 340
    labels, _, _ = assign([[0, 0, 20, 14], [0, 0, 10, 10]], negative_iou=0.1)
    assert labels[0] == 1  # the second box exactly
    assert labels[1] == 1  # the closest that the first box has, with anchor 0
    assert labels[2] == labels[3] == -1  # 0.12: neither below 0.1 nor the closest


def test_an_anchor_claimed_by_a_box_regresses_to_that_box():
    # the first anchor overlaps both; the second box has no better anchor, the first box fits another one exactly
    boxes = [[10, 0, 20, 10], [4, 0, 9, 5]]
    labels, targets, matches = assign(boxes)
    assert labels[0] == 1 and matches[0] == 1
    assert np.allclose(targets[0], [0.15, -0.25, np.log(0.5), np.log(0.5)])


def test_width_and_height_bound_their_own_axis():
    labels, _, _ = assign([], size=(28, 28))
    assert labels[5] == 0
    assert assign([], size=(28, 20))[0][5] == -1 and assign([], size=(20, 28))[0][5] == -1
