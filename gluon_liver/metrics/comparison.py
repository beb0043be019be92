"""Two arms compared on the same patients: differences with intervals, P by patient, and lesions found by one alone.

An arm is one run, or several that differ in their seed alone; its figure is the mean over its runs. Differences vary
over patients, which a bootstrap that takes each patient from all runs at once shows, and over trainings, which only
several runs in both arms show: then interval and P hold both.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import BoolArray, FloatArray, IntArray

from .bootstrap import bootstrap_weights
from .figures import Figure
from .intervals import CONFIDENCE
from .seeds import ALPHA, EQUAL, detectable_difference, holm, paired_over_seeds

Key = Tuple[str, str]  # family, figure
MOST_EXACT = 12  # patients, whose 4096 swaps are gone through one by one
PSEUDO = 2  # lesions that an interval adds, of which either arm alone finds one half (Agresti and Min 2005)


@dataclass(frozen=True)
class Comparison:
    """A figure of both arms, and A - B.

    a, b: mean over the arm's runs; None where a run has nothing to count over.
    low, high: 95 % interval of the difference; never without width. None with fewer than two patients.
    p: two-sided. ``test`` says how: "permutation" swaps the two runs in each patient; "t" divides the difference by its
        standard error over patients, and over seeds where the interval holds these.
    p_holm: adjusted for its family.
    patients: that the figure rests on.
    detectable: the difference that such patients (and seeds) show with power 0.8 at 0.05; None where none would be.
    seeds: of runs paired by seed, what :func:`.seeds.paired_over_seeds` says: variation over trainings alone.
    reason: why something is None.
    """

    a: Optional[float]
    b: Optional[float]
    patients: int
    unit: str = "share"
    difference: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    p: Optional[float] = None
    test: Optional[str] = None
    p_holm: Optional[float] = None
    detectable: Optional[float] = None
    seeds: Optional[Dict[str, Any]] = None
    reason: Optional[str] = None


def compare_figures(
    arm_a: Sequence[Mapping[Key, Figure]],
    arm_b: Sequence[Mapping[Key, Figure]],
    *,
    paired_seeds: bool = False,
    replicates: int = 1000,
    seed: int = 0,
) -> Dict[Key, Comparison]:
    """Every figure that a run of either arm has, Holm's correction within each family.

    arm_a, arm_b: figures of each run, over the same patients in the same order.
    paired_seeds: whether the runs at one place of both arms belong together; the arms are then of one length.
    replicates: of the bootstrap; permutations are twice as many.
    """
    keys = list(dict.fromkeys(key for run in (*arm_a, *arm_b) for key in run))
    patients = len(next(iter(arm_a[0].values())).counts) if arm_a[0] else 0
    weights = bootstrap_weights(patients, replicates=replicates, seed=seed)
    swapped = swaps(patients, draws=2 * replicates, seed=seed)
    entries: Dict[Key, Comparison] = {}
    for key in keys:
        sides = [[run[key] for run in arm if key in run] for arm in (arm_a, arm_b)]
        if [len(side) for side in sides] != [len(arm_a), len(arm_b)]:
            entries[key] = Comparison(None, None, 0, reason="a run has nothing to count over")
        else:
            entries[key] = _compare(sides[0], sides[1], weights, swapped, paired_seeds)
    for family in dict.fromkeys(family for family, _ in keys):
        adjusted = holm({key: entries[key].p for key in keys if key[0] == family})
        entries.update({key: replace(entries[key], p_holm=p) for key, p in adjusted.items()})
    return entries


def swaps(patients: int, *, draws: int, seed: int = 0) -> BoolArray:
    """In which patients the runs change sides: all ways (2^p, p) of up to 12 patients, the first none; else a draw."""
    if patients <= MOST_EXACT:
        return np.array(list(itertools.product([False, True], repeat=patients)), bool).reshape(-1, patients)
    return np.random.default_rng([seed, 1]).random((draws, patients)) < 0.5


def permutation_p(a: Figure, b: Figure, swapped: BoolArray) -> float:
    """Two-sided P of the difference where each patient's two results might as well have been the other way round."""
    patients = swapped.shape[1]
    joined, stay = a.joined(b), np.zeros((1, patients), bool)

    def differences(rows: BoolArray) -> FloatArray:
        here, there = (~rows).astype(np.int64), rows.astype(np.int64)
        difference: FloatArray = joined.at(np.hstack([here, there])) - joined.at(np.hstack([there, here]))
        return difference

    observed = abs(float(differences(stay)[0]))
    drawn = differences(swapped)
    drawn = np.abs(drawn[np.isfinite(drawn)])
    random = patients > MOST_EXACT  # what was observed is then one more draw: no P is 0
    return float((np.count_nonzero(drawn >= observed - 1e-9) + random) / (len(drawn) + random))


def _compare(
    ones_a: Sequence[Figure], ones_b: Sequence[Figure], weights: IntArray, swapped: BoolArray, paired: bool
) -> Comparison:
    all_of_them = np.ones((1, weights.shape[1]), np.int64)
    a, b = (np.array([one.at(all_of_them)[0] for one in side]) for side in (ones_a, ones_b))
    counts = np.mean([one.counts for one in (*ones_a, *ones_b)], axis=0)
    m, unit = int((counts > 0).sum()), ones_a[0].unit
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return Comparison(None, None, m, unit, reason="a run has nothing to count over")
    difference = float(a.mean() - b.mean())
    entry = Comparison(float(a.mean()), float(b.mean()), m, unit, difference)
    if paired and len(a) > 1:
        entry = replace(entry, seeds=asdict(paired_over_seeds(a.tolist(), b.tolist())))
    if m < 2:
        return replace(entry, reason="one patient only: nothing is known of how it varies over patients")
    of_patients, of_seeds = (_patient_variance(ones_a, ones_b, weights, m), m - 1.0), _seed_variance(a, b, paired)
    lesions = float(counts.sum())
    entry = _with_interval(entry, (lesions, len(ones_a[0].parts)), of_patients[0], of_seeds)
    if len(a) == len(b) == 1:
        entry = replace(entry, p=permutation_p(ones_a[0], ones_b[0], swapped), test="permutation")
        if 2 / 2**m > ALPHA:
            entry = replace(entry, detectable=None, reason=f"with {m} patients no P can be {ALPHA:g} or less")
    error, freedom = math.sqrt(of_patients[0] + of_seeds[0]), _freedom(of_patients, of_seeds)
    if error <= EQUAL:
        same = "both are equal in every patient" if abs(difference) <= EQUAL else "it does not vary over patients"
        return replace(entry, reason=entry.reason or same)
    if entry.test is None:
        from scipy import stats

        entry = replace(entry, p=float(2 * stats.t.sf(abs(difference) / error, freedom)), test="t")
    return entry


def _with_interval(
    entry: Comparison, lesions: Tuple[float, int], of_patients: float, of_seeds: Tuple[float, float]
) -> Comparison:
    """Student's t interval with two lesions added, half of one found by either arm alone, that are worth as little as
    lesions of patients who answer alike: agreement in few patients is no certainty.

    lesions: how many, and in how many parts. of_seeds: as :func:`_seed_variance`.
    """
    from scipy import stats

    m, difference = entry.patients, entry.difference or 0.0
    extra = PSEUDO / max(1.0, lesions[0] / m / lesions[1])
    added = (m**2 * of_patients + extra / 2) / (m + extra) ** 2
    middle = difference * m / (m + extra)
    freedom, variance = _freedom((added, m - 1 + extra), of_seeds), added + of_seeds[0]
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    most = 1.0 if entry.unit == "share" else math.inf
    low, high = max(-most, min(difference, middle - half)), min(most, max(difference, middle + half))
    return replace(entry, low=low, high=high, detectable=_detectable(entry, variance, freedom, max(m, lesions[0])))


def _patient_variance(ones_a: Sequence[Figure], ones_b: Sequence[Figure], weights: IntArray, m: int) -> float:
    """Variance of the difference of means over the m patients that it rests on, as a bootstrap shows it."""
    a, b = (np.mean([one.at(weights) for one in side], axis=0) for side in (ones_a, ones_b))
    replicated = (a - b)[np.isfinite(a - b)]
    return float(replicated.var()) * m / (m - 1) if len(replicated) else 0.0


def _detectable(entry: Comparison, variance: float, freedom: float, lesions: float) -> Optional[float]:
    """The difference that such patients show, None where even the largest would not be shown.

    A share that differs more varies more: each lesion that one arm alone finds adds to the variance. It is that of the
    larger difference which counts; that of the observed one, near 0 say, would promise far too much.
    """
    factor = detectable_difference(1.0, freedom)
    if entry.unit != "share":
        return factor * math.sqrt(variance)
    each, observed = factor**2 / lesions, abs(entry.difference or 0.0)
    others = max(0.0, factor**2 * variance - each * observed * (1 - observed))
    # the root of d^2 = others + each * d * (1 - d)
    found = (each + math.sqrt(each**2 + 4 * (1 + each) * others)) / (2 * (1 + each))
    return found if found <= 1 else None


def _seed_variance(a: FloatArray, b: FloatArray, paired: bool) -> Tuple[float, float]:
    """Variance of the difference of means over seeds and its degrees of freedom; 0 unless both arms have several."""
    if min(len(a), len(b)) < 2:
        return 0.0, 1.0
    if paired:
        return float((a - b).var(ddof=1)) / len(a), len(a) - 1.0
    parts = [(float(arm.var(ddof=1)) / len(arm), len(arm) - 1.0) for arm in (a, b)]
    return parts[0][0] + parts[1][0], _freedom(*parts)


def _freedom(*parts: Tuple[float, float]) -> float:
    """Welch and Satterthwaite's degrees of freedom of a sum of (variance, degrees of freedom)."""
    below = sum(variance**2 / freedom for variance, freedom in parts)
    return sum(variance for variance, _ in parts) ** 2 / below if below > 0 else parts[0][1]


def lesions_by_arm(found_a: BoolArray, found_b: BoolArray) -> List[str]:
    """Who finds each lesion: "both", "a", "b" or "neither"; an arm of several runs where more than half of them do.

    found_a, found_b: (runs, lesions).
    """
    by_a, by_b = (found.mean(axis=0) > 0.5 for found in (found_a, found_b))
    names = {(True, True): "both", (True, False): "a", (False, True): "b", (False, False): "neither"}
    return [names[bool(one), bool(two)] for one, two in zip(by_a, by_b)]
