"""Histograms of what pixels hold, per phase: whole slices, what is likely liver, and inside the boxes of each class."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.study import Study
from gluon_liver.inspection.organs import organs_of
from gluon_liver.structures.arrays import Array, IntArray
from gluon_liver.system.terminal import progress_bar

LOW, HIGH, STEP = -1024, 1536, 10  # HU of the bins; what lies beyond counts in the first and the last
EDGES = np.arange(LOW, HIGH + STEP, STEP)
MOST_SLICES = 16  # of a study, evenly spaced, that stand for the whole
SHARES = {"p5": 5, "median": 50, "p95": 95}


class Histogram:
    """Counts of whole HU, from which bins and percentiles come."""

    def __init__(self) -> None:
        self.counts: IntArray = np.zeros(2**16, np.int64)

    def add(self, values: Array) -> None:
        """Count whole numbers, or real ones rounded, in the range of int16."""
        whole = np.clip(np.rint(values), -(2**15), 2**15 - 1).astype(np.int64).ravel()
        self.counts = self.counts + np.bincount(whole + 2**15, minlength=2**16)

    def to_json(self) -> Dict[str, Any]:
        """Number of pixels, some percentiles and the counts of the bins."""
        total = int(self.counts.sum())
        if not total:
            return {"pixels": 0}
        sums = np.cumsum(self.counts)
        at = {name: int(np.searchsorted(sums, total * share / 100)) - 2**15 for name, share in SHARES.items()}
        values = np.clip(np.arange(-(2**15), 2**15), LOW, HIGH - 1)
        bins = np.bincount((values - LOW) // STEP, weights=self.counts, minlength=len(EDGES) - 1).astype(np.int64)
        return {"pixels": total, **at, "counts": bins.tolist()}


Histograms = Dict[str, Dict[str, Histogram]]


def measure(dataset: CTDataset, *, progress: bool = False) -> Dict[str, Any]:
    """Per phase the histograms of :data:`MOST_SLICES` whole slices a study, of the liver and of the boxes by class.

    The liver is what is likely liver (:mod:`gluon_liver.prepare.look.organs`) on slices 3 cm apart; it is not looked
    for where pixels are not HU.
    """
    in_hu = dataset.holds_hu
    found: Histograms = {phase: defaultdict(Histogram) for phase in dataset.phases}
    livers: Dict[str, List[float]] = {phase: [] for phase in dataset.phases}
    aortas: Dict[str, List[float]] = {phase: [] for phase in dataset.phases}
    for info in progress_bar(dataset.cases, text="studies", unit="study", show=progress):
        study = dataset.study(info.case)
        _add_slices(study, found)
        _add_boxes(dataset, study, found)
        for phase, organs in (organs_of(study) if in_hu else {}).items():
            found[phase]["liver"].add(organs.liver_hu)
            livers[phase] += [] if organs.liver is None else [organs.liver]
            aortas[phase] += [] if organs.aorta is None else [organs.aorta]
    return {
        "unit": "HU" if in_hu else "grey value",
        "bins": {"low": LOW, "high": HIGH, "step": STEP},
        "phases": {
            phase: {
                "whole": found[phase]["whole"].to_json(),
                "liver": found[phase]["liver"].to_json(),
                "boxes": {name: found[phase][f"box {name}"].to_json() for name in dataset.classes},
                "liver_of_studies": _median(livers[phase]),
                "aorta_of_studies": _median(aortas[phase]),
            }
            for phase in dataset.phases
        },
    }


def _median(values: Sequence[float]) -> Dict[str, Any]:
    return {"studies": len(values), **({"median": round(float(np.median(values)), 1)} if values else {})}


def _add_slices(study: Study, found: Histograms) -> None:
    slices = study.hu.shape[1]
    count = min(MOST_SLICES, slices)
    for place in ((np.arange(count) + 0.5) * slices / count).astype(int):
        for index, phase in enumerate(study.phases):
            if study.present[index, place]:
                found[phase]["whole"].add(study.hu[index, place])


def _add_boxes(dataset: CTDataset, study: Study, found: Histograms) -> None:
    for place, label in dataset.labels_by_slice(study.case).items():
        for box, kind in zip(label.boxes, label.labels):
            rows, columns = pixels_of(box, study.hu.shape[2:])
            for index, phase in enumerate(study.phases):
                if study.present[index, place]:
                    found[phase][f"box {dataset.classes[kind]}"].add(study.hu[index, place, rows, columns])


def pixels_of(box: Array, shape: Tuple[int, ...]) -> Tuple[slice, slice]:
    """Rows and columns of the pixels in a box (x1, y1, x2, y2), at least one of each."""
    x1, y1, x2, y2 = (int(round(float(edge))) for edge in box)
    top, left = min(max(y1, 0), shape[0] - 1), min(max(x1, 0), shape[1] - 1)
    return slice(top, max(y2, top + 1)), slice(left, max(x2, left + 1))
