"""A run scored on held-out patients: results.json, detections.json, overlays and the report."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Iterator, Optional, Tuple

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import RunError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.lock import file_lock
from gluon_liver.inference.choice import MXNET, MXNET_ON_CPU, EngineChoice
from gluon_liver.inference.detector import detect_labelled
from gluon_liver.inference.engine import engine_record
from gluon_liver.inference.slices import detect_labelled_dense
from gluon_liver.nn.folding import FLOAT32
from gluon_liver.report.comparison.place import TRUTH
from gluon_liver.report.comparison.scored import truth_record
from gluon_liver.runs.run import Run
from gluon_liver.structures.image_result import detections_json
from gluon_liver.system.environment import provenance

from .failures import failures, judge_scored, tables_text
from .gallery import write_gallery
from .overlays import write_overlays
from .place import COPIED, FOLDER, LOCKED, WRITTEN, check_out
from .registry import EVALUATIONS
from .run_note import run_note
from .split import split_labels
from .task import USUAL, Scored, ScoreSettings

DENSE_NOTE = "slices were read along their studies (--dense), not in the windows that the network was trained on"
REDUCED_NOTE = "computed in {precision} ({where}), not in float32, in which the network was trained"


def evaluate(
    run: Run,
    dataset: Dataset,
    *,
    split: str = "test",
    choice: EngineChoice = MXNET_ON_CPU,
    batch_size: Optional[int] = None,
    dense: bool = False,
    settings: ScoreSettings = USUAL,
    progress: bool = True,
    out: Optional[Path] = None,
) -> Tuple[str, Path]:
    """Score a run; returns the printed tables and the path of report.html.

    out: folder for what is written, instead of the run's.
    choice: what computes the network; the note of the results tells another precision than float32.
    dense: read networks of nine slices along the studies instead of in windows; the note of the results says so.

    Raises :class:`DatasetError` when the data are of another task, the split has no labelled image, the data's classes
    or phases are not the run's, or something of the split was trained on; ``RunError`` for a run that cannot be used,
    and for ``dense`` with a network of other than nine slices; ``InputError`` for an engine or a precision that cannot
    be used.
    """
    began = time.monotonic()
    if dense:
        check_dense(run.config)
    choice.check(dense=dense)
    labels, note, task = split_labels(run, dataset, split), run_note(run, dataset, split), EVALUATIONS[dataset.task]
    note += f"; {DENSE_NOTE}" if dense else ""
    with evaluation_folder(run, out) as folder:
        detector, checkpoint = choice.open(run)
        if dense:
            found = detect_labelled_dense(detector, dataset, labels, progress=progress)
        else:
            detected = detect_labelled(detector, dataset, labels, batch_size=batch_size, progress=progress)
            found = [one.detections for one in detected]
        results = [dataset.result(label, one.as_written()) for label, one in zip(labels, found)]
        by = engine_record(detector.engine)
        if by["precision"] != FLOAT32:
            where = "--precision" if choice.engine == MXNET else "the graphs of --engine"
            note += f"; {REDUCED_NOTE.format(precision=by['precision'], where=where)}"
        scored = Scored(run.config, dataset, split, labels, results, note, run.unfinished)
        summary = task.summary(scored, settings)
        judgement = judge_scored(task, scored)
        wrong = failures(task, scored, judgement, summary, settings)
        overlays = write_overlays(folder / "overlays", task, scored)
        gallery = write_gallery(folder / "overlays", task, scored, judgement)
        own = task.record(scored)
        results_json = dict(format=1, kind=dataset.task, split=split, checkpoint=checkpoint, **by, **own)
        results_json.update(classes=list(dataset.classes), summary=summary, overlays=overlays, **wrong, **gallery)
        results_json["data"] = dict(phantom=dataset.phantom, note=note, digests=dataset.digests(split), **own["data"])
        results_json.update(unfinished=run.unfinished) if run.unfinished else None
        results_json["evaluated"] = {**provenance(), "seconds": round(time.monotonic() - began, 1)}
        write_json(folder / "detections.json", detections_json(results))
        write_json(folder / TRUTH, truth_record(results, *task.places(scored)), indent=None)
        write_json(folder / "results.json", results_json)
        text = tables_text(task, scored, summary, wrong)
        task.write_report(folder)
    return text, (out or run.folder) / "report.html"


@contextlib.contextmanager
def evaluation_folder(run: Run, out: Optional[Path] = None) -> Iterator[Path]:
    """A folder inside the run with its files; what is written there moves into the run when all of it is done.

    With ``out`` it does so in that folder, which is made if need be and gets what says how the run was trained too.

    Raises :class:`gluon_liver.errors.RunError` when another process evaluates the run or the folder cannot be written,
    and :class:`InputError` for an ``out`` that holds something else.
    """
    target = run.folder if out is None else out
    with _locked(run, target) as folder:
        shutil.rmtree(str(folder), ignore_errors=True)
        folder.mkdir()
        try:
            for name in COPIED:
                shutil.copyfile(str(run.folder / name), str(folder / name))
            yield folder
            # results.json goes first and comes last: a run that is cut off in between reads as not evaluated
            for name in reversed(WRITTEN):
                if (target / name).exists():
                    os.rename(str(target / name), str(folder / ("old-" + name)))
            if target != run.folder:
                environment = {**run.environment, "data": os.path.relpath(run.data_folder, target.resolve())}
                write_json(folder / "environment.json", environment)
            for name in (*(COPIED if target != run.folder else ()), *WRITTEN):
                os.rename(str(folder / name), str(target / name))
        finally:
            shutil.rmtree(str(folder), ignore_errors=True)


@contextlib.contextmanager
def _locked(run: Run, target: Path) -> Iterator[Path]:
    """The folder below ``target`` to write to, which no other process uses. Raises as :func:`evaluation_folder`."""
    check_out(run, target)
    with contextlib.ExitStack() as stack:
        try:
            target.mkdir(parents=True, exist_ok=True)
            stack.enter_context(file_lock(target / LOCKED, busy=f"{target} is being evaluated by {{user}}"))
        except OSError as error:
            remedy = "evaluate --out DIR writes elsewhere, for a run that is read-only"
            raise RunError(f"{target} cannot be written: {error.strerror or error}; {remedy}") from error
        yield target / FOLDER
