from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.metrics.bootstrap import bootstrap_weights
from gluon_liver.metrics.coco import coco_average_precision, weighted_ap
from gluon_liver.metrics.matching import match_class
from gluon_liver.structures.image_result import ImageResult, patient_ids

BOX, FAR, HALF = (0, 0, 10, 10), (50, 50, 60, 60), (0, 0, 10, 6)


def plain_ap50(results, label):
    ones = np.ones((1, len(patient_ids(results))), dtype=np.int64)
    return weighted_ap(match_class(results, label), ones)[0]


def test_ap_by_hand(make_image, classes, capsys):
    # cyst: hit, false positive, hit; 4 lesions: precision 1 up to recall 0.25 (26 points), 2/3 up to 0.5 (25)
    results = [
        make_image(1, gt=[(0, BOX), (0, FAR)], found=[(0, 0.9, BOX), (0, 0.8, (30, 30, 40, 40)), (0, 0.7, FAR)]),
        make_image(2, gt=[(0, BOX), (0, FAR)]),
        make_image(3, gt=[(1, BOX)], found=[(1, 0.2, HALF)]),  # IoU 0.6
    ]
    average = coco_average_precision(results, classes)
    cyst = (26 + 25 * 2 / 3) / 101
    assert average["ap50"]["cyst"] == pytest.approx(cyst)
    assert average["ap50"]["hemangioma"] == pytest.approx(1)
    assert average["ap50"]["hcc"] is None
    assert average["ap50"]["mean"] == pytest.approx((cyst + 1) / 2)
    assert average["ap75"] == {
        "cyst": pytest.approx(cyst),
        "hemangioma": 0,
        "hcc": None,
        "mean": pytest.approx(cyst / 2),
    }
    assert average["ap"]["hemangioma"] == pytest.approx(0.3)  # found at 0.5, 0.55 and 0.6 of ten thresholds
    assert plain_ap50(results, 0) == pytest.approx(cyst)
    assert np.isnan(plain_ap50(results, 2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seed", range(12))
def test_equals_pycocotools_on_random_data_with_ties(make_random_results, seed):
    names = ["a", "b", "c", "d", "e"]  # d and e have no lesions; e has no detections either
    steps = 4 if seed % 2 else 1000
    results = make_random_results(seed, steps=steps, most_gt=1 + seed % 4)
    extra = results[0]
    results[0] = ImageResult(
        extra.image_id,
        extra.patient,
        extra.gt_boxes,
        extra.gt_labels,
        [*extra.boxes, BOX],
        [*extra.scores, 0.5],
        [*extra.labels, 3],
    )
    assert any(len(result.boxes) == 0 for result in results)
    assert any(len(result.gt_boxes) == 0 for result in results)
    expected = coco_average_precision(results, names)["ap50"]
    assert [expected[name] for name in "de"] == [None, None]
    for label, name in enumerate("abc"):
        assert 0.02 < expected[name] < 0.98
        assert plain_ap50(results, label) == pytest.approx(expected[name], abs=1e-12)
    assert np.isnan(plain_ap50(results, 3)) and np.isnan(plain_ap50(results, 4))


@pytest.mark.parametrize("bottom, found", [(7.4, 0), (7.6, 1)])
def test_ap75_is_at_three_quarters(make_image, bottom, found):
    results = [make_image(1, gt=[(0, BOX)], found=[(0, 0.9, (0, 0, 10, bottom))])]
    average = coco_average_precision(results, ["a"])
    assert average["ap75"]["a"] == pytest.approx(found)
    assert average["ap50"]["a"] == pytest.approx(1)


def test_weights_equal_copies(make_random_results):
    # distinct scores: the copy of a patient's images is then unambiguous
    results = make_random_results(5, steps=10**6)
    patients = patient_ids(results)
    weights = bootstrap_weights(len(patients), replicates=20, seed=1)
    found = weighted_ap(match_class(results, 0), weights)
    for row in range(len(weights)):
        copies = []
        for result in results:
            for _ in range(weights[row, patients.index(result.patient)]):
                entry = dict(result.to_json(), image_id=len(copies))
                copies.append(ImageResult.from_json(entry))
        expected = coco_average_precision(copies, ["a", "b", "c"])["ap50"]["a"]
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_more_replicates_than_one_block(make_random_results):
    records = match_class(make_random_results(2), 0)
    weights = bootstrap_weights(8, replicates=130, seed=0)
    found = weighted_ap(records, weights)
    for row in (0, 49, 50, 129):
        assert found[row] == weighted_ap(records, weights[row : row + 1])[0]


def test_a_replicate_without_lesions_is_undefined(make_image):
    results = [
        make_image(1, "a", gt=[(0, BOX)], found=[(0, 0.5, BOX)]),
        make_image(2, "b", found=[(0, 0.9, BOX)]),
    ]
    found = weighted_ap(match_class(results, 0), np.array([[1, 1], [0, 2], [2, 0]]))
    np.testing.assert_allclose(found, [0.5, np.nan, 1.0])


def test_properties(make_image, classes):
    perfect = [make_image(1, gt=[(0, BOX), (2, FAR)], found=[(0, 0.3, BOX), (2, 0.2, FAR)]), make_image(2)]
    average = coco_average_precision(perfect, classes)
    assert average["ap"]["mean"] == pytest.approx(1)
    swapped = [make_image(1, gt=[(0, BOX), (2, FAR)], found=[(2, 0.3, BOX), (0, 0.2, FAR)]), make_image(2)]
    assert coco_average_precision(swapped, classes)["ap50"]["mean"] == 0
    silent = [make_image(1, gt=[(0, BOX)]), make_image(2)]
    assert coco_average_precision(silent, classes)["ap50"] == {
        "cyst": 0,
        "hemangioma": None,
        "hcc": None,
        "mean": 0,
    }
    nothing = dict.fromkeys([*classes, "mean"])
    assert coco_average_precision([], classes)["ap"] == nothing
    assert coco_average_precision([make_image(1)], classes)["ap"] == nothing


def test_more_than_a_hundred_detections_count(make_image):
    # COCO's limit of 100 would drop the only hit
    noise = [(0, 0.9, (30 + i, 30, 40 + i, 40)) for i in range(120)]
    results = [make_image(1, gt=[(0, BOX)], found=[*noise, (0, 0.5, BOX)])]
    assert coco_average_precision(results, ["a"])["ap50"]["a"] == pytest.approx(1 / 121)
    assert plain_ap50(results, 0) == pytest.approx(1 / 121)
