"""Cases that are there twice: by fingerprints, and by what their slices or frames show.

A slice is described by 16 x 16 means of its grey values, of CT those within the body from -150 to 250 HU, so that
noise, another matrix and another crop of the field of view change little. Two cases are near duplicates where the
median over eight slices of one, evenly spaced, of the distance to the nearest slice of the other (root mean square of
grey from 0 to 1) is at most :data:`MOST_DISTANCE`. The distance allows for a shift of
all greys and a gain of at most :data:`MOST_GAIN`. Medians that `scripts/near_duplicates.py` measured on the real study
and on phantoms:

- CT: copies with noise of 10 HU 0.002 at most, 1.1 times as contrasted and 20 HU brighter 0.017, on 0.8 of the matrix
  0.012, on half the matrix with noise 0.0197; neighbouring slices of one study 0.0199 to 0.043, patients 0.045 and
  more.
- Ultrasound: copies 0.0075 at most, recordings 0.045 and more. Neighbouring frames lie closer (0.006 to 0.035),
  which is why cases are compared and no frames of one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.inspection.lesions import split_of_units
from gluon_liver.structures.arrays import Array, FloatArray

from .findings import NOTE, PROBLEM, WARNING, Finding

SIDE, QUERIES, MOST_DISTANCE, MOST_GAIN = 16, 8, 0.02, 1.25
BODY_HU, LEAST_BODY = -300, 0.02
GREY_HU = (-150.0, 250.0)


def describe_slice(hu: Array) -> Optional[FloatArray]:
    """HU (rows, columns) -> (256,) means from 0 to 1 within the body; None where there is next to none."""
    body = np.asarray(hu) > BODY_HU
    rows = np.flatnonzero(body.mean(axis=1) > LEAST_BODY)
    columns = np.flatnonzero(body.mean(axis=0) > LEAST_BODY)
    if len(rows) < SIDE or len(columns) < SIDE:
        return None
    low, high = GREY_HU
    inside = np.asarray(hu[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)
    return _means(np.clip((inside - low) / (high - low), 0, 1))


def describe_frame(frame: Array) -> Optional[FloatArray]:
    """uint8 (rows, columns, 3) -> (256,) means from 0 to 1; None for a frame of one value."""
    grey = np.asarray(frame, np.float32).mean(axis=2) / 255
    return None if float(grey.max() - grey.min()) < 0.02 else _means(grey)


def _means(grey: Array) -> FloatArray:
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32).ravel()


def distance(some: FloatArray, others: FloatArray) -> float:
    """Median over :data:`QUERIES` rows of ``some`` (n, 256), evenly spaced, of the distance to their nearest.

    Of each pair the shift and the gain of the greys that bring them nearest are taken out.
    """
    if not len(some) or not len(others):
        return np.inf
    wanted = some[np.unique(np.linspace(0, len(some) - 1, min(QUERIES, len(some))).round().astype(int))]
    wanted, others = (rows - rows.mean(axis=1, keepdims=True) for rows in (wanted, others))
    products, own = wanted @ others.T, (others**2).sum(axis=1)[None]
    gain = np.clip(products / np.maximum(own, 1e-9), 1 / MOST_GAIN, MOST_GAIN)
    squares = (wanted**2).sum(axis=1)[:, None] + gain * (gain * own - 2 * products)
    return float(np.median(np.sqrt(np.maximum(squares, 0).min(axis=1) / some.shape[1])))


def descriptors(dataset: Dataset, case: str) -> FloatArray:
    """(n, 256) descriptors of the slices of the reference phase, or of the labelled frames, that show something."""
    if isinstance(dataset, USDataset):
        frames = dataset.frames(case)
        found = [describe_frame(frames[label.row]) for label in dataset.labels if label.case == case]
    else:
        assert isinstance(dataset, CTDataset)
        study = dataset.study(case)
        found = [describe_slice(plane) for plane in study.hu[study.reference_index]]
    kept = [one for one in found if one is not None]
    return np.array(kept, np.float32).reshape(-1, SIDE * SIDE)


def check_fingerprints(dataset: Dataset) -> Iterator[Finding]:
    """Cases whose stored pixels are the same to the bit."""
    same: Dict[str, List[str]] = defaultdict(list)
    for info in dataset.cases:
        same[info.fingerprint].append(info.case)
    for cases in same.values():
        if len(cases) > 1:
            yield _finding(dataset, cases, "duplicates", "hold the very same pixels")


def check_near(dataset: Dataset, described: Dict[str, FloatArray]) -> Iterator[Finding]:
    """Pairs of cases that show the same, but are not the same to the bit. described: :func:`descriptors` by case.

    Cases of one patient are told apart from others: two studies of one patient look alike.
    """
    prints = {info.case: info.fingerprint for info in dataset.cases}
    own: List[Tuple[str, ...]] = []
    names = [info.case for info in dataset.cases if len(described.get(info.case, ()))]
    for at, case in enumerate(names):
        for other in names[at + 1 :]:
            if prints[case] == prints[other]:
                continue
            near = min(distance(described[case], described[other]), distance(described[other], described[case]))
            if near > MOST_DISTANCE:
                continue
            if dataset.info(case).patient == dataset.info(other).patient:
                own.append((case, other))
            else:
                yield _finding(dataset, (case, other), "near duplicates", f"show almost the same (distance {near:.3f})")
    if own:
        what = f"{len(own)} pairs of cases of one patient each show almost the same"
        places = [" and ".join(pair) for pair in own]
        yield Finding(NOTE, "near duplicates", places, what, "two examinations, or one that is there twice?")


def _finding(dataset: Dataset, cases: Sequence[str], check: str, what: str) -> Finding:
    splits = split_of_units(dataset)
    infos = [dataset.info(case) for case in cases]
    there = sorted({splits.get(unit, "no split") for info in infos for unit in dataset.units_of(info)})
    if len({info.patient for info in infos}) == 1:
        text = f"{len(cases)} cases of one patient {what}"
        return Finding(WARNING, check, list(cases), text, "leave one of them out: they count twice")
    severity = PROBLEM if len(there) > 1 else WARNING
    text = f"{len(cases)} cases of {len({info.patient for info in infos})} patients, in {' and '.join(there)}, {what}"
    advice = "one examination under two names: leave one out"
    return Finding(severity, check, list(cases), text, advice + ", or move both to one split" * (len(there) > 1))


def check_parts(dataset: Dataset) -> Iterator[Finding]:
    """Recordings of which parts are in several splits, where the data are not split by patient."""
    if dataset.split_by == "patient":
        return
    splits = split_of_units(dataset)
    parted = [
        info.case for info in dataset.cases if len({splits.get(unit) for unit in dataset.units_of(info)} - {None}) > 1
    ]
    patients = {dataset.info(case).patient for case in parted}
    if parted:
        what = f"{len(parted)} recordings of {len(patients)} patients have a part in several splits"
        advice = f"the data are split by {dataset.split_by}: results are of patients who were trained on: say so"
        yield Finding(WARNING, "leakage", parted, what, advice)
