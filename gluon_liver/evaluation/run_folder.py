"""A run scored on held-out patients: results.json, detections.json, overlays and the report."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.open import AnyDataset
from gluon_liver.data.windowed_images import open_images
from gluon_liver.errors import DatasetError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.lock import file_lock
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.metrics.ct_summary import ct_curves, ct_summary
from gluon_liver.metrics.matching import class_hits
from gluon_liver.report.ct_page import write_report
from gluon_liver.report.ct_tables import table4_text
from gluon_liver.report.drawing import draw_overlay, save_png
from gluon_liver.runs.checkpoint import read_best
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import detections_json
from gluon_liver.structures.image_result import ImageResult

SCORE_THRESHOLD = 0.5  # of precision and recall, and of what overlays draw
OVERLAYS_A_KIND = 4
PHANTOM_NOTE = "phantom studies that this package generated"
REAL_NOTE = "patients of the given data; not the paper's patients, which are not public"


def evaluate(
    run: Run,
    dataset: CTDataset,
    *,
    split: str = "test",
    context: Optional[mx.Context] = None,
    batch_size: Optional[int] = None,
    replicates: int = 1000,
    progress: bool = True,
) -> Tuple[str, Path]:
    """Score a run; returns the printed table and the path of report.html.

    Raises :class:`DatasetError` when the split has no labelled slice, the data's classes or reference phase are not
    the run's, or patients or studies of the split were trained on; :class:`RunError` for a run that cannot be used.
    """
    labels = split_labels(run, dataset, split)
    notes = run_notes(run, dataset, split)
    with evaluation_folder(run) as folder:
        detector, checkpoint = SliceDetector.from_run(run, context=context)
        results = detect_labelled(detector, dataset, labels, batch_size=batch_size, progress=progress)
        summary = ct_summary(results, classes=dataset.classes, score_threshold=SCORE_THRESHOLD, replicates=replicates)
        note = "; ".join(notes)
        write_json(folder / "detections.json", detections_json(results))
        write_json(
            folder / "results.json",
            {
                "format": 1,
                "kind": "ct",
                "row": run.config.row,
                "split": split,
                "checkpoint": checkpoint,
                "data": {"phantom": dataset.phantom, "note": note, "studies": len(dataset.cases_of(split))},
                "classes": list(dataset.classes),
                "summary": summary,
                "curves": ct_curves(results, classes=dataset.classes),
                "overlays": _write_overlays(folder / "overlays", run.config, dataset, labels, results),
            },
        )
        text = table4_text(summary, row=run.config.row, data_note=note, phantom=dataset.phantom)
        write_report(folder)
    return text, run.folder / "report.html"


def run_notes(run: Run, dataset: AnyDataset, split: str) -> List[str]:
    """What a reader must know of the numbers."""
    notes = [PHANTOM_NOTE if dataset.phantom else REAL_NOTE]
    if split == "train":
        notes.insert(0, "TRAINING patients, so no result at all")
    best = read_best(run)
    if best is not None:
        favoured = ", which is scored here: the choice favours it" if best.split == split else ""
        notes.append(f"the best epoch of the run by COCO mAP on the {best.split} split{favoured}")
    if run.imported():
        notes.append("the weights were imported: that no scored patient trained them is the word of who imported them")
    done, planned, ended = run.progress()
    if not ended:
        notes.append(f"the run is unfinished: {done} of {planned} steps")
    return notes


@contextlib.contextmanager
def evaluation_folder(run: Run) -> Iterator[Path]:
    """A folder inside the run with its files; what is written there moves into the run when all of it is done.

    Raises :class:`RunError` when another process evaluates the run.
    """
    with file_lock(run.folder / ".evaluating.lock", busy=f"{run.folder} is being evaluated by {{user}}"):
        folder = run.folder / ".evaluating"
        shutil.rmtree(str(folder), ignore_errors=True)
        folder.mkdir()
        try:
            for name in ("config.yaml", "environment.json", "log.jsonl"):
                shutil.copy(str(run.folder / name), str(folder / name))
            yield folder
            # results.json goes first and comes last: a run that is cut off in between reads as not evaluated
            for name in ("results.json", "report.html", "detections.json", "overlays"):
                if (run.folder / name).exists():
                    os.rename(str(run.folder / name), str(folder / ("old-" + name)))
            for name in ("overlays", "detections.json", "report.html", "results.json"):
                os.rename(str(folder / name), str(run.folder / name))
        finally:
            shutil.rmtree(str(folder), ignore_errors=True)


def split_labels(run: Run, dataset: CTDataset, split: str) -> List[CTLabel]:
    run.check_dataset(dataset)
    cases = set(dataset.cases_of(split))
    if split != "train":
        scored = [info for info in dataset.cases if info.case in cases]
        patients, studies = (set(run.environment["training_" + name]) for name in ("patients", "studies"))
        seen = sorted(info.case for info in scored if info.patient in patients or info.fingerprint in studies)
        if seen:
            raise DatasetError(
                f"{len(seen)} of {len(scored)} studies of the {split} split were trained on or belong to patients who "
                f"were, the first is {seen[0]}: the split has changed since training"
            )
    labels = dataset.labels_of(split)
    if not labels:
        raise DatasetError(f"no labelled slice among the {len(cases)} studies of the {split} split")
    return labels


def overlay_kind(result: ImageResult) -> Optional[str]:
    """What an overlay of this image shows: "miss", "false positive", "hit", or None for a clean background."""
    keep = result.scores >= SCORE_THRESHOLD
    hits = class_hits(result.boxes[keep], result.scores[keep], result.labels[keep], result.gt_boxes, result.gt_labels)
    if not hits.all():
        return "false positive"
    if hits.sum() < len(result.gt_boxes):
        return "miss"
    return "hit" if len(hits) else None


def overlay_examples(results: Sequence[ImageResult]) -> List[Tuple[str, int]]:
    """(kind, index) of a few hits, false positives and misses, spread over the results."""
    kinds = [overlay_kind(result) for result in results]
    chosen = []
    for kind in ("hit", "false positive", "miss"):
        rows = [row for row, found in enumerate(kinds) if found == kind]
        places = np.unique(np.linspace(0, len(rows) - 1, OVERLAYS_A_KIND).astype(int)) if rows else []
        chosen += [(kind, rows[place]) for place in places]
    return chosen


def _write_overlays(
    folder: Path, config: Config, dataset: CTDataset, labels: Sequence[CTLabel], results: Sequence[ImageResult]
) -> List[Dict[str, str]]:
    """PNG overlays of some results, as the paper's Fig. 5."""
    folder.mkdir()
    written = []
    for kind, row in overlay_examples(results):
        label, result = labels[row], results[row]
        keep = result.scores >= SCORE_THRESHOLD
        volume = open_images(dataset, label.case, config.data.window, config.data.storage)
        picture = draw_overlay(
            volume[dataset.reference_index, label.slice],
            boxes=result.boxes[keep],
            labels=result.labels[keep],
            scores=result.scores[keep],
            gt_boxes=result.gt_boxes,
            gt_labels=result.gt_labels,
            classes=dataset.classes,
        )
        name = f"{kind.replace(' ', '-')}-{label.case}-{label.slice:03d}.png"
        save_png(folder / name, picture)
        caption = f"{label.case}, slice {label.slice}: {kind}"
        written.append({"file": "overlays/" + name, "caption": caption, "kind": kind})
    return written
