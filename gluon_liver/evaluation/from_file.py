"""Detections that something else made, symbols/module_test.py say, scored as evaluate scores a run's."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence

from gluon_liver.data.dataset import Dataset
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import CocoDetection, Detections

from .detection_file import DetectionFile, read_detections
from .failures import failures, judge_scored, tables_text
from .registry import EVALUATIONS
from .run_note import run_note
from .split import split_labels
from .task import USUAL, Scored, ScoreSettings


def score_detections(
    run: Run,
    dataset: Dataset,
    path: Path,
    *,
    split: str = "test",
    settings: ScoreSettings = USUAL,
    read: Optional[DetectionFile] = None,
) -> str:
    """The tables of COCO results in ``path``, as ``evaluate`` prints them; the run is left as it is.

    read: what the file holds, where it was read already.

    Raises :class:`InputError` for a file that holds something else, and what ``evaluate`` raises for data and split.
    """
    labels, task = split_labels(run, dataset, split), EVALUATIONS[dataset.task]
    file = read_detections(path, dataset, labels) if read is None else read
    results = [dataset.result(label, Detections.from_coco(in_order(file.rows[label.image_id]))) for label in labels]
    scored = Scored(run.config, dataset, split, labels, results, run_note(run, dataset, split), run.unfinished)
    summary = task.summary(scored, settings)
    text = tables_text(task, scored, summary, failures(task, scored, judge_scored(task, scored), summary, settings))
    return text + "".join(f"\n{path.name}: {note}\n" for note in file.notes)


def as_read(detections: Detections) -> Detections:
    """What a reader of detections.json gets of an image's detections; scored as such, the file has the same score."""
    return Detections.from_coco(in_order([CocoDetection(**row) for row in detections.to_coco(0)]))


def in_order(rows: Sequence[CocoDetection]) -> List[CocoDetection]:
    """Detections of an image in an order that is theirs alone: best first, ties by class and place.

    Metrics that have to choose between tied detections take the first; the order of a file's rows must not choose.
    """
    return sorted(rows, key=lambda row: (-row.score, row.category_id, row.bbox))
