"""Going on with a run: the training state of its checkpoint, and a run folder that says what it said then."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from gluon_liver.config.load import Choice, save_config
from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.files.atomic import write_json
from gluon_liver.runs.checkpoint import load_state
from gluon_liver.runs.checkpoint_folder import BEST
from gluon_liver.runs.run import DIGESTS, choice_record
from gluon_liver.runs.training_state import TrainingState
from gluon_liver.system.environment import describe_environment

from .resume_choice import Continuation, find_continuation


@dataclass(frozen=True)
class ResumePoint(Continuation):
    """What to go on with, and the state that training had there."""

    state: TrainingState


def find_resume_point(
    out: Path, choice: str, config: Config, dataset: Dataset, *, changed_data: bool = False
) -> Optional[ResumePoint]:
    """:func:`.resume_choice.find_continuation` and its training state; :class:`RunError` also where that is damaged."""
    found = find_continuation(out, choice, config, dataset, changed_data=changed_data)
    return None if found is None else ResumePoint(**vars(found), state=load_state(found.checkpoint))


def restore_run_folder(point: ResumePoint, *, chosen: Optional[Choice] = None) -> None:
    """Make the run folder say what it said at the checkpoint, and log where and with what it goes on.

    chosen: how the configuration was asked for this time.
    """
    run, state = point.run, point.state
    save_config(run.config, run.folder / "config.yaml")
    known = {name: value for name, value in point.data.items() if value is not None}
    environment = {**run.environment, DIGESTS: {**run.environment.get(DIGESTS, {}), **known}}
    if not (run.data_folder / "dataset.json").is_file():  # run or data were moved
        environment["data"] = os.path.relpath(point.data_folder.resolve(), run.folder.resolve())
    if environment != run.environment:
        run.environment.update(environment)
        write_json(run.folder / "environment.json", run.environment)
    log = run.folder / "log.jsonl"
    if log.exists():
        # a kill or a full disk may have left a record without its end: the next one would be written behind it
        os.truncate(str(log), log.read_bytes().rfind(b"\n") + 1)
    best = run.folder / BEST
    if state.best is not None and (run.checkpoints / state.best["checkpoint"]).is_dir():
        write_json(best, state.best)
    elif best.exists():
        best.unlink()
    run.log(
        "resume",
        step=state.step,
        epoch=state.epoch,
        checkpoint=point.checkpoint.name,
        passed_over=point.passed_over,
        changed={key: list(values) for key, values in point.changed.items()},
        data_changed=point.data_changed,
        environment={**describe_environment(run.config.train.seed), **choice_record(chosen)},
    )
