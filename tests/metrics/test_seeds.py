from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from gluon_liver.errors import InputError
from gluon_liver.metrics.seeds import detectable_difference, holm, paired_over_seeds, sign_flip_p

# Student (1908), "The probable error of a mean", section IX: additional hours of sleep by two drugs, ten patients;
# t = -4.06 with 9 degrees of freedom, P = 0.0028 two-sided (R's help of `sleep`)
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_student_sleep():
    test = paired_over_seeds(DEXTRO, LAEVO)
    assert (test.n, round(test.mean, 2), round(test.t, 4), round(test.p, 6)) == (10, -1.58, -4.0621, 0.002833)
    assert (round(test.low, 4), round(test.high, 4)) == (-2.4599, -0.7001)
    assert test.sd == pytest.approx(1.229995, abs=1e-6) and test.reason is None
    np.testing.assert_allclose(test.differences, np.subtract(DEXTRO, LAEVO))
    one_sided = paired_over_seeds(LAEVO, DEXTRO, alternative="greater")
    assert one_sided.p == pytest.approx(test.p / 2) and (one_sided.low, one_sided.high) == (-test.high, -test.low)
    assert paired_over_seeds(LAEVO, DEXTRO, alternative="less").p == pytest.approx(1 - test.p / 2)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_sign_flips_are_those_of_scipy(alternative):
    differences = np.subtract(LAEVO, DEXTRO)
    other = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative=alternative
    )
    assert sign_flip_p(differences, alternative=alternative) == pytest.approx(other.pvalue, abs=1e-12)
    few = [0.3, -0.1, 0.2]
    sums = [np.dot(signs, few) for signs in itertools.product([1, -1], repeat=3)]
    by_hand = {"two-sided": [abs(one) > 0.39 for one in sums], "greater": [one > 0.39 for one in sums]}
    by_hand["less"] = [one < 0.41 for one in sums]
    assert sign_flip_p(few, alternative=alternative) == np.mean(by_hand[alternative])


def test_the_least_p_of_five_seeds():
    test = paired_over_seeds([0.5, 0.6, 0.7, 0.5, 0.6], [0.3, 0.3, 0.3, 0.2, 0.1])
    assert test.p_flip == 2 / 32
    assert paired_over_seeds([2, 3, 4, 5, 6], [1, 1, 1, 1, 1], alternative="greater").p_flip == 1 / 32
    many = np.random.default_rng(0).normal(1, 1, 30)
    assert sign_flip_p(many) == 1 / 100_001 and sign_flip_p(np.zeros(25)) == 1


def test_twelve_pairs_go_through_all_signs():
    differences = np.random.default_rng(3).normal(0.4, 1, 12)
    sums = [np.dot(signs, differences) for signs in itertools.product([1, -1], repeat=12)]
    assert sign_flip_p(differences) == np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9)


def test_holm():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02
    adjusted = holm({"a": 0.01, "b": 0.04, "none": None, "c": 0.03, "d": 0.005})
    assert adjusted == {key: value and pytest.approx(value) for key, value in adjusted.items()}
    assert [round(p, 12) if p else p for p in adjusted.values()] == [0.03, 0.06, None, 0.06, 0.02]
    assert holm({1: 0.9, 2: 0.8}) == {1: 1.0, 2: 1.0} and holm({}) == {}
    with pytest.raises(InputError, match="0 to 1"):
        holm({"a": 1.2})


def test_power_of_a_paired_t_test():
    # G*Power 3.1, means: difference between two dependent means: n 20, two-sided 0.05, power 0.8: effect 0.6604 SD
    assert detectable_difference(1 / np.sqrt(20), 19) == pytest.approx(0.6604, abs=0.002)
    # and so many of simulated samples show it
    rng, found = np.random.default_rng(0), detectable_difference(1 / np.sqrt(20), 19)
    samples = rng.normal(found, 1, (4000, 20))
    assert np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.02)
    test = paired_over_seeds(DEXTRO, LAEVO)
    assert test.detectable == pytest.approx(detectable_difference(test.sd / np.sqrt(10), 9))


def test_what_cannot_be_tested_says_why():
    one = paired_over_seeds([0.5], [0.4])
    assert (one.n, one.sd, one.low, one.p, one.p_flip) == (1, None, None, None, 1.0) and "one seed" in one.reason
    same = paired_over_seeds([0.5, 0.6], [0.4, 0.5])
    assert (same.sd, same.t, same.p, same.p_flip) == (0.0, None, None, 0.5) and "+0.100 in every seed" in same.reason
    for wrong in (([0.5], [0.4, 0.3]), ([], []), ([np.nan], [0.4])):
        with pytest.raises(InputError):
            paired_over_seeds(*wrong)
    with pytest.raises(InputError, match="one of two-sided"):
        paired_over_seeds([1, 2], [0, 0], alternative="bigger")
