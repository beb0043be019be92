"""An ultrasound run scored on its held-out frames: results.json, detections.json, overlays and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from gluon_liver.config.schema import Config
from gluon_liver.data.open import check_kind
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_labels import USLabel
from gluon_liver.errors import DatasetError
from gluon_liver.files.atomic import write_json
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.metrics.us_summary import us_summary
from gluon_liver.report.drawing import save_png
from gluon_liver.report.us_drawing import draw_us
from gluon_liver.report.us_page import write_us_report
from gluon_liver.report.us_tables import kept_text, us_text
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import detections_json
from gluon_liver.structures.image_result import ImageResult

from .run_folder import SCORE_THRESHOLD, evaluation_folder, overlay_examples, run_notes


def evaluate_us(
    run: Run,
    dataset: USDataset,
    *,
    split: str = "test",
    context: Optional[mx.Context] = None,
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> Tuple[str, Path]:
    """Score a run; returns the printed tables and the path of report.html.

    Raises :class:`DatasetError` when the split has no labelled frame, the classes are not the run's, or what is scored
    was trained on; :class:`RunError` for a run that cannot be used.
    """
    labels = split_labels(run, dataset, split)
    note = "; ".join(run_notes(run, dataset, split))
    kept = kept_detections(run.config)
    with evaluation_folder(run) as folder:
        detector, checkpoint = SliceDetector.from_run(run, context=context)
        results = detect_labelled(detector, dataset, labels, batch_size=batch_size, progress=progress)
        scenes = {label.image_id: dataset.scene_of(label).name for label in labels}
        summary = us_summary(results, scenes=scenes, classes=dataset.classes, score_threshold=SCORE_THRESHOLD)
        write_json(folder / "detections.json", detections_json(results))
        write_json(
            folder / "results.json",
            {
                "format": 1,
                "kind": "us",
                "model": run.config.model,
                "split": split,
                "checkpoint": checkpoint,
                "data": {
                    "phantom": dataset.phantom,
                    "note": note,
                    "fingerprint": dataset.fingerprint,
                    "split_by": dataset.split_by,
                },
                "detections": kept,
                "classes": list(dataset.classes),
                "summary": summary,
                "overlays": _write_overlays(folder / "overlays", dataset, labels, results),
            },
        )
        text = us_text(
            summary,
            model=run.config.model,
            data_note=note,
            phantom=dataset.phantom,
            kept=kept_text(kept),
            split_by=dataset.split_by,
        )
        write_us_report(folder)
    return text, run.folder / "report.html"


def kept_detections(config: Config) -> Dict[str, Any]:
    """Which detections a configuration's network gives out."""
    head = config.network.head
    return {"score_threshold": head.score_threshold, "max_detections": head.max_detections}


def split_labels(run: Run, dataset: USDataset, split: str) -> List[USLabel]:
    check_kind(run.config, dataset)
    if list(dataset.classes) != run.environment["classes"]:
        raise DatasetError(
            f"the data have classes {list(dataset.classes)}, the run was trained on {run.environment['classes']}"
        )
    labels = dataset.labels_of(split)
    if not labels:
        raise DatasetError(f"no labelled frame in the {split} split of {dataset.folder}")
    if split != "train":
        _refuse_trained(run, dataset, labels, split)
    return labels


def _refuse_trained(run: Run, dataset: USDataset, labels: Sequence[USLabel], split: str) -> None:
    """Raise DatasetError when units of the split were trained on, or recordings of which frames were.

    Parts of one recording may be on both sides only where the units are those of the training, made by the same
    import. Units of another import (split, salt) never meet, and nothing tells which frames were trained on.
    """
    trained = set(run.environment["training_units"])
    seen = {dataset.unit_of(label) for label in labels} & trained
    if dataset.split_by == "patient" or not trained <= {dataset.unit_of(label) for label in dataset.labels}:
        cases = {label.case for label in labels}
        prints = set(run.environment["training_studies"])
        seen |= {info.case for info in dataset.cases if info.case in cases and info.fingerprint in prints}
    if seen:
        raise DatasetError(
            f"{len(seen)} of the {split} split were trained on, the first is {sorted(seen)[0]}: the split has changed "
            "since training, or the data were imported again; score the data of the training, or recordings that were "
            "not in it"
        )


def _write_overlays(
    folder: Path, dataset: USDataset, labels: Sequence[USLabel], results: Sequence[ImageResult]
) -> List[Dict[str, Any]]:
    folder.mkdir()
    written = []
    for kind, row in overlay_examples(results):
        label, result = labels[row], results[row]
        picture = draw_us(
            dataset.frames(label.case)[label.row],
            result.boxes,
            result.labels,
            result.scores,
            dataset.classes,
            gt_boxes=result.gt_boxes,
            gt_labels=result.gt_labels,
            score_threshold=SCORE_THRESHOLD,
        )
        name = f"{kind.replace(' ', '-')}-{label.case}-{label.frame:06d}.png"
        save_png(folder / name, picture)
        caption = f"{label.case}, scene {label.scene}, frame {label.frame}: {kind}"
        written.append({"file": "overlays/" + name, "caption": caption, "kind": kind})
    return written
