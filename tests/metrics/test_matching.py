from __future__ import annotations

import pytest

from gluon_liver.metrics.matching import UNMATCHED, match_class, match_greedily, pool_classes


def test_a_lesion_is_found_once_and_the_better_score_gets_it():
    lesion = [(0, 0, 10, 10)]
    exact, shifted = (0, 0, 10, 10), (0, 0, 10, 8)
    matched = match_greedily([exact, shifted], [0.6, 0.9], lesion, 0.5)
    assert matched.tolist() == [UNMATCHED, 0]


def test_a_detection_takes_the_lesion_of_highest_iou_still_free():
    lesions = [(0, 0, 10, 10), (0, 0, 10, 12)]
    # both detections overlap both lesions: the first takes its exact one, the second what is left
    matched = match_greedily([(0, 0, 10, 12), (0, 0, 10, 12)], [0.9, 0.8], lesions, 0.5)
    assert matched.tolist() == [1, 0]


def test_threshold_is_inclusive():
    half = [(0, 0, 10, 5)]
    assert match_greedily(half, [1.0], [(0, 0, 10, 10)], 0.5).tolist() == [0]
    assert match_greedily(half, [1.0], [(0, 0, 10, 10)], 0.51).tolist() == [UNMATCHED]


def test_ties_keep_the_given_order():
    same = [(0, 0, 10, 10)] * 2
    assert match_greedily(same, [0.5, 0.5], [(0, 0, 10, 10)], 0.5).tolist() == [0, UNMATCHED]


def test_of_lesions_at_equal_iou_the_last_is_taken():
    # as in pycocotools; the first detection overlaps both by 7 of 13, the second fits the first lesion only
    lesions = [(0, 0, 10, 10), (6, 0, 16, 10)]
    middle, left = (3, 0, 13, 10), (0, 0, 9, 10)
    assert match_greedily([middle, left], [0.9, 0.8], lesions, 0.5).tolist() == [1, 0]


def test_records_by_hand(make_image):
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    results = [
        make_image(1, "b", gt=[(0, box)], found=[(0, 0.4, box), (0, 0.9, far), (1, 0.95, box)]),
        make_image(2, "a", gt=[(0, box), (1, far)], found=[(0, 0.7, box)]),
        make_image(3, "b"),
    ]
    cyst, other = match_class(results, 0), match_class(results, 1)
    assert cyst.scores.tolist() == [0.9, 0.7, 0.4]
    assert cyst.hit.tolist() == [False, True, True]
    assert cyst.patient.tolist() == [1, 0, 1]  # a, b
    assert cyst.gt_count.tolist() == [1, 1]
    assert cyst.image_count.tolist() == [1, 2]
    pooled = pool_classes([cyst, other])
    assert pooled.scores.tolist() == [0.95, 0.9, 0.7, 0.4]
    assert pooled.hit.tolist() == [False, False, True, True]  # the right place with the wrong class is no hit
    assert pooled.gt_count.tolist() == [2, 1]
    assert pooled.image_count.tolist() == [1, 2]
    assert cyst.at_score(0.7).hit.tolist() == [False, True]


def test_no_results():
    records = match_class([], 0)
    assert len(records.scores) == len(records.gt_count) == 0
    with pytest.raises(ValueError):
        pool_classes([])
