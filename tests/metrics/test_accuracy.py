from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.metrics.accuracy import precision_recall_counts, precision_recall_curve, threshold_ends, top1_counts
from gluon_liver.metrics.matching import match_class, pool_classes

from .images import BOX, CLASSES, ELSE, FAR, exact, image, random_results

HALF = (0, 0, 10, 5)


def top1_accuracy(results, **options):
    return {name: count.value for name, count in top1_counts(results, CLASSES, **options).items()}


def test_top1_by_hand():
    results = [
        image(1, "a", gt=[(0, BOX)], found=[(0, 0.9, BOX), (1, 0.8, FAR)]),  # right
        image(2, "a", gt=[(0, BOX)], found=[(1, 0.9, BOX), (0, 0.8, BOX)]),  # best ROI has the wrong class
        image(3, "b", gt=[(0, BOX)], found=[(0, 0.9, FAR), (0, 0.8, BOX)]),  # best ROI is elsewhere
        image(4, "b", gt=[(0, BOX)]),  # no ROI at all: wrong
        image(5, "b", gt=[(1, BOX), (1, FAR)], found=[(1, 0.1, FAR)]),  # either lesion of the class will do
        image(6, "c", gt=[(1, BOX)], found=[(1, 0.3, HALF)]),  # IoU exactly 0.5
        image(7, "c", gt=[(0, BOX), (2, FAR)], found=[(2, 0.9, FAR), (0, 0.8, BOX)]),  # mixed, right
        image(8, "c", gt=[(0, BOX), (2, FAR)], found=[(0, 0.9, FAR)]),  # mixed: the other lesion's class
        image(9, "c", found=[(2, 1.0, BOX)]),  # background is not counted
    ]
    counts = top1_counts(results, CLASSES)
    assert counts["cyst"].n.tolist() == [2, 2, 0]
    assert counts["cyst"].right.tolist() == [1, 0, 0]
    expected = {"cyst": 0.25, "hemangioma": 1.0, "hcc": None, "mixed": 0.5}
    assert top1_accuracy(results) == expected
    assert top1_accuracy(results[::-1]) == expected
    assert top1_accuracy(results, iou_threshold=0.6)["hemangioma"] == 0.5


def test_top1_takes_the_first_of_tied_rois():
    for first in (0, 1):
        tied = image(1, gt=[(0, BOX)], found=[(first, 0.5, BOX), (1 - first, 0.5, BOX)])
        assert top1_accuracy([tied])["cyst"] == 1 - first


def test_top1_of_perfect_and_of_shuffled_labels():
    truth = [result for result in random_results(0, images=300, most_gt=1) if len(result.gt_labels)]
    rng = np.random.default_rng(1)
    perfect = top1_accuracy([exact(result) for result in truth])
    assert [perfect[name] for name in CLASSES] == [1, 1, 1]
    shuffled = top1_accuracy([exact(result, lambda label: rng.integers(3)) for result in truth])
    assert all(0.15 < shuffled[name] < 0.5 for name in CLASSES)


def test_precision_and_recall_by_hand():
    results = [
        image(1, "a", gt=[(0, BOX), (0, FAR)], found=[(0, 0.9, BOX), (0, 0.8, BOX), (0, 0.4, FAR)]),
        image(2, "b", gt=[(1, BOX)], found=[(0, 0.5, BOX)]),
    ]
    records = match_class(results, 0)
    precision, recall = precision_recall_counts(records.at_score(0.5))
    # a duplicate and a wrong class are false positives; the hit at 0.4 lies under the threshold
    assert (precision.right.tolist(), precision.n.tolist()) == ([1, 0], [2, 1])
    assert (recall.right.tolist(), recall.n.tolist()) == ([1, 0], [2, 0])
    assert precision.value == pytest.approx(1 / 3) and recall.value == 0.5
    pooled = pool_classes([records, match_class(results, 1)])
    precision, recall = precision_recall_counts(pooled)
    assert precision.value == 2 / 4 and recall.value == pytest.approx(2 / 3)
    assert precision_recall_counts(records.at_score(2.0))[0].value is None


def test_precision_recall_curve_by_hand():
    results = [
        image(1, gt=[(0, BOX), (0, FAR)], found=[(0, 0.9, ELSE), (0, 0.8, BOX), (0, 0.6, FAR)]),
        image(2, gt=[(0, BOX), (0, FAR)], found=[(0, 0.6, ELSE), (0, 0.1, (30, 0, 40, 10))]),
    ]
    curve = precision_recall_curve(match_class(results, 0))
    # 0.9 FP, 0.8 hit, {0.6 hit, 0.6 FP} together, 0.1 FP closes the curve
    assert curve["recall"] == [0.25, 0.5, 0.5]
    assert curve["precision"] == [0.5, 0.5, 0.4]
    assert curve["score"] == [0.8, 0.6, 0.1]
    assert precision_recall_curve(match_class(results, 1)) == {"recall": [], "precision": [], "score": []}


def test_threshold_ends():
    assert threshold_ends(np.array([0.9, 0.9, 0.5, 0.4, 0.4])).tolist() == [1, 2, 4]
    assert threshold_ends(np.zeros(0)).tolist() == []
