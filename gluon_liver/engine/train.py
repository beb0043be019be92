"""Training: a run from its first step, or from a checkpoint, to its end."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Iterator, Optional

from ..cluster import watchdog
from ..config import Config
from ..errors import InputError, TrainingError
from .best import BestEpoch
from .checkpoint import load_checkpoint
from .device import parse_devices
from .inputs import AnyDataset, TrainingInputs
from .parallel import Worker, async_schedule, check_parallel
from .resume import AUTO, find_resume_point, take_up
from .run import Run, has_checkpoint, input_phases, write_json
from .run_lock import RunLock
from .trainer import DetectorTrainer
from .training_loop import TrainingLoop
from .training_state import restore_optimizer
from .transfer import Pretrained, load_pretrained, set_flow


def train(
    config: Config,
    dataset: AnyDataset,
    out: Path,
    *,
    steps: Optional[int] = None,
    pretrained: Optional[Pretrained] = None,
    flow: Optional[Path] = None,
    resume: Optional[str] = None,
    progress: bool = True,
) -> Optional[Run]:
    """Train on the dataset's training patients and leave a run folder; in a worker that does not lead return None.

    Parameters
    ----------
    steps: stop after this many steps instead of after the configured epochs.
    pretrained: weights to start backbone and Block4 from; what was done with them goes to pretrained.json.
    flow: parameters of LiteFlowNet for the model us-flow, as convert-flow or train-flow leave them.
    resume: "auto" to go on from the newest intact checkpoint of ``out``, or to start where there is none; or a
        checkpoint of ``out``. Pretrained weights and flow are then not read again.

    Raises :class:`DatasetError` when nothing can be trained on, :class:`ConfigError` for devices and kvstores that do
    not go together or changes that a run does not survive, :class:`RunError` when ``out`` is taken or no checkpoint is
    intact, and :class:`TrainingError` with the step when a loss is not finite.
    """
    # whatever the configuration or the data can break breaks here, before there is a run folder
    for given in (pretrained.path if pretrained else None, flow):
        if given is not None and resume is None and not given.is_file():
            raise InputError("{}: no such file of weights".format(given))
    contexts = parse_devices(config.parallel.devices)
    check_parallel(config, contexts)
    worker = Worker.join(config.parallel)
    watchdog.tell(rank=worker.rank)
    check_parallel(config, contexts, workers=worker.count)
    inputs = TrainingInputs(config, dataset, progress=progress and worker.leads)
    phases = input_phases(config, dataset.phases) if config.is_ct else 1
    with _locked(out, resume, worker):
        point = find_resume_point(out, resume, config, dataset) if resume is not None else None
        trainer = DetectorTrainer(
            config, classes=dataset.classes, phases=phases, contexts=contexts, worker=worker,
            schedule=async_schedule(config.train, per_epoch=inputs.steps_per_epoch, worker=worker),
        )
        records = {}
        if point is None:
            records = _start_weights(trainer, config, pretrained, flow, progress=progress and worker.leads)
        else:
            watchdog.tell(checkpoint=point.checkpoint)
            load_checkpoint(point.checkpoint, trainer.detector)
            if not worker.updates_on_server:
                restore_optimizer(trainer.optimizer, trainer.detector.collect_learned(), point.state)
        best = None
        if config.train.best_epoch and worker.leads:
            best = BestEpoch(config, dataset, trainer.detector, context=contexts[0])
        loop = TrainingLoop(trainer, inputs, best=best, steps=steps, progress=progress)
        if not worker.leads:
            loop.run(out, point=point)
            return None
        if point is None:
            return _new_run(loop, Run.create(out, config, dataset=dataset), records)
        for reason in point.passed_over:
            print("passed over: {}".format(reason), file=sys.stderr)
        take_up(point)
        loop.run(out, run=point.run, point=point)
        return point.run


def _new_run(loop: TrainingLoop, run: Run, records: dict) -> Run:
    try:
        with RunLock(run.folder):
            for name, record in records.items():
                write_json(run.folder / name, record)
            loop.run(run.folder, run=run)
    except TrainingError:
        raise  # the log shows how it diverged
    except BaseException:
        if not has_checkpoint(run.folder):
            run.discard()
        raise
    return run


def _start_weights(
    trainer: DetectorTrainer, config: Config, pretrained: Optional[Pretrained], flow: Optional[Path], *, progress: bool
) -> dict:
    """Set what the run does not start at random; returns what it records of that, by file."""
    records = {}
    flow_record = set_flow(trainer.detector, config, flow)
    if flow_record is not None:
        records["flow.json"] = flow_record
    if pretrained is not None:
        report, records["pretrained.json"] = load_pretrained(trainer.detector, config, pretrained)
        if progress:
            print(report.text(), file=sys.stderr)
    return records


@contextlib.contextmanager
def _locked(out: Path, resume: Optional[str], worker: Worker) -> Iterator[None]:
    """Holds an existing run while it is gone on with; a run that was killed before its first checkpoint goes away."""
    if resume is None or not worker.leads or not (out / "config.yaml").exists():
        yield
        return
    with RunLock(out):
        dead = resume == AUTO and not has_checkpoint(out)
        if dead:
            Run.open(out).discard()
        else:
            yield
    if dead:
        yield
