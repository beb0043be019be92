"""Everything results.json says about lesions and patients, beside what :mod:`.ct_summary` says about slices.

Lesions at another threshold are joined of other boxes, so scans are joined anew at each threshold of a curve: the
curve passes through the working point, and a weak box far below it cannot make one lesion of two above it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import BoolArray, FloatArray, IntArray
from gluon_liver.structures.lesions import GAP_MM, LINK_INSIDE, LINK_IOU

from .bootstrap import bootstrap_weights, divide_or_nan, rate_with_interval, ratio_with_interval, with_interval
from .ct_summary import INTERVAL
from .figures import Lesions
from .intervals import CONFIDENCE
from .lesions import Found, Hit, Scan, ScanScorer
from .sizes import BINS_MM, size_bounds

LESION_FP_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # a patient
MOST_THRESHOLDS = 500  # of a curve, where there are more distinct scores
LOCATED = "any"  # beside the classes: found, whatever it is called


@dataclass(frozen=True)
class LesionSettings:
    """How lesions are scored. hit: what finds a lesion. fp_rates: false positives a patient, of FROC. bins_mm: rising
    edges of the sizes, the longest side in the plane.
    """

    hit: Hit = Hit()
    fp_rates: Tuple[float, ...] = LESION_FP_RATES
    bins_mm: Tuple[float, ...] = BINS_MM


def lesion_summary(
    scans: Sequence[Scan],
    *,
    classes: Sequence[str],
    settings: LesionSettings = LesionSettings(),
    score_threshold: float = 0.5,
    replicates: int = 1000,
    seed: int = 0,
) -> Dict[str, Any]:
    """Sensitivity, false positives a patient, FROC, sensitivity by size, and patients found, with patient intervals.

    Entries are those of :func:`gluon_liver.metrics.ct_summary.ct_summary`; "each" lists the lesions. A lesion is found
    by one detected lesion of its class, the best first; under "any" the class does not count. What else was detected is
    a false positive, a second detection of one lesion too. Patients: of those with a lesion (of the class) how many
    have one that is found, and of those without any lesion how many have no detection.
    """
    patients = sorted({scan.patient for scan in scans})
    counter = _Counter(scans, classes, settings.hit, patients)
    weights = bootstrap_weights(len(patients), replicates=replicates, seed=seed)
    point = counter.at(score_threshold)
    names = [*classes, "all", LOCATED]
    thresholds, curve = _curve_points(counter, score_threshold, names, most=settings.fp_rates[-1] * len(patients))
    lesions = {name: counter.lesions(counter.of_class(name)) for name in names}
    hits = {name: point.hits(name) for name in names}
    return {
        "scans": len(scans),
        "patients": len(patients),
        "lesions": {name: int(lesions[name].sum()) for name in classes},
        "slices": {
            "scored": sum(len(scan.results) for scan in scans),
            "in_scans": sum(scan.slices for scan in scans),
            "invented": sum(scan.invented for scan in scans),
        },
        "sensitivity": {name: ratio_with_interval(hits[name], lesions[name], weights) for name in names},
        "false_positives": {name: rate_with_interval(point.false_positives(name)) for name in names},
        "froc": {name: _froc(curve, name, lesions[name], weights, settings.fp_rates) for name in names},
        "by_size": _by_size(counter, point, settings.bins_mm, weights),
        "each": _each(counter, point),
        "patient_sensitivity": {
            name: ratio_with_interval(np.minimum(hits[name], 1), np.minimum(lesions[name], 1), weights)
            for name in names
        },
        "patient_specificity": _specificity(point, lesions["all"], weights),
        "settings": {
            "hit": str(settings.hit),
            "hit_words": settings.hit.words,
            "score_threshold": score_threshold,
            "link_iou": LINK_IOU,
            "link_inside": LINK_INSIDE,
            "gap_mm": GAP_MM,
            "bins_mm": list(settings.bins_mm),
            "thresholds": len(thresholds),
            "replicates": replicates,
            "seed": seed,
            "confidence": CONFIDENCE,
            "interval": INTERVAL,
        },
        "curve": {name: _curve(curve, thresholds, name, lesions[name]) for name in names},
    }


def found_lesions(scans: Sequence[Scan], *, classes: Sequence[str], hit: Hit, score_threshold: float) -> Lesions:
    """Every annotated lesion and whether it is found at a threshold, as :func:`lesion_summary` counts them."""
    counter = _Counter(scans, classes, hit, sorted({scan.patient for scan in scans}))
    point = counter.at(score_threshold)
    where = [(scan.case, boxes[0].slice) for scan, boxes in counter.drawn]
    patients, size = counter.patient_of_lesion, counter.size_mm
    return Lesions(patients, counter.labels, size, point.hit, where, point.false_positives("all"))


class _Counts:
    """What detections at one threshold find, by patient; names are of classes, "all" or :data:`LOCATED`."""

    def __init__(self, counter: _Counter, found: Sequence[Found]):
        self._counter, self._found = counter, found
        self.hit: BoolArray = np.concatenate([np.zeros(0, bool), *(one.hit for one in found)])
        self.located: BoolArray = np.concatenate([np.zeros(0, bool), *(one.located for one in found)])

    def hits(self, name: str) -> IntArray:
        """(p,) lesions found."""
        chosen = self.located if name == LOCATED else self.hit & self._counter.of_class(name)
        return self._counter.lesions(chosen)

    def false_positives(self, name: str) -> IntArray:
        """(p,) detected lesions that find none."""
        classes = self._counter.classes
        if name == LOCATED:
            values = [one.stray for one in self._found]
        elif name == "all":
            values = [int(one.false_positives.sum()) for one in self._found]
        else:
            values = [int(one.false_positives[classes.index(name)]) for one in self._found]
        return self._counter.by_patient(values)

    def alarms(self) -> IntArray:
        """(p,) detected lesions."""
        return self._counter.by_patient([one.alarms for one in self._found])


class _Counter:
    """Scans, scored at any threshold and counted by patient."""

    def __init__(self, scans: Sequence[Scan], classes: Sequence[str], hit: Hit, patients: Sequence[str]):
        row_of = {patient: row for row, patient in enumerate(patients)}
        self.classes = list(classes)
        self._scorers = [ScanScorer(scan, self.classes, hit) for scan in scans]
        self._rows = np.array([row_of[scan.patient] for scan in scans], np.int64)
        self._patients = len(patients)
        drawn = [scorer.drawn for scorer in self._scorers]
        self.labels: IntArray = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in drawn)])
        self.size_mm: FloatArray = np.concatenate([np.zeros(0), *(one.size_mm for one in drawn)])
        self.patient_of_lesion: IntArray = np.repeat(self._rows, [len(one.labels) for one in drawn])
        self.drawn = [(scan, boxes) for scan, one in zip(scans, drawn) for boxes in one.boxes]

    def of_class(self, name: str) -> BoolArray:
        """Which lesions have the class; all of them under "all" and :data:`LOCATED`."""
        chosen: BoolArray = self.labels == self.classes.index(name) if name in self.classes else self.labels >= 0
        return chosen

    def lesions(self, chosen: BoolArray) -> IntArray:
        """(p,) how many of the chosen lesions each patient has."""
        return np.bincount(self.patient_of_lesion[chosen], minlength=self._patients)

    def by_patient(self, values: Sequence[int]) -> IntArray:
        """Counts of scans -> (p,) of patients."""
        return np.bincount(self._rows, weights=values, minlength=self._patients).astype(np.int64)

    def at(self, threshold: float) -> _Counts:
        return _Counts(self, [scorer.at(threshold) for scorer in self._scorers])

    def scores(self) -> FloatArray:
        """Distinct scores, falling."""
        scores: FloatArray = np.unique(np.concatenate([np.zeros(0), *(scorer.scores for scorer in self._scorers)]))
        return scores[::-1]


def _curve_points(
    counter: _Counter, working_point: float, names: Sequence[str], *, most: float
) -> Tuple[List[float], List[_Counts]]:
    """Thresholds of the curves, falling, and what is found at each: all scores, or :data:`MOST_THRESHOLDS` of them.

    These lie at ranks that grow by half an octave, as the rates of FROC grow by octaves and most scores are weak ones
    beyond all rates; then between neighbours, first those that differ most in the lesions that they find, as long as
    there is a name that has no more than ``most`` false positives.
    """
    scores = np.unique(np.append(counter.scores(), working_point))[::-1]
    last = len(scores) - 1
    ranks = {0, last, int(np.searchsorted(-scores, -working_point))}
    ranks |= {min(last, int(2 ** (step / 2))) for step in range(int(2 * np.log2(max(1, last))) + 1)}
    found = {rank: counter.at(float(scores[rank])) for rank in sorted(ranks)}
    lesions = {name: max(1, int(counter.lesions(counter.of_class(name)).sum())) for name in names}

    def shares(one: _Counts) -> FloatArray:
        return np.array([one.hits(name).sum() / count for name, count in lesions.items()], np.float64)

    def queued(low: int, high: int) -> Tuple[float, float, int, int]:
        apart = float(np.abs(shares(found[high]) - shares(found[low])).max())
        return -apart, np.log(low + 1) - np.log(high + 1), low, high

    order = sorted(found)
    queue = [queued(low, high) for low, high in zip(order, order[1:])]
    heapq.heapify(queue)
    while queue and len(found) < MOST_THRESHOLDS:
        *_, low, high = heapq.heappop(queue)
        if high - low > 1 and min(found[low].false_positives(name).sum() for name in names) <= most:
            rank = (low + high) // 2
            found[rank] = counter.at(float(scores[rank]))
            for pair in ((low, rank), (rank, high)):
                heapq.heappush(queue, queued(*pair))
    return [float(scores[rank]) for rank in sorted(found)], [found[rank] for rank in sorted(found)]


def _froc(
    curve: Sequence[_Counts], name: str, lesions: IntArray, weights: IntArray, rates: Sequence[float]
) -> Dict[str, Any]:
    """At each rate the largest sensitivity of any threshold whose false positives a patient do not exceed it."""
    hits = np.stack([one.hits(name) for one in curve], axis=1)  # (p, t)
    false_positives = np.stack([one.false_positives(name) for one in curve], axis=1)
    plain = np.ones((1, weights.shape[1]), np.int64)
    entries: Dict[str, Any] = {}
    for rate in rates:
        value, replicated = (
            _best_below(many @ hits, many @ false_positives, many @ lesions, rate * many.sum(axis=1))
            for many in (plain, weights)
        )
        entries[f"{rate:g}"] = with_interval(float(value[0]), replicated, lesions)
    return entries


def _best_below(hits: IntArray, false_positives: IntArray, lesions: IntArray, most: FloatArray) -> FloatArray:
    reached = np.where(false_positives <= most[:, None], hits, 0).max(axis=1, initial=0)
    return divide_or_nan(reached, lesions)


def _curve(curve: Sequence[_Counts], thresholds: Sequence[float], name: str, lesions: IntArray) -> Dict[str, Any]:
    """The steps of the best sensitivity at no more than so many false positives a patient; empty without a lesion."""
    total, patients = int(lesions.sum()), max(1, len(lesions))
    points = [
        (int(one.false_positives(name).sum()), -int(one.hits(name).sum()), -at) for one, at in zip(curve, thresholds)
    ]
    steps, best = [], 0
    for false_positives, hits, score in sorted(points) if total else []:
        if -hits > best:
            best = -hits
            steps.append((false_positives / patients, best / total, -score))
    return {axis: [step[place] for step in steps] for place, axis in enumerate(("fp", "sensitivity", "score"))}


def _by_size(counter: _Counter, point: _Counts, edges: Sequence[float], weights: IntArray) -> List[Dict[str, Any]]:
    """Sensitivity at the working point of all classes, by the lesions' size."""
    rows = []
    for low, high in size_bounds(edges):
        chosen = (counter.size_mm >= low) & (counter.size_mm < high)
        by_class = {name: chosen & counter.of_class(name) for name in counter.classes}
        entries = {
            name: ratio_with_interval(counter.lesions(which & point.hit), counter.lesions(which), weights)
            for name, which in {"all": chosen, **by_class}.items()
        }
        bounds = {"from_mm": low, "to_mm": high if high < np.inf else None}
        rows.append({**bounds, "sensitivity": entries.pop("all"), "by_class": entries})
    return rows


def _each(counter: _Counter, point: _Counts) -> List[Dict[str, Any]]:
    """The lesions one by one: which, how large, and whether it is found at the working point."""
    each = [
        {
            "case": scan.case,
            "class": boxes[0].class_name,
            "slices": [min(box.slice for box in boxes), max(box.slice for box in boxes)],
            "size_mm": float(size),
            "found": bool(found),
            "located": bool(located),
        }
        for (scan, boxes), size, found, located in zip(counter.drawn, counter.size_mm, point.hit, point.located)
    ]
    return sorted(each, key=lambda one: list(one.values()))  # whatever the order of the scans


def _specificity(point: _Counts, lesions: IntArray, weights: IntArray) -> Dict[str, Any]:
    """Of patients without any lesion, how many have no detection."""
    healthy = lesions == 0
    quiet = healthy & (point.alarms() == 0)
    return ratio_with_interval(quiet.astype(np.int64), healthy.astype(np.int64), weights)
