from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gluon_liver.metrics.bootstrap import bootstrap_weights
from gluon_liver.metrics.froc import FP_RATES, froc_curve, froc_sensitivity
from gluon_liver.metrics.matching import match_class, pool_classes
from gluon_liver.structures.image_result import patient_ids

from .images import BOX, ELSE, FAR, exact, image, random_results


def sensitivity(results, label=0):
    ones = np.ones((1, len(patient_ids(results))), dtype=np.int64)
    return dict(zip(FP_RATES, froc_sensitivity(match_class(results, label), ones)[0]))


@pytest.fixture
def by_hand():
    # 4 images, 4 lesions. By score: 0.9 hit | 0.8 FP | 0.7 hit | 0.6 FP, FP, hit (tied) | 0.5 FP
    return [
        image(1, "a", gt=[(0, BOX), (0, FAR)], found=[(0, 0.9, BOX), (0, 0.8, ELSE), (0, 0.6, FAR)]),
        image(2, "a", gt=[(0, BOX)], found=[(0, 0.7, BOX), (0, 0.6, BOX)]),
        image(3, "b", gt=[(0, BOX)], found=[(0, 0.6, FAR)]),
        image(4, "b", found=[(0, 0.5, FAR)]),
    ]


def test_sensitivity_by_hand(by_hand):
    # FP an image allowed -> FPs allowed of 4 images: 0.5, 1, 2, 4, ...
    expected = {0.125: 0.25, 0.25: 0.5, 0.5: 0.5, 1: 0.75, 2: 0.75, 4: 0.75, 8: 0.75}
    assert sensitivity(by_hand) == expected
    assert sensitivity(by_hand[::-1]) == expected


def test_curve_by_hand(by_hand):
    curve = froc_curve(match_class(by_hand, 0))
    assert curve["fp"] == [0, 0.25, 0.75, 1.0]
    assert curve["sensitivity"] == [0.25, 0.5, 0.75, 0.75]
    assert curve["score"] == [0.9, 0.7, 0.6, 0.5]


def test_a_tie_cannot_be_parted():
    # whichever comes first, the hit at 0.5 costs the false positive at 0.5
    hit, miss = (0, 0.5, BOX), (0, 0.5, FAR)
    for found in ([hit, miss], [miss, hit]):
        results = [image(1, gt=[(0, BOX)], found=found)]
        assert sensitivity(results) == {0.125: 0, 0.25: 0, 0.5: 0, 1: 1, 2: 1, 4: 1, 8: 1}


def test_undefined_without_lesions_and_zero_without_detections():
    assert np.isnan(list(sensitivity([image(1, found=[(0, 0.5, BOX)])]).values())).all()
    assert set(sensitivity([image(1, gt=[(0, BOX)])]).values()) == {0}
    for one in (image(1, found=[(0, 0.5, BOX)]), image(1, gt=[(0, BOX)])):
        assert froc_curve(match_class([one], 0)) == {"fp": [], "sensitivity": [], "score": []}


def test_pooled_needs_the_right_class():
    results = [
        image(1, gt=[(0, BOX), (1, FAR)], found=[(0, 0.9, BOX), (0, 0.8, FAR)]),
        image(2, gt=[(1, BOX)], found=[(1, 0.7, BOX)]),
    ]
    pooled = pool_classes([match_class(results, label) for label in range(2)])
    found = froc_sensitivity(pooled, np.ones((1, 1), dtype=np.int64))[0]
    # 3 lesions, 2 images: one FP (0.5 an image) lies between the hits
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_perfect_detections():
    assert set(sensitivity([exact(result) for result in random_results(0)]).values()) == {1.0}


def test_weights_equal_copies_and_a_plain_loop():
    results = random_results(9)
    patients = patient_ids(results)
    weights = bootstrap_weights(len(patients), replicates=60, seed=2)
    found = froc_sensitivity(match_class(results, 1), weights)
    for row in (0, 7, 49, 50, 59):
        copies = [
            dataclasses.replace(result, image_id=1000 * copy + result.image_id)
            for result in results
            for copy in range(weights[row, patients.index(result.patient)])
        ]
        records = match_class(copies, 1)
        for column, rate in enumerate(FP_RATES):
            best = 0.0
            for threshold in [*np.unique(records.scores), 2.0]:
                chosen = records.scores >= threshold
                if (chosen & ~records.hit).sum() / len(copies) <= rate:
                    best = max(best, (chosen & records.hit).sum() / records.gt_count.sum())
            assert found[row, column] == pytest.approx(best)
