from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics import ct_curves, ct_summary
from gluon_liver.metrics.intervals import score_interval

from .images import BOX, CLASSES, FAR, image, random_results


@pytest.fixture
def by_hand():
    return [
        image(1, "a", gt=[(0, BOX)], found=[(0, 0.9, BOX), (0, 0.6, BOX)]),  # a duplicate
        image(2, "a", gt=[(1, BOX)], found=[(0, 0.8, BOX)]),  # the wrong class
        image(3, "b", gt=[(0, BOX), (1, FAR)], found=[(1, 0.7, FAR), (0, 0.4, BOX)]),
        image(4, "b"),
    ]


def test_summary_by_hand(by_hand):
    summary = ct_summary(by_hand, classes=CLASSES, replicates=200)
    assert [summary[key] for key in ("images", "patients", "annotated_images")] == [4, 2, 3]
    assert summary["boxes"] == {"cyst": 2, "hemangioma": 2, "hcc": 0}
    top1 = {name: (entry["right"], entry["n"], entry["value"]) for name, entry in summary["top1"].items()}
    assert top1 == {"cyst": (1, 1, 1.0), "hemangioma": (0, 1, 0.0), "hcc": (0, 0, None), "mixed": (1, 1, 1.0)}
    # at 0.5: cyst 0.9 hit, 0.8 and 0.6 false; hemangioma 0.7 hit
    precision = {name: entry["value"] for name, entry in summary["precision"].items()}
    assert precision == {"cyst": pytest.approx(1 / 3), "hemangioma": 1.0, "hcc": None, "all": 0.5}
    recall = {name: (entry["value"], entry["n"]) for name, entry in summary["recall"].items()}
    assert recall == {"cyst": (0.5, 2), "hemangioma": (0.5, 2), "hcc": (None, 0), "all": (0.5, 4)}
    # cyst: hit, FP, FP, hit at 0.4 of 2 lesions: 51 points at 1, 50 at 2/4; hemangioma: 51 points at 1
    cyst, hemangioma = (51 + 50 / 2) / 101, 51 / 101
    assert summary["ap50"]["cyst"]["value"] == pytest.approx(cyst)
    assert summary["ap50"]["mean"]["value"] == pytest.approx((cyst + hemangioma) / 2)
    assert summary["ap50"]["hcc"]["value"] is None and summary["ap75"]["hcc"] is None
    assert summary["froc"]["cyst"]["0.25"]["value"] == 0.5
    assert summary["froc"]["cyst"]["0.5"]["value"] == 1.0
    assert list(summary["froc"]["all"]) == ["0.125", "0.25", "0.5", "1", "2", "4", "8"]
    # only patient a has a slice of cysts alone; both have cysts
    assert summary["top1"]["cyst"]["low"] is None and "one patient" in summary["top1"]["cyst"]["reason"]
    assert summary["recall"]["cyst"]["low"] < 0.1 and summary["recall"]["cyst"]["high"] > 0.9
    assert summary["settings"]["replicates"] == 200


def test_score_threshold_moves_precision_and_recall_only(by_hand):
    low, high = (ct_summary(by_hand, classes=CLASSES, score_threshold=score, replicates=20) for score in (0.1, 0.5))
    assert low["recall"]["cyst"]["value"] == 1.0
    assert all(low[key] == high[key] for key in ("top1", "ap50", "ap", "ap75", "froc"))


def test_order_of_images_changes_nothing():
    results = random_results(4)
    shuffled = [results[row] for row in np.random.default_rng(0).permutation(len(results))]
    assert ct_summary(shuffled, classes=CLASSES, replicates=50) == ct_summary(results, classes=CLASSES, replicates=50)
    assert ct_curves(shuffled, CLASSES) == ct_curves(results, CLASSES)


def test_seed_decides_the_intervals_and_nothing_else():
    results = random_results(4)
    one, again, two = (ct_summary(results, classes=CLASSES, replicates=50, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["recall"]["all"]["low"] != two["recall"]["all"]["low"]
    assert one["recall"]["all"]["value"] == two["recall"]["all"]["value"]


def test_intervals_hold_the_values():
    summary = ct_summary(random_results(1, images=60, patients=20), classes=CLASSES, replicates=300)
    entries = [summary[key][name] for key in ("top1", "precision", "recall", "ap50") for name in CLASSES]
    entries += summary["froc"]["all"].values()
    for entry in entries:
        assert entry["low"] <= entry["value"] <= entry["high"] and entry["low"] < entry["high"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_without_nan_however_little_there_is(count):
    results = [image(number, gt=[(0, BOX)] if number == 2 else []) for number in range(count)]
    summary = ct_summary(results, classes=CLASSES, replicates=10)
    text = json.dumps({"summary": summary, "curves": ct_curves(results, CLASSES)}, allow_nan=False)
    assert json.loads(text)["summary"]["images"] == count
    assert summary["ap50"]["mean"]["value"] == (0 if count == 3 else None)


def test_replicates_without_a_class_do_not_enter_the_mean():
    results = [image(1, "a", gt=[(0, BOX)], found=[(0, 0.9, BOX)]), image(2, "b", gt=[(1, BOX)])]
    results.append(image(3, "b", found=[(0, 0.1, BOX)]))
    mean = ct_summary(results, classes=CLASSES, replicates=400)["ap50"]["mean"]
    # half of the replicates draw one patient twice and lack a class; the others are the data itself
    assert 150 < mean["undefined"] < 250
    # the spread is 0: the interval is that of two lesions of which one is found
    assert mean["value"] == pytest.approx(0.5)
    assert (mean["low"], mean["high"]) == pytest.approx(score_interval(0.5, 0.0, np.array([1, 1])))


def test_curves_belong_to_the_summary():
    results = random_results(6)
    curves, summary = ct_curves(results, CLASSES), ct_summary(results, classes=CLASSES, replicates=5)
    for name in [*CLASSES, "all"]:
        fp, sensitivity = (np.array(curves["froc"][name][key]) for key in ("fp", "sensitivity"))
        for rate, entry in summary["froc"][name].items():
            within = sensitivity[fp <= float(rate)]
            assert entry["value"] == pytest.approx(within.max() if len(within) else 0.0)
        assert (np.diff(fp) >= 0).all() and (np.diff(sensitivity) >= 0).all()
    assert set(curves["pr"]) == set(CLASSES)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "mean"], ["all"]])
def test_class_names_that_would_collide_are_refused(names):
    with pytest.raises(InputError, match="classes"):
        ct_summary([], classes=names)


@pytest.mark.slow
def test_five_hundred_images_take_seconds():
    results = random_results(0, images=500, patients=60, most_found=40, steps=10**6)
    assert sum(len(result.boxes) for result in results) > 9000
    start = time.perf_counter()
    ct_summary(results, classes=CLASSES)
    assert time.perf_counter() - start < 15


def test_mxnet_is_not_imported():
    code = "import sys, gluon_liver.metrics, gluon_liver.report; sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
