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
    if value is None or not np.isfinite(value):
        return _without_interval(None, len(replicated), "the metric is undefined: nothing to count over")
    defined = replicated[np.isfinite(replicated)]
    undefined = int(len(replicated) - len(defined))
    if contributing < 2:
        return _without_interval(float(value), undefined, "one patient only: resampling patients changes nothing")
    if len(defined) == 0:
        return _without_interval(float(value), undefined, "the metric is undefined in every replicate")
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return {"value": float(value), "low": float(low), "high": float(high), "undefined": undefined}


def ratio_with_interval(numerator: IntArray, denominator: IntArray, weights: IntArray) -> Dict[str, Any]:
    """:func:`with_interval` of sum(numerator) / sum(denominator), both counts a patient, (p,).

    Adds "n", the denominator over all patients.
    """
    n = int(denominator.sum())
    value = numerator.sum() / n if n else None
    entry = with_interval(
        value, divide_or_nan(weights @ numerator, weights @ denominator), int((denominator > 0).sum())
    )
    entry["n"] = n
    return entry


def divide_or_nan(numerator: Array, denominator: Array) -> FloatArray:
    """Elementwise quotient as float64, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    nan = np.full(numerator.shape, np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=nan, where=denominator != 0)
    return quotient


def _without_interval(value: Optional[float], undefined: int, reason: str) -> Dict[str, Any]:
    return {"value": value, "low": None, "high": None, "undefined": undefined, "reason": reason}
