"""Detections that something else made, symbols/module_test.py say, scored as evaluate scores a run's."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from gluon_liver.data.dataset import Dataset
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections

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
    results = [dataset.result(label, Detections.from_coco(file.rows[label.image_id])) for label in labels]
    scored = Scored(run.config, dataset, split, labels, results, run_note(run, dataset, split), run.unfinished)
    summary = task.summary(scored, settings)
    text = tables_text(task, scored, summary, failures(task, scored, judge_scored(task, scored), summary, settings))
    return text + "".join(f"\n{path.name}: {note}\n" for note in file.notes)
