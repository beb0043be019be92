from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.metrics.bootstrap import (
    bootstrap_weights,
    divide_or_nan,
    rate_with_interval,
    ratio_with_interval,
    with_interval,
)
from gluon_liver.metrics.intervals import rate_interval, score_interval


def test_draws_are_patient_counts_and_repeatable():
    weights = bootstrap_weights(7, replicates=2000, seed=3)
    assert weights.shape == (2000, 7) and (weights.sum(axis=1) == 7).all() and (weights >= 0).all()
    np.testing.assert_array_equal(weights, bootstrap_weights(7, replicates=2000, seed=3))
    assert (weights != bootstrap_weights(7, replicates=2000, seed=4)).any()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.1)
    # a patient is left out of a replicate with probability (6/7)^7 = 0.34
    assert (weights[:, 0] == 0).mean() == pytest.approx((6 / 7) ** 7, abs=0.04)
    assert bootstrap_weights(0, replicates=5).shape == (5, 0)


def test_interval_by_hand():
    replicated = np.append(np.arange(101) / 100, [np.nan, np.nan])
    counts = np.array([2, 1, 1, 1, 1, 0])
    low, high = score_interval(0.4, replicated[:101].std() * np.sqrt(5 / 4), counts)
    entry = with_interval(0.4, replicated, counts)
    assert entry == {"value": 0.4, "low": pytest.approx(low), "high": pytest.approx(high), "undefined": 2}


def test_interval_of_a_proportion_agrees_with_theory():
    # 400 patients of one slice each, 300 right: standard error sqrt(.75 * .25 / 400) = 0.02165
    right = np.repeat([1, 0], [300, 100])
    entry = ratio_with_interval(right, np.ones(400, dtype=int), bootstrap_weights(400, replicates=4000, seed=0))
    assert (entry["value"], entry["n"], entry["undefined"]) == (0.75, 400, 0)
    assert entry["low"] == pytest.approx(0.75 - 1.96 * 0.02165, abs=0.004)
    assert entry["high"] == pytest.approx(0.75 + 1.96 * 0.02165, abs=0.004)


def test_slices_of_one_patient_are_drawn_together():
    # two patients of 100 slices, one all right, one all wrong: replicates are 0, 0.5 or 1
    entry = ratio_with_interval(np.array([100, 0]), np.array([100, 100]), bootstrap_weights(2))
    assert (entry["value"], entry["n"]) == (0.5, 200)
    assert entry["low"] < 0.1 and entry["high"] > 0.9  # as of two lesions, not of 200


def test_all_right_is_no_certainty():
    for right, value in ((np.ones(12, int), 1.0), (np.zeros(12, int), 0.0)):
        entry = ratio_with_interval(right, np.ones(12, int), bootstrap_weights(12))
        assert entry["value"] == value and entry["high"] - entry["low"] == pytest.approx(0.2425, abs=1e-3)


def test_undefined_replicates_are_counted_and_left_out():
    weights = np.array([[2, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 3]])
    entry = ratio_with_interval(np.array([1, 1, 0]), np.array([2, 1, 0]), weights)
    # 2/4, 1/1, 2/3, 0/0
    assert entry["undefined"] == 1 and "reason" not in entry
    error = np.std([0.5, 1, 2 / 3]) * np.sqrt(2)
    assert (entry["low"], entry["high"]) == score_interval(2 / 3, error, np.array([2, 1, 0]))


def test_one_patient_has_no_interval():
    entry = ratio_with_interval(np.array([3]), np.array([4]), bootstrap_weights(1))
    assert (entry["value"], entry["low"], entry["high"]) == (0.75, None, None)
    assert "one patient" in entry["reason"]
    # also when the others contribute nothing
    entry = ratio_with_interval(np.array([3, 0]), np.array([4, 0]), bootstrap_weights(2))
    assert entry["low"] is None and "one patient" in entry["reason"]


def test_undefined_metrics_are_null():
    entry = ratio_with_interval(np.array([0, 0]), np.array([0, 0]), bootstrap_weights(2, replicates=10))
    assert (entry["value"], entry["low"], entry["undefined"], entry["n"]) == (None, None, 10, 0)
    assert with_interval(0.5, np.full(4, np.nan), np.ones(3))["reason"].endswith("every replicate")
    assert with_interval(float("nan"), np.full(4, 0.5), np.ones(3))["value"] is None


def test_rates_a_patient_may_be_above_one():
    entry = rate_with_interval(np.array([3, 0, 2, 3]))
    assert (entry["value"], entry["n"], entry["undefined"]) == (2.0, 4, 0) and entry["low"] < 2 < entry["high"]
    assert (entry["low"], entry["high"]) == rate_interval(np.array([3, 0, 2, 3]))
    assert "one patient" in rate_with_interval(np.array([3]))["reason"]
    assert rate_with_interval(np.zeros(0, int))["value"] is None


def test_divide_or_nan():
    np.testing.assert_array_equal(divide_or_nan(np.array([1, 2]), np.array([0, 4])), [np.nan, 0.5])
