from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from gluon_liver.metrics import ct_summary
from gluon_liver.metrics.comparison import compare_figures, lesions_by_arm, permutation_p, swaps
from gluon_liver.metrics.figures import BY_SIZE, Figure, Ratio, box_lesions, figures_of
from gluon_liver.metrics.froc import FP_RATES
from gluon_liver.metrics.sizes import size_groups
from gluon_liver.structures.image_result import check_results, patient_ids

from .images import BOX, CLASSES, FAR, exact, image, random_results

GROUPS = size_groups((8, 16), "pixels")


def figures(results, **options):
    ordered = check_results(results, CLASSES)
    where = [("case", one.image_id) for one in ordered]
    lesions = box_lesions(ordered, where, patient_ids(ordered), score_threshold=0.5, iou_threshold=0.5)
    return figures_of(ordered, lesions, classes=CLASSES, groups=GROUPS, **options)


def ratio(numerator, denominator=None):
    return Figure([Ratio(np.array(numerator), np.ones(len(numerator), int) if denominator is None else denominator)])


def test_figures_are_those_of_the_summary():
    results = random_results(3)
    summary, found = ct_summary(results, classes=CLASSES, replicates=5), figures(results)
    ones = np.ones((1, len(patient_ids(results))), int)
    value = {name: figure.at(ones)[0] for (_, name), figure in found.items()}
    for name in CLASSES:
        for key in ("precision", "recall", "top1", "ap50"):
            shown = {"top1": "top-1", "ap50": "AP50"}.get(key, key)
            assert value[f"{shown}, {name}"] == pytest.approx(summary[key][name]["value"])
    assert value["precision"] == summary["precision"]["all"]["value"]
    assert value["recall"] == summary["recall"]["all"]["value"] == value["lesion sensitivity"]
    assert value["AP"] == pytest.approx(summary["ap"]["mean"]) and value["AP50"] == pytest.approx(
        summary["ap50"]["mean"]["value"]
    )
    rates = [summary["froc"]["all"][f"{rate:g}"]["value"] for rate in FP_RATES]
    assert value["FROC"] == pytest.approx(np.mean(rates))
    right = sum(summary["top1"][name]["right"] for name in CLASSES)
    assert value["top-1"] == right / sum(summary["top1"][name]["n"] for name in CLASSES)
    detections = sum((one.scores >= 0.5).sum() for one in results)
    assert value["false positives a patient"] == pytest.approx(detections * (1 - value["precision"]) / 8)


def test_boxes_by_size_and_who_finds_them():
    results = [
        image(1, "a", gt=[(0, BOX), (1, FAR), (0, (0, 20, 30, 25))], found=[(0, 0.9, BOX), (0, 0.8, FAR)]),
        image(2, "b", gt=[(0, (0, 0, 5, 4))], found=[(0, 0.4, (0, 0, 5, 4))]),
    ]
    lesions = box_lesions(results, [("c", 1), ("d", 2)], ["a", "b"], score_threshold=0.5, iou_threshold=0.5)
    assert lesions.found.tolist() == [True, False, False, False] and lesions.size.tolist() == [10, 10, 30, 5]
    assert lesions.false_positives.tolist() == [1, 0] and lesions.where == [("c", 1)] * 3 + [("d", 2)]
    assert list(size_groups((10, 20), "mm")) == ["small, below 10 mm", "medium, 10 to 20 mm", "large, 20 mm or more"]
    assert list(size_groups((10, 20, 30), "mm"))[1:3] == ["10 to 20 mm", "20 to 30 mm"]
    by_size = {name: figure.counts.tolist() for (family, name), figure in figures(results).items() if family == BY_SIZE}
    assert list(by_size.values()) == [[0, 1], [2, 0], [1, 0]]


def test_swapping_patients_swaps_their_results():
    """The figure over joined patients is that of the images of one run or the other."""
    one, two = (random_results(5, patients=4, steps=10**6) for _ in range(2))  # no tied scores
    two = [exact(result) if number % 3 == 0 else result for number, result in enumerate(two)]
    a, b = figures(one), figures(two)
    patients = patient_ids(one)
    rows = np.array([[0, 1, 1, 0]], bool)
    mixed = [y if rows[0][patients.index(x.patient)] else x for x, y in zip(one, two)]
    for key, figure in figures(mixed).items():
        weights = np.hstack([~rows, rows]).astype(int)
        assert a[key].joined(b[key]).at(weights)[0] == pytest.approx(figure.at(np.ones((1, 4), int))[0]), key


def test_permutation_by_hand_and_by_scipy():
    a, b = np.array([3, 2, 4, 1, 3, 5, 2]), np.array([1, 2, 3, 1, 2, 1, 3])
    n = np.full(7, 5)
    p = permutation_p(ratio(a, n), ratio(b, n), swaps(7, draws=0))
    other = stats.permutation_test(
        (a, b), lambda x, y: x.sum() - y.sum(), permutation_type="samples", n_resamples=np.inf
    )
    assert p == pytest.approx(other.pvalue)
    sums = [np.dot(signs, a - b) for signs in itertools.product([1, -1], repeat=7)]
    assert p == np.mean(np.abs(sums) >= (a - b).sum())
    assert swaps(7, draws=0).shape == (128, 7) and not swaps(7, draws=0)[0].any()
    assert swaps(20, draws=50).shape == (50, 20)
    # more patients: drawn, and never 0
    many = permutation_p(ratio(np.ones(40)), ratio(np.zeros(40)), swaps(40, draws=200))
    assert many == 1 / 201


def test_one_run_against_one():
    a, b = np.tile([1, 1, 1, 0], 5), np.tile([0, 1, 1, 0], 5)
    entry = compare_figures([{("f", "x"): ratio(a)}], [{("f", "x"): ratio(b)}], replicates=4000)[("f", "x")]
    assert (entry.a, entry.b, entry.difference, entry.patients, entry.test) == (0.75, 0.5, 0.25, 20, "permutation")
    error = np.std(a - b, ddof=1) / np.sqrt(20)
    # Agresti and Min: 5 found by A alone, none by B alone, of 20: (5 - 0) / 22, variance ((5 + 1) - 25 / 22) / 22^2
    middle, spread = 5 / 22, np.sqrt((20**2 * error**2 + 1) / 22**2)
    wide = stats.t.ppf(0.975, 21) * spread
    assert (entry.low, entry.high) == (pytest.approx(middle - wide, abs=0.01), pytest.approx(middle + wide, abs=0.01))
    assert spread == pytest.approx(np.sqrt((6 - 25 / 22) / 22**2), rel=0.03)
    assert entry.p == pytest.approx(2 / 32, abs=0.02) and entry.p_holm == entry.p and entry.seeds is None
    # at the difference that is printed, lesions that A alone finds are as many more as it is larger than 0.25
    factor = stats.t.ppf(0.975, 21) + stats.t.ppf(0.8, 21)
    there = spread**2 + (entry.detectable * (1 - entry.detectable) - 0.25 * 0.75) / 20
    assert 0.25 < entry.detectable == pytest.approx(factor * np.sqrt(there), rel=0.03)


def test_equal_runs_are_no_certainty():
    entry = compare_figures([{("f", "x"): ratio([1, 0, 1, 1])}], [{("f", "x"): ratio([1, 0, 1, 1])}])[("f", "x")]
    assert (entry.difference, entry.p, entry.detectable) == (0, 1, None) and "with 4 patients" in entry.reason
    six = compare_figures([{("f", "x"): ratio([1, 0, 1, 1, 0, 1])}], [{("f", "x"): ratio([1, 0, 1, 1, 0, 1])}])
    assert six["f", "x"].reason == "both are equal in every patient" and six["f", "x"].detectable > 0.5
    five = compare_figures([{("f", "x"): ratio([1, 0, 1, 1, 0])}], [{("f", "x"): ratio([0, 1, 1, 0, 1])}])[("f", "x")]
    assert five.detectable is None and five.reason == "with 5 patients no P can be 0.05 or less"
    assert entry.low == -entry.high and 0.2 < entry.high < 0.6
    # lesions of patients who answer alike are worth no more than the patients, and two lesions are added, not patients
    more = ratio([3, 0, 3, 3], np.full(4, 3))
    wide = compare_figures([{("f", "x"): more}], [{("f", "x"): more}])[("f", "x")]
    assert wide.high == pytest.approx(stats.t.ppf(0.975, 3 + 2 / 3) * np.sqrt(1 / 3) / (4 + 2 / 3))


def test_seeds_are_a_level():
    rng = np.random.default_rng(0)
    base = rng.random((3, 16)) < 0.5
    a, b = base | (rng.random((3, 16)) < 0.5), base
    arms = [[{("f", "x"): ratio(run.astype(int))} for run in arm] for arm in (a, b)]
    entry = compare_figures(*arms, paired_seeds=True, replicates=4000)[("f", "x")]
    by_seed = a.mean(axis=1) - b.mean(axis=1)
    assert entry.difference == pytest.approx(by_seed.mean()) and entry.test == "t"
    assert entry.seeds["differences"] == pytest.approx(by_seed)
    of_patients = np.var((a.mean(axis=0) - b.mean(axis=0)), ddof=1) / 16
    of_seeds = np.var(by_seed, ddof=1) / 3
    freedom = (of_patients + of_seeds) ** 2 / (of_patients**2 / 15 + of_seeds**2 / 2)
    t = by_seed.mean() / np.sqrt(of_patients + of_seeds)
    assert entry.p == pytest.approx(2 * stats.t.sf(t, freedom), rel=0.15)
    # unpaired: Welch's variance of both arms
    unpaired = compare_figures(*arms, replicates=4000)[("f", "x")]
    assert unpaired.seeds is None and unpaired.detectable != entry.detectable
    parts = [np.var(arm.mean(axis=1), ddof=1) / 3 for arm in (a, b)]
    welch = sum(parts) ** 2 / sum(part**2 / 2 for part in parts)
    freedom = (of_patients + sum(parts)) ** 2 / (of_patients**2 / 15 + sum(parts) ** 2 / welch)
    t = by_seed.mean() / np.sqrt(of_patients + sum(parts))
    assert unpaired.p == pytest.approx(2 * stats.t.sf(t, freedom), rel=0.15)
    # one run on one side: trainings are not known to vary
    single = compare_figures(arms[0], arms[1][:1])[("f", "x")]
    assert single.test == "t" and single.seeds is None


def test_what_cannot_be_compared_says_why():
    none, one = ratio([0, 0], np.zeros(2, int)), ratio([1, 0])
    entry = compare_figures([{("f", "x"): none}], [{("f", "x"): one}])[("f", "x")]
    assert entry.difference is None and entry.p is None and "nothing to count" in entry.reason
    entry = compare_figures([{("f", "x"): one}], [{("f", "y"): one}])[("f", "y")]
    assert entry.a is None and "nothing to count" in entry.reason
    alone = ratio([1, 0], np.array([1, 0]))
    entry = compare_figures([{("f", "x"): alone}], [{("f", "x"): ratio([0, 0], np.array([1, 0]))}])[("f", "x")]
    assert entry.difference == 1 and entry.low is None and "one patient" in entry.reason


def test_holm_within_a_family():
    good, bad = ratio(np.ones(6)), ratio(np.zeros(6))
    arm_a = {("f", "x"): good, ("f", "y"): good, ("g", "z"): good}
    arm_b = {("f", "x"): bad, ("f", "y"): good, ("g", "z"): bad}
    entries = compare_figures([arm_a], [arm_b])
    assert entries["f", "x"].p == entries["g", "z"].p == 2 / 64
    assert (entries["f", "x"].p_holm, entries["f", "y"].p_holm, entries["g", "z"].p_holm) == (4 / 64, 1, 2 / 64)


def test_lesions_found_by_one_alone():
    a = np.array([[1, 1, 0, 0, 1], [1, 1, 0, 0, 0], [1, 0, 0, 1, 0]], bool)
    b = np.array([[1, 0, 1, 0, 0]], bool)
    assert lesions_by_arm(a, b) == ["both", "a", "b", "neither", "neither"]
