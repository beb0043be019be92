"""Detections that something else made, symbols/module_test.py say, scored as evaluate scores a run's."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Sequence

from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import CocoDetection, Detections
from gluon_liver.structures.image_result import ImageResult

from .registry import EVALUATIONS
from .run_folder import run_note, split_labels
from .task import REPLICATES, Scored


def score_detections(
    run: Run, dataset: Dataset, path: Path, *, split: str = "test", replicates: int = REPLICATES
) -> str:
    """The tables of COCO results in ``path``, as ``evaluate`` prints them; the run is left as it is.

    Raises :class:`InputError` for a file that holds something else, and what ``evaluate`` raises for data and split.
    """
    labels, task = split_labels(run, dataset, split), EVALUATIONS[dataset.task]
    results = image_results(dataset, labels, path)
    scored = Scored(run.config, dataset, split, labels, results, run_note(run, dataset, split))
    return task.text(scored, task.summary(scored, replicates=replicates))


def image_results(dataset: Dataset, labels: Sequence[Label], path: Path) -> List[ImageResult]:
    """COCO results (bbox x, y, width, height) beside the ground truth of ``labels``."""
    rows: Dict[int, List[CocoDetection]] = defaultdict(list)  # of an image
    entries = read_json(path, remedy="give a file of COCO results")
    if not isinstance(entries, list):
        raise InputError(f"{path} holds no COCO results: a list of them is wanted")
    for place, entry in enumerate(entries):
        row = build(CocoDetection, entry, where=f"{path} holds no COCO results: entry {place}")
        rows[row.image_id].append(row)
    odd = sorted(set(rows) - {label.image_id for label in labels})
    if odd:
        raise InputError(f"{path} has detections in image {odd[0]}, which is not in the split")
    return [dataset.result(label, Detections.from_coco(rows[label.image_id])) for label in labels]
