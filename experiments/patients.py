"""Endpoints as functions of the test patients, of the counts that a record keeps: intervals over patients and seeds."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from gluon_liver.metrics.coco import weighted_ap
from gluon_liver.metrics.comparison import Comparison, compare_figures
from gluon_liver.metrics.figures import Figure, Ranked, Ratio
from gluon_liver.metrics.matching import MatchRecords

from .records import RunRecord

REPLICATES = 500  # of the bootstrap over patients: its SD is all that is read of it
# How far counts may be from the evaluation's figure: written boxes and scores are rounded, and detections below 0.05
# are not among those that an average precision is counted of.
NEAR = {"ap50": 0.03, "top1": 0.03, "recall": 0.01, "precision": 0.01, "sensitivity": 1e-4}
_KEY = ("study", "endpoint")
_RATIOS = {  # endpoint -> numerator and denominator among the counts
    "top1": ("top1_right", "top1_slices"),
    "recall": ("found", "boxes"),
    "precision": ("found", "detections"),
}
Counts = Dict[str, Any]  # of a class


def over_patients(arm: Sequence[RunRecord], against: Sequence[RunRecord], path: str) -> Optional[Comparison]:
    """The difference of an endpoint, runs of a seed at one place, with an interval over test patients and seeds.

    None for endpoints that the counts do not make, and with fewer than two seeds, which do not tell how trainings vary.
    """
    figures = [[figure_of(record, path) for record in side] for side in (arm, against)]
    if len(arm) < 2 or any(figure is None for side in figures for figure in side):
        return None
    first, second = ([{_KEY: figure} for figure in side if figure is not None] for side in figures)
    return compare_figures(first, second, paired_seeds=True, replicates=REPLICATES)[_KEY]


def contradictions(record: RunRecord, paths: Sequence[str]) -> List[str]:
    """Endpoints of a run that its counts by patient contradict.

    Counts of CT are of the written detections, whose boxes and scores are rounded: one or two may fall on the other
    side of a threshold.
    """
    found = []
    for path in paths:
        figure, value = figure_of(record, path), record.value(path)
        if figure is None or value is None:
            continue
        counted = float(figure.at(np.ones((1, len(figure.counts)), np.int64))[0])
        if not abs(counted - value) <= NEAR[path.partition(".")[0]]:
            found.append(f"{record.key}: {path} is {value:g}, by the counts of its patients {counted:.4f}")
    return found


def other_patients(records: Iterable[RunRecord]) -> List[str]:
    """Runs of a condition that were scored on other patients, scenes or boxes than its first one."""
    first: Dict[str, RunRecord] = {}
    found = []
    for record in records:
        one = first.setdefault(record.condition, record)
        if _scored_on(record) != _scored_on(one):
            found.append(f"{record.key}: scored on other patients or boxes than {one.key}")
    return found


def _scored_on(record: RunRecord) -> Any:
    counts = record.counts
    boxes = {name: one.get("boxes", one.get("n")) for name, one in counts.items() if isinstance(one, dict)}
    return counts.get("patients"), counts.get("scenes"), boxes


def figure_of(record: RunRecord, path: str) -> Optional[Figure]:
    """An endpoint of a run, None where its counts do not make it."""
    parts: List[Any] = []
    for one in path.split(" + "):
        found = _parts(record.counts, one)
        if not found:
            return None
        parts += found
    return Figure(parts)


def _parts(counts: Counts, path: str) -> List[Any]:
    kind, _, name = path.partition(".")
    classes = {key: value for key, value in counts.items() if isinstance(value, dict)}
    if kind == "sensitivity" and name.endswith(".mean") and name.rpartition(".")[0] in classes:  # over scenes
        n, found = (np.array(classes[name.rpartition(".")[0]][key]) for key in ("n", "found"))
        return [Ratio(found / np.maximum(n, 1), (n > 0).astype(np.int64))]
    if kind == "ap50" and (name == "mean" or name in classes):
        chosen = list(classes.values()) if name == "mean" else [classes[name]]
        return [_ranked(one) for one in chosen if "ranked" in one and sum(one["boxes"])]
    if kind in _RATIOS and (name == "all" or name in classes):
        chosen = list(classes.values()) if name == "all" else [classes[name]]
        if all(key in one for one in chosen for key in _RATIOS[kind]):
            return [Ratio(*(np.sum([one[key] for one in chosen], axis=0) for key in _RATIOS[kind]))]
    return []


def _ranked(counts: Counts) -> Ranked:
    order, boxes = np.array(counts["ranked"], np.int64), np.array(counts["boxes"], np.int64)
    scores = np.arange(len(order), 0, -1.0)  # their order is all that counts
    return Ranked(MatchRecords(scores, order % 2 == 1, order // 2, boxes, np.zeros_like(boxes)), weighted_ap)
