"""Two arms of an experiment over seeds: the paired difference, exact sign flips, Holm's correction, and power.

An arm is a configuration that was trained several times; its figure of a seed is one number, AP50 of a run say. Figures
of two arms at the same seed are a pair. What these functions know is how figures vary over seeds on one set of test
patients; how they vary over patients is for :mod:`.comparison`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import FloatArray

from .intervals import CONFIDENCE

ALTERNATIVES = ("two-sided", "greater", "less")
POWER, ALPHA = 0.8, 0.05
MOST_FLIPPED = 20  # pairs whose 2^n signs are gone through one by one
EQUAL = 1e-12  # rounding of figures that are 0 to 1

K = TypeVar("K")


@dataclass(frozen=True)
class SeedTest:
    """The paired difference of two arms over seeds, first minus second.

    n: pairs.
    differences: (n,) of each seed.
    mean, sd: of the differences; sd (n - 1) is None with fewer than two.
    low, high: Student's t interval of the mean over seeds, two-sided whatever the alternative; None as t and p are.
    t, p: paired t-test over seeds; None where the differences have no variance, and ``reason`` says so.
    p_flip: exact sign-flip test of the mean. The smallest it can be is 2 / 2^n two-sided, 1 / 2^n one-sided: 0.0625 and
        0.03125 with five pairs.
    detectable: the mean difference that so many seeds with this SD show in a two-sided test at 0.05 with power 0.8.
    """

    n: int
    differences: Tuple[float, ...]
    mean: float
    p_flip: float
    alternative: str
    sd: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    t: Optional[float] = None
    p: Optional[float] = None
    detectable: Optional[float] = None
    reason: Optional[str] = None


def paired_over_seeds(
    first: Sequence[float], second: Sequence[float], *, alternative: str = "two-sided", confidence: float = CONFIDENCE
) -> SeedTest:
    """Compare two arms whose figures at one place are of one seed.

    Whether an effect is there with a mechanism switched on and not with it off (an interaction) is the same question
    about differences: give the differences of both conditions. Raises :class:`InputError` for arms of different
    lengths, for no seed at all, and for a figure that is not finite.

    first, second: (seeds,) figures, of any unit.
    alternative: "greater" where the first arm was expected to be better before anything was run, "less" the other way.
    """
    _check_alternative(alternative)
    a, b = (np.asarray(arm, np.float64).reshape(-1) for arm in (first, second))
    if len(a) != len(b):
        raise InputError(f"the arms have {len(a)} and {len(b)} seeds; a pair needs the figure of both arms at its seed")
    if len(a) == 0:
        raise InputError("there is no seed to compare")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("a figure is not finite; leave out the seeds in which it is undefined, in both arms")
    differences = a - b
    n, mean = len(differences), float(differences.mean())
    flips = sign_flip_p(differences, alternative=alternative)
    test = SeedTest(n, tuple(differences.tolist()), mean, flips, alternative)
    if n == 1:
        return replace(test, reason="one seed only: how figures vary over seeds is not known")
    if np.ptp(differences) <= EQUAL:
        return replace(test, sd=0.0, reason=f"the difference is {mean:+.3f} in every seed")
    from scipy import stats  # takes longer than all else here

    sd = float(differences.std(ddof=1))
    error = sd / math.sqrt(n)
    paired = stats.ttest_rel(a, b, alternative=alternative)
    wide = error * float(stats.t.ppf((1 + confidence) / 2, n - 1))
    test = replace(test, sd=sd, low=mean - wide, high=mean + wide, detectable=detectable_difference(error, n - 1))
    return replace(test, t=float(paired.statistic), p=float(paired.pvalue))


def sign_flip_p(differences: Union[Sequence[float], FloatArray], *, alternative: str = "two-sided") -> float:
    """P of the mean of paired differences (n,) where each might as well have had the other sign; exact up to 20 pairs.

    Of more pairs 100,000 random signs are drawn, always the same ones. Zeros count as pairs and say nothing.
    """
    _check_alternative(alternative)
    given = np.asarray(differences, np.float64).reshape(-1)
    total = float(given.sum())
    room = EQUAL + 1e-9 * abs(total)  # sums of one value in another order differ by rounding
    extreme, count = 0, 0
    for signs in _signs(len(given)):
        sums = signs @ given
        beyond = {"greater": sums >= total - room, "less": sums <= total + room}
        extreme += int(beyond.get(alternative, np.abs(sums) >= abs(total) - room).sum())
        count += len(sums)
    drawn = len(given) > MOST_FLIPPED  # the observed signs count as one more draw: no P is 0
    return (extreme + drawn) / (count + drawn)


def _signs(n: int) -> List[FloatArray]:
    """Rows of n signs in a few blocks: all of them, or a draw."""
    if n > MOST_FLIPPED:
        return [np.random.default_rng(0).choice([-1.0, 1.0], size=(100_000, n))]
    head = min(n, 10)
    rows = np.array(list(itertools.product([1.0, -1.0], repeat=head))).reshape(-1, head)
    tails = itertools.product([1.0, -1.0], repeat=n - head)
    return [np.concatenate([rows, np.tile(tail, (len(rows), 1))], axis=1) for tail in tails]


def holm(p_values: Mapping[K, Optional[float]]) -> Dict[K, Optional[float]]:
    """P values adjusted for a family by Holm's step-down: what is at or below 0.05 holds with all of the family.

    Keys stay; None (no test) stays None and is no member of the family. Raises :class:`InputError` for what is no P.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values.values()) if p is not None)
    if any(not 0 <= p <= 1 for p, _ in tested):
        raise InputError(f"P values are 0 to 1, found {[p for p, _ in tested]}")
    adjusted: List[Optional[float]] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(tested):
        least = max(least, min(1.0, p * (len(tested) - rank)))
        adjusted[place] = least
    return dict(zip(p_values, adjusted))


def detectable_difference(error: float, freedom: float, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The true difference that a two-sided test at ``alpha`` shows with probability ``power``: (t + t) standard errors.

    error: standard error of the difference, in its unit; it falls with the root of the number of patients or seeds.
    freedom: degrees of freedom that it was estimated with.
    """
    from scipy import stats

    return float(error * (stats.t.ppf(1 - alpha / 2, freedom) + stats.t.ppf(power, freedom)))


def _check_alternative(alternative: str) -> None:
    if alternative not in ALTERNATIVES:
        raise InputError(f"the alternative is {alternative!r}: it must be one of {', '.join(ALTERNATIVES)}")
