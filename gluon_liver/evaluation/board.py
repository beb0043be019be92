"""What an evaluation has for TensorBoard: its figures without intervals, and its overlays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence, Tuple

import numpy as np
from PIL import Image

from gluon_liver.data.coco import Label
from gluon_liver.files.json_records import read_json
from gluon_liver.runs.tensorboard import Board

from .registry import EVALUATIONS
from .task import Scored

SETTINGS = ("settings", "curve")  # parts of a summary that are no figures
PICTURES = 4  # of an epoch that was scored


def write_evaluation(folder: Path, board: Board) -> None:
    """The summary and overlays of a scored run, at the step of the checkpoint that was scored.

    folder: with results.json, as :func:`gluon_liver.evaluation.run_folder.evaluate` left it.
    """
    results = read_json(folder / "results.json")
    step, split = int(results["checkpoint"].rpartition("-")[2]), results["split"]
    for tag, value in figures(results["summary"]):
        board.scalar(f"{split}/{tag}", value, step=step)
    for entry in results["overlays"]:
        with Image.open(folder / entry["file"]) as picture:
            name = f"{split} {entry['kind']}/{Path(entry['file']).stem}"
            board.image(name, np.asarray(picture.convert("RGB")), step=step)


def figures(summary: Mapping[str, Any]) -> Iterator[Tuple[str, float]]:
    """The path of each figure of a summary, and its value; those that are undefined are left out."""
    for name, value in summary.items():
        if name in SETTINGS:
            continue
        if isinstance(value, Mapping) and "value" in value:
            value = value["value"]
        if isinstance(value, Mapping):
            yield from ((f"{name}/{tag}", number) for tag, number in figures(value))
        elif isinstance(value, float):
            yield name, value


def write_epoch(board: Board, scored: Scored[Any, Any], *, step: int) -> None:
    """Some of the images that an epoch was scored on, always the same, with what was found and what is there."""
    task = EVALUATIONS[scored.dataset.task]
    for number in pictured(scored.labels):
        tag = f"{scored.split} images/{scored.labels[number].file_stem}"
        board.image(tag, task.draw(scored, number), step=step)


def pictured(labels: Sequence[Label]) -> Sequence[int]:
    """Up to :data:`PICTURES` images with boxes, evenly spaced."""
    rows = [number for number, label in enumerate(labels) if len(label.boxes)]
    return [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, PICTURES).astype(int))] if rows else []
