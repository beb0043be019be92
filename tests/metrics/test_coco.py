from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gluon_liver.metrics.bootstrap import bootstrap_weights
from gluon_liver.metrics.coco import coco_average_precision, weighted_ap
from gluon_liver.metrics.matching import match_class
from gluon_liver.structures.image_result import patient_ids

from .images import BOX, CLASSES, ELSE, FAR, image, random_results


def plain_ap50(results, label):
    ones = np.ones((1, len(patient_ids(results))), dtype=np.int64)
    return weighted_ap(match_class(results, label), ones)[0]


def test_ap_by_hand(capsys):
    # cyst: hit, false positive, hit; 4 lesions: precision 1 up to recall 0.25 (26 points), 2/3 up to 0.5 (25)
    results = [
        image(1, gt=[(0, BOX), (0, FAR)], found=[(0, 0.9, BOX), (0, 0.8, ELSE), (0, 0.7, FAR)]),
        image(2, gt=[(0, BOX), (0, FAR)]),
        image(3, gt=[(1, BOX)], found=[(1, 0.2, (0, 0, 10, 6))]),  # IoU 0.6
    ]
    average = coco_average_precision(results, CLASSES)
    cyst = (26 + 25 * 2 / 3) / 101
    assert average["ap50"]["cyst"] == pytest.approx(cyst)
    assert average["ap50"]["hemangioma"] == pytest.approx(1)
    assert average["ap50"]["hcc"] is None
    assert average["ap50"]["mean"] == pytest.approx((cyst + 1) / 2)
    assert average["ap75"] == dict(cyst=pytest.approx(cyst), hemangioma=0, hcc=None, mean=pytest.approx(cyst / 2))
    assert average["ap"]["hemangioma"] == pytest.approx(0.3)  # found at 0.5, 0.55 and 0.6 of ten thresholds
    assert plain_ap50(results, 0) == pytest.approx(cyst)
    assert np.isnan(plain_ap50(results, 2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seed", range(12))
def test_equals_pycocotools_on_random_data_with_ties(seed):
    names = ["a", "b", "c", "d", "e"]  # d and e have no lesions; e has no detections either
    steps = 4 if seed % 2 else 1000
    results = random_results(seed, steps=steps, most_gt=1 + seed % 4)
    one = results[0]
    more = dict(boxes=[*one.boxes, BOX], scores=[*one.scores, 0.5], labels=[*one.labels, 3])
    results[0] = dataclasses.replace(one, **more)
    assert min(len(result.boxes) for result in results) == min(len(result.gt_boxes) for result in results) == 0
    expected = coco_average_precision(results, names)["ap50"]
    assert [expected[name] for name in "de"] == [None, None]
    for label, name in enumerate("abc"):
        assert 0.02 < expected[name] < 0.98
        assert plain_ap50(results, label) == pytest.approx(expected[name], abs=1e-12)
    assert np.isnan(plain_ap50(results, 3)) and np.isnan(plain_ap50(results, 4))


@pytest.mark.parametrize("bottom, found", [(7.4, 0), (7.6, 1)])
def test_ap75_is_at_three_quarters(bottom, found):
    results = [image(1, gt=[(0, BOX)], found=[(0, 0.9, (0, 0, 10, bottom))])]
    average = coco_average_precision(results, ["a"])
    assert average["ap75"]["a"] == pytest.approx(found)
    assert average["ap50"]["a"] == pytest.approx(1)


def test_weights_equal_copies():
    # distinct scores: the copy of a patient's images is then unambiguous
    results = random_results(5, steps=10**6)
    patients = patient_ids(results)
    weights = bootstrap_weights(len(patients), replicates=20, seed=1)
    found = weighted_ap(match_class(results, 0), weights)
    for row, times in enumerate(weights):
        copies = [result for result in results for _ in range(times[patients.index(result.patient)])]
        copies = [dataclasses.replace(result, image_id=number) for number, result in enumerate(copies)]
        expected = coco_average_precision(copies, ["a", "b", "c"])["ap50"]["a"]
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_more_replicates_than_one_block():
    records = match_class(random_results(2), 0)
    weights = bootstrap_weights(8, replicates=130, seed=0)
    found = weighted_ap(records, weights)
    for row in (0, 49, 50, 129):
        assert found[row] == weighted_ap(records, weights[row : row + 1])[0]


def test_a_replicate_without_lesions_is_undefined():
    results = [
        image(1, "a", gt=[(0, BOX)], found=[(0, 0.5, BOX)]),
        image(2, "b", found=[(0, 0.9, BOX)]),
    ]
    found = weighted_ap(match_class(results, 0), np.array([[1, 1], [0, 2], [2, 0]]))
    np.testing.assert_allclose(found, [0.5, np.nan, 1.0])


def test_properties():
    perfect = [image(1, gt=[(0, BOX), (2, FAR)], found=[(0, 0.3, BOX), (2, 0.2, FAR)]), image(2)]
    assert coco_average_precision(perfect, CLASSES)["ap"]["mean"] == pytest.approx(1)
    swapped = [image(1, gt=[(0, BOX), (2, FAR)], found=[(2, 0.3, BOX), (0, 0.2, FAR)]), image(2)]
    assert coco_average_precision(swapped, CLASSES)["ap50"]["mean"] == 0
    silent = [image(1, gt=[(0, BOX)]), image(2)]
    assert coco_average_precision(silent, CLASSES)["ap50"] == dict(cyst=0, hemangioma=None, hcc=None, mean=0)
    nothing = dict.fromkeys([*CLASSES, "mean"])
    assert coco_average_precision([], CLASSES)["ap"] == nothing
    assert coco_average_precision([image(1)], CLASSES)["ap"] == nothing


def test_more_than_a_hundred_detections_count():
    # COCO's limit of 100 would drop the only hit
    noise = [(0, 0.9, (30 + i, 30, 40 + i, 40)) for i in range(120)]
    results = [image(1, gt=[(0, BOX)], found=[*noise, (0, 0.5, BOX)])]
    assert coco_average_precision(results, ["a"])["ap50"]["a"] == pytest.approx(1 / 121)
    assert plain_ap50(results, 0) == pytest.approx(1 / 121)
