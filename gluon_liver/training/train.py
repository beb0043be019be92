"""Training: a run from its first step, or from a checkpoint, to its end."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from gluon_liver.cluster import heartbeat
from gluon_liver.config.load import Choice
from gluon_liver.config.parallel_limits import check_parallel
from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import DatasetError, TrainingError
from gluon_liver.files.atomic import sync, write_json
from gluon_liver.files.lock import run_lock
from gluon_liver.runs.checkpoint import load_checkpoint
from gluon_liver.runs.devices import parse_devices
from gluon_liver.runs.run import Run, check_weights, clear_dead, has_checkpoint, was_started
from gluon_liver.runs.tensorboard import Board, check_installed
from gluon_liver.runs.training_state import restore_optimizer
from gluon_liver.system.terminal import say
from gluon_liver.weights.pretrained import load_pretrained, set_flow
from gluon_liver.weights.source import Pretrained, check_hu

from .distributed import Worker
from .inputs import TrainingInputs
from .loop import TrainingLoop
from .resume import ResumePoint, find_resume_point, restore_run_folder
from .resume_choice import AUTO
from .schedule import async_schedule, schedule_notes
from .trainer import DetectorTrainer
from .validation import Validation, scored_labels

WEIGHTS = "pretrained.json"  # of a run folder: what it began with, if with weights


def train(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    steps: Optional[int] = None,
    pretrained: Optional[Pretrained] = None,
    flow: Optional[Path] = None,
    resume: Optional[str] = None,
    changed_data: bool = False,
    chosen: Optional[Choice] = None,
    tensorboard: Optional[Path] = None,
    progress: bool = True,
) -> Optional[Run]:
    """Train on the dataset's training patients and leave a run folder; in a worker that does not lead return None.

    steps: stop after this many steps instead of after the configured epochs.
    pretrained: weights to start backbone and Block4 from, or a run to start everything from that fits; what was done
        with them goes to pretrained.json.
    flow: parameters of LiteFlowNet for the model us-flow, as convert-flow or train-flow leave them.
    resume: "auto" to go on from the newest intact checkpoint of ``out``, or to start where there is none; or a
        checkpoint of ``out``. Pretrained weights and flow are then not read again.
    changed_data: resume though labels or volumes of the training patients are not what they were.
    chosen: how the configuration was asked for, which the run folder then says.
    tensorboard: folder for event files of TensorBoard; a run that is gone on with adds one.

    Raises ``DatasetError`` when nothing can be trained on, ``ConfigError`` for devices and kvstores that do
    not go together or changes that a run does not survive, ``RunError`` when ``out`` is taken or no checkpoint is
    intact, and :class:`TrainingError` with the step when a loss is not finite.
    """
    # whatever the configuration or the data can break breaks here, before there is a run folder
    if tensorboard is not None:
        check_installed()
    if resume is None:
        check_weights(pretrained.path if pretrained else None, flow)
    check_hu(pretrained, dataset)
    contexts, worker = _join_workers(config)
    inputs = TrainingInputs(config, dataset, progress=progress and worker.leads)
    with contextlib.ExitStack() as locks:
        going_on = resume is not None and was_started(out)
        if worker.leads and going_on:
            locks.enter_context(run_lock(out))
            if resume == AUTO and not has_checkpoint(out):
                clear_dead(out)
        elif worker.leads:
            Run.check_new(out, dataset=dataset)
        point = None
        if resume is not None:
            point = find_resume_point(out, resume, config, dataset, changed_data=changed_data)
        trainer = _make_trainer(dataset, inputs, worker, contexts, point)
        records = _start_weights(trainer, pretrained, flow, progress=progress) if point is None else {}
        inputs.note(_frozen_from_nothing(config, records, point) + _seen_before(dataset, records))
        inputs.note(schedule_notes(config.train, steps=steps, per_epoch=inputs.steps_per_epoch))
        validation, scored = _validation(trainer, dataset, progress=progress)
        loop = TrainingLoop(trainer, inputs, validation=validation, steps=steps, progress=progress)
        if progress and worker.leads:
            say(loop.plan_text(done=point.state.step if point is not None else 0))
            say(inputs.epoch_text())
            say(scored)
        if not worker.leads:
            loop.run(out, point=point)
            return None
        board = None
        if tensorboard is not None:
            board = locks.enter_context(Board(tensorboard, after=point.state.step if point is not None else None))
        if point is not None:
            point.run.board = board
            run = _continued_run(loop, point, chosen)
        else:
            # it makes the folder, so whatever can break has to break before
            made = not going_on and locks.enter_context(run_lock(out))
            run = Run.create(out, config, dataset=dataset, made=made, chosen=chosen)
            run.board = board
            run = _new_run(loop, run, records)
    for note in inputs.notes:  # what was said before the first step is out of sight after hours
        print(f"note: {note}", file=sys.stderr)
    return run


def _join_workers(config: Config) -> Tuple[List[mx.Context], Worker]:
    """The devices of this process, and the process among those that train together."""
    contexts = parse_devices(config.parallel.devices)
    check_parallel(config)
    worker = Worker.join(config.parallel)
    heartbeat.tell(rank=worker.rank)
    check_parallel(config, workers=worker.count)
    return contexts, worker


def _make_trainer(
    dataset: Dataset,
    inputs: TrainingInputs,
    worker: Worker,
    contexts: Sequence[mx.Context],
    point: Optional[ResumePoint],
) -> DetectorTrainer:
    """The trainer, set to the checkpoint where training goes on from one."""
    config, step = inputs.config, point.state.step if point is not None else 0
    schedule = async_schedule(config.train, per_epoch=inputs.steps_per_epoch, worker=worker, step=step)
    data: Dict[str, Any] = {"classes": dataset.classes, "phases": dataset.input_phases(config)}
    trainer = DetectorTrainer(config, contexts=contexts, worker=worker, schedule=schedule, **data)
    if point is not None:
        _restore_weights(trainer, point)
    return trainer


def _validation(trainer: DetectorTrainer, dataset: Dataset, *, progress: bool) -> Tuple[Optional[Validation], str]:
    """Scores epochs in the worker that leads, where the configuration asks for it; and what there is to say of it."""
    train = trainer.config.train
    if not trainer.worker.leads:
        return None, ""
    if train.validate is False and not train.best_epoch:
        return None, "epochs are not scored: train.validate is false"
    try:
        scored_labels(trainer.config, dataset)
    except DatasetError as error:
        if train.best_epoch or train.validate:
            raise
        return None, f"epochs are not scored: {error}"
    options: Dict[str, Any] = {"context": trainer.contexts[0], "progress": progress}
    validation = Validation(trainer.config, dataset, trainer.detector, **options)
    return validation, validation.text()


def _restore_weights(trainer: DetectorTrainer, point: ResumePoint) -> None:
    """Set parameters and optimiser to what the checkpoint has, and say what it has not."""
    heartbeat.tell(checkpoint=point.checkpoint)
    load_checkpoint(point.checkpoint, trainer.detector)
    notes = [f"passed over: {reason}" for reason in point.passed_over]
    if not trainer.worker.updates_on_server:
        restore_optimizer(trainer.optimizer, trainer.detector.collect_learned(), point.state)
    if point.data_unknown:
        what = " or ".join(point.data_unknown)
        notes.append(f"the run is of an older version: whether {what} have changed since is not known")
    if trainer.worker.updates_on_server or (point.state.step and not point.state.update_counts):
        notes.append("the optimiser's state starts anew: with dist_async it stays on the servers")
    if trainer.config.parallel.compression is not None:
        notes.append("what 2-bit compression left of gradients is not in a checkpoint and starts at zero")
    if trainer.worker.leads:
        for note in notes:
            print(note, file=sys.stderr)


def _continued_run(loop: TrainingLoop, point: ResumePoint, chosen: Optional[Choice]) -> Run:
    restore_run_folder(point, chosen=chosen)
    sync(point.run.folder)  # what it has to say of the file system, it says before the work
    loop.run(point.run.folder, run=point.run, point=point)
    return point.run


def _new_run(loop: TrainingLoop, run: Run, records: Dict[str, Any]) -> Run:
    try:
        for name, record in records.items():
            write_json(run.folder / name, record)
        sync(run.folder)  # what it has to say of the file system, it says before the work
        loop.run(run.folder, run=run)
    except TrainingError:
        raise  # the log shows how it diverged
    except BaseException:
        if not has_checkpoint(run.folder):
            run.discard()
        raise
    return run


def _frozen_from_nothing(config: Config, records: Dict[str, Any], point: Optional[ResumePoint]) -> List[str]:
    """A note where statistics are kept that nobody gave: of a network that began without weights."""
    if WEIGHTS in records or (point is not None and ((point.run.folder / WEIGHTS).exists() or point.run.imported())):
        return []
    notes = []
    if config.network.batch_norm == "frozen":
        notes.append(
            "network.batch_norm is frozen and the network began without weights: its statistics stay 0 and 1, which "
            "normalises nothing; begin with --pretrained, or with recipe-scratch (docs/training.md)"
        )
    if config.network.frozen_stages:
        stages = f"network.frozen_stages is {config.network.frozen_stages} and the network began without weights"
        notes.append(
            f"{stages}: those stages stay as they were drawn at random; begin with --pretrained, or "
            "with network.frozen_stages=0"
        )
    return notes


def _seen_before(dataset: Dataset, records: Dict[str, Any]) -> List[str]:
    """A note for each split with patients on whom the weights were trained that the run begins with."""
    notes = []
    for split in ("val", "test"):
        try:
            for record in records.get(WEIGHTS, {}).get("trained_on", []):
                dataset.refuse_trained(record, split)
        except DatasetError:
            notes.append(f"the weights that training begins with were trained on some of the {split} split")
    return notes


def _start_weights(
    trainer: DetectorTrainer, pretrained: Optional[Pretrained], flow: Optional[Path], *, progress: bool
) -> Dict[str, Any]:
    """Set what the run does not start at random; returns what it records of that, by file."""
    config = trainer.config
    records = {}
    flow_record = set_flow(trainer.detector, config, flow)
    if flow_record is not None:
        records["flow.json"] = flow_record
    if pretrained is not None:
        report, records[WEIGHTS] = load_pretrained(trainer.detector, config, pretrained)
        if progress and trainer.worker.leads:
            say(report.text())
    return records
