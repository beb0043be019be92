"""Detections that something else made, symbols/module_test.py say, scored as evaluate scores a run's."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from gluon_liver.data.open import AnyDataset, AnyLabel, check_kind
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import InputError
from gluon_liver.metrics.ct_summary import ct_summary
from gluon_liver.metrics.us_summary import us_summary
from gluon_liver.report.ct_tables import table4_text
from gluon_liver.report.us_tables import kept_text, us_text
from gluon_liver.runs.run import Run
from gluon_liver.structures.image_result import ImageResult

from . import run_folder as evaluate
from . import us as evaluate_us


def score_detections(run: Run, dataset: AnyDataset, path: Path, *, split: str = "test", replicates: int = 1000) -> str:
    """The tables of COCO results in ``path``, as ``evaluate`` prints them; the run is left as it is.

    Raises :class:`InputError` for a file that holds something else, and what ``evaluate`` raises for data and split.
    """
    check_kind(run.config, dataset)
    ultrasound = isinstance(dataset, USDataset)
    labels = (evaluate_us if ultrasound else evaluate).split_labels(run, dataset, split)
    results = image_results(dataset, labels, path)
    note = "; ".join(evaluate.run_notes(run, dataset, split))
    if ultrasound:
        scenes = {label.image_id: dataset.scene_of(label).name for label in labels}
        summary = us_summary(results, scenes=scenes, classes=dataset.classes, score_threshold=evaluate.SCORE_THRESHOLD)
        return us_text(
            summary,
            model=run.config.model,
            data_note=note,
            phantom=dataset.phantom,
            split_by=dataset.split_by,
            kept=kept_text(evaluate_us.kept_detections(run.config)),
        )
    summary = ct_summary(
        results, classes=dataset.classes, score_threshold=evaluate.SCORE_THRESHOLD, replicates=replicates
    )
    return table4_text(summary, row=run.config.row, data_note=note, phantom=dataset.phantom)


def image_results(dataset: AnyDataset, labels: List[AnyLabel], path: Path) -> List[ImageResult]:
    """COCO results (bbox x, y, width, height) beside the ground truth of ``labels``."""
    found: Dict[int, List[Dict[str, Any]]] = defaultdict(list)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise InputError(f"{path} holds no COCO results: a list of them is wanted")
        for row in rows:
            x, y, width, height = (float(number) for number in row["bbox"])
            found[row["image_id"]].append(
                {
                    "box": [x, y, x + width, y + height],
                    "score": float(row["score"]),
                    "label": int(row["category_id"]) - 1,
                }
            )
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file of detections") from error
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} holds no COCO results: {error}") from error
    odd = sorted(set(found) - {label.image_id for label in labels})
    if odd:
        raise InputError(f"{path} has detections in image {odd[0]}, which is not in the split")
    patients = {info.case: info.patient for info in dataset.cases}
    results = []
    for label in labels:
        rows = found[label.image_id]
        boxes = np.array([row["box"] for row in rows], np.float64).reshape(-1, 4)
        results.append(
            ImageResult(
                image_id=label.image_id,
                patient=patients[label.case],
                gt_boxes=label.boxes,
                gt_labels=label.labels,
                boxes=boxes,
                scores=[row["score"] for row in rows],
                labels=[row["label"] for row in rows],
            )
        )
    return results
