"""Patient-level percentile bootstrap.

Slices of one patient are not independent, so whole patients are resampled with replacement. A replicate is a row of
counts, how often each patient is in it; metrics take the counts as weights, which equals evaluating the copies.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np

from gluon_liver.structures.arrays import Array, FloatArray, IntArray

CONFIDENCE = 0.95


def bootstrap_weights(patients: int, *, replicates: int = 1000, seed: int = 0) -> IntArray:
    """How often each patient is in each replicate: (replicates, patients) int64, every row sums to ``patients``."""
    if patients == 0:
        return np.zeros((replicates, 0), dtype=np.int64)
    chosen = np.random.default_rng(seed).integers(0, patients, size=(replicates, patients))
    flat = chosen + patients * np.arange(replicates)[:, None]
    return np.bincount(flat.ravel(), minlength=replicates * patients).reshape(replicates, patients)


def with_interval(value: Optional[float], replicated: FloatArray, contributing: int) -> Dict[str, Any]:
    """A metric with its percentile interval: {"value", "low", "high", "undefined"}.

    "undefined" counts the replicates left out. Where there is no interval, low and high are None and "reason" says why.

    value: the metric on all patients, None (or NaN) when it is undefined.
    replicated: (replicates,) the metric in each replicate, NaN where it is undefined.
    contributing: patients the metric rests on (those with lesions, say). Below two, resampling cannot change the
    metric, and an interval of no width would pass for certainty: there is none.
    """
    entry: Dict[str, Any] = {"value": None, "low": None, "high": None, "undefined": len(replicated)}
    if value is None or not np.isfinite(value):
        return {**entry, "reason": "the metric is undefined: nothing to count over"}
    defined = replicated[np.isfinite(replicated)]
    entry.update(value=float(value), undefined=len(replicated) - len(defined))
    if contributing < 2:
        return {**entry, "reason": "one patient only: resampling patients changes nothing"}
    if len(defined) == 0:
        return {**entry, "reason": "the metric is undefined in every replicate"}
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return {**entry, "low": float(low), "high": float(high)}


def ratio_with_interval(numerator: IntArray, denominator: IntArray, weights: IntArray) -> Dict[str, Any]:
    """:func:`with_interval` of sum(numerator) / sum(denominator), both counts a patient, (p,).

    Adds "n", the denominator over all patients.
    """
    n = int(denominator.sum())
    replicated = divide_or_nan(weights @ numerator, weights @ denominator)
    return {**with_interval(numerator.sum() / n if n else None, replicated, int((denominator > 0).sum())), "n": n}


def divide_or_nan(numerator: Array, denominator: Array) -> FloatArray:
    """Elementwise quotient as float64, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    nan = np.full(numerator.shape, np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=nan, where=denominator != 0)
    return quotient
