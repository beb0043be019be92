"""Intervals of proportions and rates over few patients, whose lesions are not independent.

A proportion's is Wilson's score interval for as many independent lesions as the patients' lesions are worth (their
number over the design effect, as in surveys of clusters: Kish 1965; Franco et al., J Surv Stat Methodol 7, 2019). A
design effect that few patients estimate is itself uncertain, and 0 where all are right: it is averaged with that of
patients who answer alike for all of their lesions, which counts as ``PRIOR`` patients do. No interval is without width.
"""

from __future__ import annotations

import math
from typing import Tuple

import numpy as np

from gluon_liver.structures.arrays import IntArray

CONFIDENCE = 0.95
PRIOR = 2.0  # patients; chosen by scripts/interval_coverage.py
_NORMAL = 1.959964  # of the normal distribution at (1 + CONFIDENCE) / 2


def score_interval(value: float, error: float, counts: IntArray) -> Tuple[float, float]:
    """Interval of a proportion, or of what is one of lesions in spirit: average precision, sensitivity of FROC.

    value: 0 to 1.
    error: its standard error over patients.
    counts: (p,) what each patient brings to the denominator, lesions say; two patients or more with more than 0.
    """
    n = float(counts.sum())
    effective = n / design_effect(value, error, counts)
    spread = _NORMAL**2 / effective
    middle = (value + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (value * (1 - value) + spread / 4)) / (1 + spread)
    # beyond rounding the interval holds the value
    return min(value, max(0.0, middle - half)), max(value, min(1.0, middle + half))


def design_effect(value: float, error: float, counts: IntArray) -> float:
    """How many lesions of these patients are worth one independent lesion, 1 or more."""
    given = counts[counts > 0].astype(np.float64)
    patients, n = len(given), float(given.sum())
    alike = float((given**2).sum()) / n  # Kish's, of patients who answer alike for all of their lesions
    simple = value * (1 - value) / n
    observed = error**2 / simple if simple > 0 else alike
    return max(1.0, ((patients - 1) * observed + PRIOR * alike) / (patients - 1 + PRIOR))


def rate_interval(counts: IntArray) -> Tuple[float, float]:
    """Interval of the mean of counts (p,) of events a patient, false positives say: Garwood's exact one of a Poisson
    rate for as many events as the counts are worth (their sum over their dispersion, averaged with that of a Poisson
    rate as in :func:`design_effect`, and larger by as much as Student's t is than the normal distribution).
    """
    from scipy import stats  # takes longer than all else here

    patients, total = len(counts), float(counts.sum())
    observed = float(counts.var(ddof=1)) / (total / patients) if total else 1.0
    tail = (1 - CONFIDENCE) / 2
    dispersion = max(1.0, ((patients - 1) * observed + PRIOR) / (patients - 1 + PRIOR))
    if dispersion > 1:
        dispersion *= (float(stats.t.isf(tail, patients - 1)) / _NORMAL) ** 2
    events = total / dispersion
    low = stats.chi2.ppf(tail, 2 * events) / 2 if total else 0.0
    high = stats.chi2.ppf(1 - tail, 2 * events + 2) / 2
    return float(low * dispersion / patients), float(high * dispersion / patients)
