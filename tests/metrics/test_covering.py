"""DeepLesion's counting by hand, and against 3DCE's formula written anew with loops."""

import numpy as np
import pytest

from gluon_liver.metrics.covering import cover_class
from gluon_liver.metrics.froc import froc_sensitivity
from gluon_liver.metrics.matching import match_class
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import patient_ids

from .images import BOX, ELSE, FAR, image, random_results

RATES = (0.5, 1, 2, 4, 8, 16)


def sensitivity(results, rates=RATES):
    ones = np.ones((1, len(patient_ids(results))), dtype=np.int64)
    return froc_sensitivity(cover_class(results, 0), ones, rates)[0].tolist()


def test_a_second_detection_of_a_lesion_does_not_count():
    found = [(0, 0.9, BOX), (0, 0.8, BOX), (0, 0.7, BOX), (0, 0.6, FAR)]
    results = [image(1, gt=[(0, BOX), (0, FAR)], found=found)]
    assert sensitivity(results, (0.5,)) == [1.0]
    records = cover_class(results, 0)
    assert records.scores.tolist() == [0.9, 0.6] and records.hit.all() and records.gt_count.tolist() == [2]


def test_a_detection_finds_every_lesion_that_it_overlaps():
    near = [BOX[0] + 1, *BOX[1:]]
    records = cover_class([image(1, gt=[(0, BOX), (0, near)], found=[(0, 0.9, BOX), (0, 0.8, ELSE)])], 0)
    assert records.scores.tolist() == [0.9, 0.9, 0.8] and records.hit.tolist() == [True, True, False]


def test_false_positives_of_images_without_lesions_and_of_other_classes():
    results = [image(1, "a", gt=[(0, BOX)], found=[(1, 0.9, BOX)]), image(2, "b", found=[(0, 0.8, BOX)])]
    records = cover_class(results, 0)
    assert (records.hit.tolist(), records.patient.tolist()) == ([False], [1])
    assert records.image_count.tolist() == [1, 1] and records.gt_count.tolist() == [1, 0]
    assert sensitivity(results) == [0.0] * 6
    assert cover_class([image(1, gt=[(0, BOX)])], 0).scores.tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_published_formula(seed):
    results = random_results(seed, classes=1, most_found=20, steps=10**9)  # no ties, which the formula leaves open
    every = sorted(
        (-score, number, box.tolist())
        for number, one in enumerate(results)
        for score, box in zip(one.scores, one.boxes)
    )
    hits = [np.zeros(len(one.gt_boxes), bool) for one in results]
    right, wrong, points = 0, 0, [(0.0, 0)]
    for _, number, box in every:
        overlaps = box_iou(np.array([box]), results[number].gt_boxes)[0]
        wrong += not (overlaps >= 0.5).any()
        for place in np.flatnonzero(overlaps >= 0.5):
            right += not hits[number][place]
            hits[number][place] = True
        points.append((wrong / len(results), right))
    rates = (0.1, 0.5, 1, 2, 4)
    expected = [max(hit for fp, hit in points if fp <= rate) / sum(map(len, hits)) for rate in rates]
    assert len(set(expected)) > 2 and sensitivity(results, rates) == pytest.approx(expected)
    usual = froc_sensitivity(match_class(results, 0), np.ones((1, 8), np.int64), rates)[0]
    assert (usual <= expected).all() and (usual < expected).any()
