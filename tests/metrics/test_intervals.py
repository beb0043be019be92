"""Intervals by hand, against SciPy, and by simulation: scripts/interval_coverage.py in small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gluon_liver.metrics.intervals import design_effect, rate_interval, score_interval
from scripts import interval_coverage


@pytest.mark.parametrize("right, n", [(0, 10), (3, 10), (10, 10), (81, 263)])
def test_independent_lesions_have_the_interval_of_wilson(right, n):
    # one lesion a patient, and the spread of a binomial: the design effect is 1
    share = right / n
    low, high = score_interval(share, np.sqrt(share * (1 - share) / n), np.ones(n, int))
    other = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((other.low, other.high), abs=1e-6)
    if n == 263:  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263 is 0.2553 to 0.3662
        assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_design_effect_by_hand():
    # two patients of 5 lesions: all right and all wrong; the standard error of their mean is 0.5
    assert design_effect(0.5, 0.5, np.array([5, 5, 0])) == pytest.approx((1 * 0.25 / 0.025 + 2 * 5) / 3)
    # all right: nothing is observed, the lesions of a patient count as one; sizes 4, 2: (16 + 4) / 6
    assert design_effect(1.0, 0.0, np.array([4, 2])) == pytest.approx(20 / 6)
    low, high = score_interval(1.0, 0.0, np.array([4, 2]))
    assert high == 1.0 and low == pytest.approx(1 - stats.norm.ppf(0.975) ** 2 / (1.8 + stats.norm.ppf(0.975) ** 2))
    # never narrower than independent lesions
    assert design_effect(0.5, 0.0, np.ones(40, int)) == 1.0


def test_rates_by_hand():
    # no event in 10 patients: Garwood's upper end is 3.689 / 10; of Poisson counts it is exact
    assert rate_interval(np.zeros(10, int)) == (0.0, pytest.approx(0.36889, abs=1e-5))
    counts = np.tile([0, 2], 20)  # 40 events, variance 40 / 39: dispersion 1.025
    low, high = rate_interval(counts)
    dispersion = (39 * 40 / 39 + 2) / 41 * (2.022691 / 1.959964) ** 2  # t with 39 degrees of freedom
    assert low == pytest.approx(stats.chi2.ppf(0.025, 80 / dispersion) / 2 * dispersion / 40)
    assert high == pytest.approx(stats.chi2.ppf(0.975, 80 / dispersion + 2) / 2 * dispersion / 40)
    wild = np.append(np.zeros(39, int), 40)
    assert rate_interval(wild)[1] - rate_interval(wild)[0] > 3 * (high - low)


@pytest.mark.parametrize("truth", [0.02, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("patients, share", [(6, 1.0), (17, 1 / 3), (17, 1.0)])
def test_intervals_of_proportions_cover(truth, patients, share):
    def sample(rng):
        return interval_coverage.proportion(rng, patients, share, truth, 100)

    found = interval_coverage.coverage(sample, truth, 250)
    assert found.now >= 0.92 and found.without_width == 0  # 0.95 less two standard errors
    assert found.percentiles < 0.95


@pytest.mark.parametrize("events", [0.1, 2.0])
def test_intervals_of_rates_cover(events):
    found = interval_coverage.coverage(lambda rng: interval_coverage.rate(rng, 17, events, 100), events, 250)
    assert found.now >= 0.90 and found.without_width == 0


@pytest.mark.parametrize("metric", ["AP", "FROC"])
def test_intervals_of_average_precision_cover(metric):
    detector = interval_coverage.DETECTORS["fair"]
    large = interval_coverage.ranked(np.random.default_rng(1), 3000, 1.0, detector)
    (truth,) = interval_coverage.METRICS[metric](large, np.ones((1, 3000), np.int64))

    def sample(rng):
        return interval_coverage.of_ranks(rng, metric, 17, 1.0, detector, 60)

    found = interval_coverage.coverage(sample, truth, 120)
    assert found.now >= 0.9 and found.percentiles < 0.88 and found.without_width == 0


@pytest.mark.parametrize("first, second", [(0.7, 0.7), (0.7, 0.5), (0.95, 0.9)])
def test_intervals_of_paired_differences_cover(first, second):
    def sample(rng):
        return interval_coverage.paired(rng, 10, first, second, 40)

    found = interval_coverage.coverage(sample, first - second, 120)
    assert found.now >= 0.92 and found.without_width == 0
