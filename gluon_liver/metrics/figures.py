"""Figures of an evaluation as functions of how often each patient counts: what two runs are compared by.

A figure of patients' counts is measured at any weights of the patients: at ones it is the published number, at a
bootstrap's weights a replicate. Two runs' figures joined are one figure over twice the patients, so that weights of 0
and 1 swap runs in some of the patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence, Tuple, Union

import numpy as np

from gluon_liver.structures.arrays import Array, BoolArray, FloatArray, IntArray
from gluon_liver.structures.image_result import ImageResult

from .accuracy import precision_recall_counts, top1_counts
from .bootstrap import divide_or_nan
from .coco import IOU_THRESHOLDS, weighted_ap
from .froc import FP_RATES, froc_sensitivity
from .matching import UNMATCHED, MatchRecords, match_class, match_greedily, pool_classes

OVERALL, BY_CLASS, BY_SIZE = "overall", "by class", "by size"


@dataclass(frozen=True, eq=False)
class Ratio:
    """A sum over patients by another: numerator and denominator, (p,) each."""

    numerator: Array
    denominator: Array

    def at(self, weights: IntArray) -> FloatArray:
        """(replicates,), NaN where there is nothing to count over. weights: (replicates, p)."""
        return divide_or_nan(weights @ self.numerator, weights @ self.denominator)

    def joined(self, other: Ratio) -> Ratio:
        """Both, over the patients of this one and then of the other."""
        pairs = (self.numerator, other.numerator), (self.denominator, other.denominator)
        return Ratio(*(np.concatenate(pair) for pair in pairs))

    @property
    def counts(self) -> IntArray:
        """(p,) what each patient brings."""
        return self.denominator


@dataclass(frozen=True, eq=False)
class Ranked:
    """A measure of detections in the order of their scores: (records, weights) -> (replicates,)."""

    records: MatchRecords
    measure: Callable[[MatchRecords, IntArray], FloatArray]

    def at(self, weights: IntArray) -> FloatArray:
        """As :meth:`Ratio.at`."""
        return self.measure(self.records, weights)

    def joined(self, other: Ranked) -> Ranked:
        """As :meth:`Ratio.joined`."""
        one, two = self.records, other.records
        scores, hit = (np.concatenate(pair) for pair in ((one.scores, two.scores), (one.hit, two.hit)))
        patient = np.concatenate([one.patient, two.patient + len(one.gt_count)])
        pairs = (one.gt_count, two.gt_count), (one.image_count, two.image_count)
        order = np.argsort(-scores, kind="stable")
        records = MatchRecords(scores[order], hit[order], patient[order], *(np.concatenate(pair) for pair in pairs))
        return Ranked(records, self.measure)

    @property
    def counts(self) -> IntArray:
        """As :attr:`Ratio.counts`."""
        return self.records.gt_count


@dataclass(frozen=True, eq=False)
class Figure:
    """The mean of some parts. unit: what it is, "share" (0 to 1) or "rate". better: 1 where more is better, else -1."""

    parts: Sequence[Union[Ratio, Ranked]]
    unit: str = "share"
    better: int = 1

    def at(self, weights: IntArray) -> FloatArray:
        """As :meth:`Ratio.at`; NaN where a part is."""
        values: FloatArray = np.mean([part.at(weights) for part in self.parts], axis=0)
        return values

    def joined(self, other: Figure) -> Figure:
        """As :meth:`Ratio.joined`."""
        parts = [one.joined(two) for one, two in zip(self.parts, other.parts)]  # type: ignore[arg-type]
        return Figure(parts, self.unit, self.better)

    @property
    def counts(self) -> IntArray:
        """As :attr:`Ratio.counts`, of all parts."""
        counts: IntArray = np.sum([part.counts for part in self.parts], axis=0)
        return counts


@dataclass(frozen=True, eq=False)
class Lesions:
    """What was annotated, lesion by lesion (CT) or box by box (ultrasound), and whether a run finds it.

    patient: (n,) row of :func:`gluon_liver.structures.image_result.patient_ids`. label: (n,). size: (n,) longest side
    in the plane, in mm or pixels. found: (n,) bool, by a detection of its class. where: (n,) case and place.
    false_positives: (p,) detections that find none.
    """

    patient: IntArray
    label: IntArray
    size: FloatArray
    found: BoolArray
    where: Sequence[Tuple[str, int]]
    false_positives: IntArray

    def share(self, chosen: BoolArray) -> Ratio:
        """Found of the chosen ones."""
        patients = len(self.false_positives)
        rows = (self.patient[chosen & self.found], self.patient[chosen])
        return Ratio(*(np.bincount(row, minlength=patients) for row in rows))


def figures_of(
    results: Sequence[ImageResult],
    lesions: Lesions,
    *,
    classes: Sequence[str],
    groups: Dict[str, Tuple[float, float]],
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
    fp_rates: Sequence[float] = FP_RATES,
    per_lesion: str = "lesion sensitivity",
) -> Dict[Tuple[str, str], Figure]:
    """The figures of a run: {(family, name): figure}. A figure that has nothing to count over is not there.

    results: sorted by image id, see ``check_results``. per_lesion: what the share of :class:`Lesions` is called.
    """
    everywhere = range(len(classes))
    of_class = [match_class(results, label, iou_threshold=iou_threshold) for label in everywhere]
    labels = [label for label in everywhere if of_class[label].gt_count.any()]
    ranked = {
        label: [Ranked(match_class(results, label, iou_threshold=iou), weighted_ap) for iou in IOU_THRESHOLDS.tolist()]
        for label in labels
    }
    pooled = pool_classes(of_class)
    top1 = top1_counts(results, classes, iou_threshold=iou_threshold)
    single = [np.sum([getattr(top1[name], which) for name in classes], axis=0) for which in ("right", "n")]
    everything = np.ones(len(lesions.label), bool)
    figures: Dict[Tuple[str, str], Figure] = {
        (OVERALL, "top-1"): Figure([Ratio(*single)]),
        **_shares(OVERALL, "", pooled.at_score(score_threshold)),
        (OVERALL, "AP50"): Figure([ranked[label][0] for label in labels]),
        (OVERALL, "AP"): Figure([part for label in labels for part in ranked[label]]),
        (OVERALL, "FROC"): Figure([Ranked(pooled, _mean_sensitivity(fp_rates))]),
        (OVERALL, per_lesion): Figure([lesions.share(everything)]),
        (OVERALL, "false positives a patient"): _false_positives(lesions),
    }
    for label in labels if len(classes) > 1 else ():
        name = classes[label]
        figures[BY_CLASS, f"top-1, {name}"] = Figure([Ratio(top1[name].right, top1[name].n)])
        figures.update(_shares(BY_CLASS, f", {name}", of_class[label].at_score(score_threshold)))
        figures[BY_CLASS, f"AP50, {name}"] = Figure([ranked[label][0]])
        figures[BY_CLASS, f"{per_lesion}, {name}"] = Figure([lesions.share(lesions.label == label)])
    for name, (low, high) in groups.items():
        chosen = (lesions.size >= low) & (lesions.size < high)
        figures[BY_SIZE, f"{per_lesion}, {name}"] = Figure([lesions.share(chosen)])
    return {key: figure for key, figure in figures.items() if figure.parts and figure.counts.sum() > 0}


def _shares(family: str, suffix: str, records: MatchRecords) -> Dict[Tuple[str, str], Figure]:
    precision, recall = precision_recall_counts(records)
    return {
        (family, f"precision{suffix}"): Figure([Ratio(precision.right, precision.n)]),
        (family, f"recall{suffix}"): Figure([Ratio(recall.right, recall.n)]),
    }


def _false_positives(lesions: Lesions) -> Figure:
    return Figure([Ratio(lesions.false_positives, np.ones_like(lesions.false_positives))], unit="rate", better=-1)


def _mean_sensitivity(rates: Sequence[float]) -> Callable[[MatchRecords, IntArray], FloatArray]:
    """FROC's score of LUNA16: the mean of the sensitivities at the rates."""

    def measure(records: MatchRecords, weights: IntArray) -> FloatArray:
        mean: FloatArray = froc_sensitivity(records, weights, rates).mean(axis=1)
        return mean

    return measure


def box_lesions(
    results: Sequence[ImageResult],
    where: Sequence[Tuple[str, int]],
    patients: Sequence[str],
    *,
    score_threshold: float,
    iou_threshold: float,
) -> Lesions:
    """Each annotated box of an image as a lesion, found by the greedy matching of its class; sizes in pixels.

    where: scene and frame of each image. patients: all of them, sorted.
    """
    rows: List[Tuple[int, int, float, bool, Tuple[str, int]]] = []
    false_positives = np.zeros(len(patients), np.int64)
    row_of = {patient: row for row, patient in enumerate(patients)}
    for number, result in enumerate(results):
        found = np.zeros(len(result.gt_labels), bool)
        kept = result.detections.at_score(score_threshold)
        false = len(kept)
        for label in np.unique(kept.labels):
            mine, truth = kept.labels == label, np.flatnonzero(result.gt_labels == label)
            hits = match_greedily(kept.boxes[mine], kept.scores[mine], result.gt_boxes[truth], iou_threshold)
            found[truth[hits[hits != UNMATCHED]]] = True
            false -= int((hits != UNMATCHED).sum())
        row = row_of[result.patient]
        false_positives[row] += false
        for (x1, y1, x2, y2), label, hit in zip(result.gt_boxes.tolist(), result.gt_labels.tolist(), found.tolist()):
            rows.append((row, label, round(max(x2 - x1, y2 - y1), 2), hit, where[number]))
    return Lesions(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], bool),
        [row[4] for row in rows],
        false_positives,
    )
