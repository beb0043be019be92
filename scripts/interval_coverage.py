"""How often an interval that says 95 % holds the true value, by simulation: the table of docs/evaluation.md.

    python scripts/interval_coverage.py [--samples 1000] [--replicates 400]

A patient has one lesion or several (1 + Poisson), found with a probability of its own from a beta distribution, so that
lesions of one patient are alike (intraclass correlation 0.3). For average precision and FROC detections have scores,
those of a patient are shifted together, and false positives are Poisson. "percentiles" are the bootstrap's percentiles
over patients, which evaluations had before; "now" is what they have. The true value is known, or that of 20,000
patients.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import NormalDist
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_liver.metrics.bootstrap import (
    bootstrap_weights,
    divide_or_nan,
    rate_with_interval,
    ratio_with_interval,
    with_interval,
)
from gluon_liver.metrics.coco import weighted_ap
from gluon_liver.metrics.comparison import compare_figures
from gluon_liver.metrics.figures import Figure, Ratio
from gluon_liver.metrics.froc import froc_sensitivity
from gluon_liver.metrics.matching import MatchRecords

ICC = 0.3
IMAGES = 6  # of each patient
FROC_RATE = 0.5

Interval = Tuple[float, float]
Generator = np.random.Generator


class Coverage(NamedTuple):
    """Share of the samples whose interval held the true value, and the intervals' mean width, of both methods."""

    truth: float
    percentiles: float
    percentile_width: float
    now: float
    width: float
    without_width: int  # of the intervals that are given now


class Detector(NamedTuple):
    """quality: mean score of lesions, false positives have 0; false_positives: a patient. missed: share of lesions."""

    quality: float
    false_positives: float
    missed: float


DETECTORS = {"good": Detector(3.5, 0.5, 0.0), "fair": Detector(1.5, 3, 0.05), "poor": Detector(0.3, 6, 0.4)}


def proportion(rng: Generator, patients: int, share: float, truth: float, replicates: int) -> List[Interval]:
    """Percentile and present interval of found lesions over lesions; a ``share`` of the patients has lesions at all."""
    lesions = _lesions(rng, patients, share)
    scale = 1 / ICC - 1
    chance = rng.beta(truth * scale, (1 - truth) * scale, patients)
    found = rng.binomial(lesions, chance)
    weights = bootstrap_weights(patients, replicates=replicates, seed=int(rng.integers(1 << 30)))
    replicated = divide_or_nan(weights @ found, weights @ lesions)
    return [_percentiles(replicated), _given(ratio_with_interval(found, lesions, weights))]


def paired(rng: Generator, patients: int, first: float, second: float, replicates: int) -> List[Interval]:
    """The same of the difference of two runs on the same lesions, which are hard or easy for both."""
    lesions = _lesions(rng, patients, 1.0)
    owner = np.repeat(np.arange(patients), lesions)
    hard = 0.6 * rng.normal(size=patients)[owner] + 0.6 * rng.normal(size=len(owner))
    sides = []
    for share in (first, second):
        own = np.sqrt(1 - 0.72) * rng.normal(size=len(owner))
        found = hard + own < NormalDist().inv_cdf(share)
        sides.append(np.bincount(owner, found, minlength=patients).astype(np.int64))
    weights = bootstrap_weights(patients, replicates=replicates, seed=int(rng.integers(1 << 30)))
    replicated = divide_or_nan(weights @ (sides[0] - sides[1]), weights @ lesions)
    key = ("", "")
    arms = [[{key: Figure([Ratio(side, lesions)])}] for side in sides]
    entry = compare_figures(*arms, replicates=replicates, seed=int(rng.integers(1 << 30)))[key]
    return [_percentiles(replicated), _given(vars(entry))]


def rate(rng: Generator, patients: int, truth: float, replicates: int) -> List[Interval]:
    """The same of false positives a patient, which some patients have many of (negative binomial)."""
    events = rng.poisson(rng.gamma(1.0, truth, patients))
    weights = bootstrap_weights(patients, replicates=replicates, seed=int(rng.integers(1 << 30)))
    return [_percentiles((weights @ events) / patients), _given(rate_with_interval(events))]


def ranked(rng: Generator, patients: int, share: float, detector: Detector) -> MatchRecords:
    """Scored detections of one class."""
    lesions = _lesions(rng, patients, share)
    shift = rng.normal(0, 0.7, patients)
    found = rng.binomial(lesions, 1 - detector.missed)
    false_positives = rng.poisson(detector.false_positives, patients)
    owners = [np.repeat(np.arange(patients), count) for count in (found, false_positives)]
    scores = [rng.normal(mean + shift[who], 1) for mean, who in zip((detector.quality, 0), owners)]
    hit = np.repeat([True, False], [len(one) for one in owners])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    sorted_scores, patient = np.concatenate(scores)[order], np.concatenate(owners)[order]
    return MatchRecords(sorted_scores, hit[order], patient, lesions, np.full(patients, IMAGES))


METRICS: Dict[str, Callable[[MatchRecords, np.ndarray], np.ndarray]] = {
    "AP": weighted_ap,
    "FROC": lambda records, weights: froc_sensitivity(records, weights, (FROC_RATE,))[:, 0],
}


def of_ranks(
    rng: Generator, metric: str, patients: int, share: float, detector: Detector, replicates: int
) -> List[Interval]:
    """The same of average precision, or of the sensitivity at one false positive in two images."""
    records = ranked(rng, patients, share, detector)
    weights = bootstrap_weights(patients, replicates=replicates, seed=int(rng.integers(1 << 30)))
    (value,), replicated = (METRICS[metric](records, one) for one in (np.ones((1, patients), np.int64), weights))
    return [_percentiles(replicated), _given(with_interval(value, replicated, records.gt_count))]


def coverage(sample: Callable[[Generator], List[Interval]], truth: float, samples: int, seed: int = 0) -> Coverage:
    """Of samples in which two patients or more have a lesion; without them there is no interval."""
    rng = np.random.default_rng(seed)
    drawn = np.array([sample(rng) for _ in range(samples)])  # (samples, 2, 2)
    drawn = drawn[np.isfinite(drawn).all(axis=(1, 2))]
    held = ((drawn[..., 0] <= truth + 1e-12) & (truth - 1e-12 <= drawn[..., 1])).mean(axis=0)
    widths = drawn[..., 1] - drawn[..., 0]
    before, now = widths.mean(axis=0)
    return Coverage(truth, float(held[0]), float(before), float(held[1]), float(now), int((widths[:, 1] <= 0).sum()))


def cases(samples: int, replicates: int) -> Iterator[Tuple[str, Coverage]]:
    """All rows of the table."""
    for patients, share in ((6, 1.0), (17, 1 / 3), (17, 1.0), (60, 1.0)):
        who = f"{patients} patients" + (", a third with the class" if share < 1 else "")
        for truth in (0.02, 0.1, 0.5, 0.9, 0.98):

            def one(rng: Generator, patients: int = patients, share: float = share, truth: float = truth):
                return proportion(rng, patients, share, truth, replicates)

            yield f"found / lesions | {who}", coverage(one, truth, samples)
        for first, second in ((0.7, 0.7), (0.7, 0.5), (0.95, 0.9), (0.99, 0.99)) if share == 1 else ():

            def pair(rng: Generator, patients: int = patients, first: float = first, second: float = second):
                return paired(rng, patients, first, second, replicates)

            name = f"A - B of found / lesions ({first:g} and {second:g})"
            yield f"{name} | {who}", coverage(pair, first - second, max(1, samples // 2))
        for events in (0.1, 2.0) if share == 1 else ():

            def events_of(rng: Generator, patients: int = patients, events: float = events):
                return rate(rng, patients, events, replicates)

            yield f"false positives a patient | {who}", coverage(events_of, events, samples)
        for name, detector in DETECTORS.items():
            large = ranked(np.random.default_rng(1), 20_000, 1.0, detector)
            for metric, measure in METRICS.items():
                truth = float(measure(large, np.ones((1, 20_000), np.int64))[0])

                def ranks(
                    rng: Generator,
                    metric: str = metric,
                    patients: int = patients,
                    share: float = share,
                    detector: Detector = detector,
                ):
                    return of_ranks(rng, metric, patients, share, detector, replicates)

                yield f"{metric}, {name} detector | {who}", coverage(ranks, truth, max(1, samples // 3))


def _lesions(rng: Generator, patients: int, share: float) -> np.ndarray:
    return (1 + rng.poisson(1.5, patients)) * (rng.random(patients) < share)


def _percentiles(replicated: np.ndarray) -> Interval:
    defined = replicated[np.isfinite(replicated)]
    if not len(defined):
        return np.nan, np.nan
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _given(entry: Dict) -> Interval:
    return (np.nan, np.nan) if entry["low"] is None else (entry["low"], entry["high"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=400)
    args = parser.parse_args()
    print("| figure | patients | true | percentiles: holds it, width | now: holds it, width |")
    print("| --- | --- | --- | --- | --- |")
    for name, row in cases(args.samples, args.replicates):
        before = f"{100 * row.percentiles:.0f} %, {row.percentile_width:.2f}"
        now = f"{100 * row.now:.0f} %, {row.width:.2f}" + (
            f" ({row.without_width} of none)" if row.without_width else ""
        )
        print(f"| {name} | {row.truth:.2f} | {before} | {now} |", flush=True)


if __name__ == "__main__":
    main()
