from __future__ import annotations

import pytest

from gluon_liver.metrics.matching import UNMATCHED, match_class, match_greedily, pool_classes

from .images import BOX, FAR, image


def test_a_lesion_is_found_once_and_the_better_score_gets_it():
    assert match_greedily([BOX, (0, 0, 10, 8)], [0.6, 0.9], [BOX], 0.5).tolist() == [UNMATCHED, 0]
    assert match_greedily([BOX] * 2, [0.5, 0.5], [BOX], 0.5).tolist() == [0, UNMATCHED]  # ties keep the given order


def test_a_detection_takes_the_lesion_of_highest_iou_still_free():
    # both detections overlap both lesions: the first takes its exact one, the second what is left
    assert match_greedily([(0, 0, 10, 12)] * 2, [0.9, 0.8], [BOX, (0, 0, 10, 12)], 0.5).tolist() == [1, 0]
    # of equal IoU the last, as in pycocotools; the first overlaps both by 7 of 13, the second fits one lesion
    lesions, middle, left = [BOX, (6, 0, 16, 10)], (3, 0, 13, 10), (0, 0, 9, 10)
    assert match_greedily([middle, left], [0.9, 0.8], lesions, 0.5).tolist() == [1, 0]


def test_threshold_is_inclusive():
    for threshold, match in ((0.5, 0), (0.51, UNMATCHED)):
        assert match_greedily([(0, 0, 10, 5)], [1.0], [BOX], threshold).tolist() == [match]


def test_records_by_hand():
    results = [
        image(1, "b", gt=[(0, BOX)], found=[(0, 0.4, BOX), (0, 0.9, FAR), (1, 0.95, BOX)]),
        image(2, "a", gt=[(0, BOX), (1, FAR)], found=[(0, 0.7, BOX)]),
        image(3, "b"),
    ]
    cyst, other = match_class(results, 0), match_class(results, 1)
    assert cyst.scores.tolist() == [0.9, 0.7, 0.4]
    assert cyst.hit.tolist() == [False, True, True]
    assert cyst.patient.tolist() == [1, 0, 1]  # a, b
    assert (cyst.gt_count.tolist(), cyst.image_count.tolist()) == ([1, 1], [1, 2])
    pooled = pool_classes([cyst, other])
    assert pooled.scores.tolist() == [0.95, 0.9, 0.7, 0.4]
    assert pooled.hit.tolist() == [False, False, True, True]  # the right place with the wrong class is no hit
    assert (pooled.gt_count.tolist(), pooled.image_count.tolist()) == ([2, 1], [1, 2])
    assert cyst.at_score(0.7).hit.tolist() == [False, True]


def test_no_results():
    records = match_class([], 0)
    assert len(records.scores) == len(records.gt_count) == 0
    with pytest.raises(ValueError):
        pool_classes([])
