"""Patient-level bootstrap: how metrics vary over patients, and the intervals that follow.

Slices of one patient are not independent, so whole patients are resampled with replacement. A replicate is a row of
counts, how often each patient is in it; metrics take the counts as weights, which equals evaluating the copies.

The percentiles of the replicates are no interval: over 17 patients of whom a third have the class they covered 77 to
86 % where they said 95, and had no width where all was right. What is taken of the replicates is their spread.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Optional

import numpy as np

from gluon_liver.structures.arrays import Array, FloatArray, IntArray

from .intervals import rate_interval, score_interval


def bootstrap_weights(patients: int, *, replicates: int = 1000, seed: int = 0) -> IntArray:
    """How often each patient is in each replicate: (replicates, patients) int64, every row sums to ``patients``."""
    if patients == 0:
        return np.zeros((replicates, 0), dtype=np.int64)
    chosen = np.random.default_rng(seed).integers(0, patients, size=(replicates, patients))
    flat = chosen + patients * np.arange(replicates)[:, None]
    return np.bincount(flat.ravel(), minlength=replicates * patients).reshape(replicates, patients)


def with_interval(value: Optional[float], replicated: FloatArray, counts: IntArray) -> Dict[str, Any]:
    """A metric with its interval: {"value", "low", "high", "undefined"}; see :func:`.intervals.score_interval`.

    "undefined" counts the replicates left out. Where there is no interval, low and high are None and "reason" says why.

    value: the metric on all patients, 0 to 1, None (or NaN) when it is undefined.
    replicated: (replicates,) the metric in each replicate, NaN where it is undefined.
    counts: (p,) what it rests on in each patient (lesions, say). With fewer than two patients that have any, resampling
    cannot change the metric, and nothing is known of how it varies: there is no interval.
    """
    entry: Dict[str, Any] = {"value": None, "low": None, "high": None, "undefined": len(replicated)}
    if value is None or not np.isfinite(value):
        return {**entry, "reason": "the metric is undefined: nothing to count over"}
    defined = replicated[np.isfinite(replicated)]
    entry.update(value=float(value), undefined=len(replicated) - len(defined))
    contributing = int((counts > 0).sum())
    if contributing < 2:
        return {**entry, "reason": "one patient only: resampling patients changes nothing"}
    if len(defined) == 0:
        return {**entry, "reason": "the metric is undefined in every replicate"}
    # resampling p patients varies as their mean does, whose variance is (p - 1) / p of what is estimated without bias
    error = float(defined.std()) * math.sqrt(contributing / (contributing - 1))
    low, high = score_interval(float(value), error, counts)
    return {**entry, "low": low, "high": high}


def ratio_with_interval(numerator: IntArray, denominator: IntArray, weights: IntArray) -> Dict[str, Any]:
    """:func:`with_interval` of sum(numerator) / sum(denominator), both counts a patient, (p,).

    Adds "n", the denominator over all patients.
    """
    n = int(denominator.sum())
    replicated = divide_or_nan(weights @ numerator, weights @ denominator)
    return {**with_interval(numerator.sum() / n if n else None, replicated, denominator), "n": n}


def rate_with_interval(events: IntArray) -> Dict[str, Any]:
    """The mean of events a patient, (p,), which may be above 1, as :func:`ratio_with_interval` gives a ratio."""
    patients = len(events)
    if patients < 2:
        value = float(events.mean()) if patients else None
        return {**with_interval(value, np.zeros(0), np.ones_like(events)), "n": patients}
    low, high = rate_interval(events)
    return {"value": float(events.mean()), "low": low, "high": high, "undefined": 0, "n": patients}


def divide_or_nan(numerator: Array, denominator: Array) -> FloatArray:
    """Elementwise quotient as float64, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    nan = np.full(numerator.shape, np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=nan, where=denominator != 0)
    return quotient
