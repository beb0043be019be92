"""The run folder: config.yaml, environment.json, log.jsonl, checkpoints/, later results.json and report.html."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.config.load import Choice, save_config
from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import input_phases
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import TASKS, check_task
from gluon_liver.errors import DatasetError, InputError, RunError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.json_records import read_json, read_record
from gluon_liver.files.lock import LOCK_FILES
from gluon_liver.files.typed import build
from gluon_liver.structures.modality import CT
from gluon_liver.system.command_line import shareable
from gluon_liver.system.environment import describe_environment

from .config_file import read_config
from .log import IMPORTED, read_log
from .tensorboard import FOLDER, Board
from .zoo import resolve_run

CHECKPOINT = re.compile(r"step-\d{8}")
DIGESTS, TRAINING = "digests", "training_"  # in environment.json: digests of the data, and of the training patients'
UNTOLD = {"modality": CT}  # what runs of CT do not say

# by training
WRITTEN = ("config.yaml", "environment.json", "log.jsonl", "pretrained.json", "flow.json", "best.json", *LOCK_FILES)


@dataclass(frozen=True)
class _Environment:
    """What environment.json must say, beside what the task's run_record asks for."""

    data: str
    digests: Dict[str, Optional[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pretrained:
    """What is read of pretrained.json."""

    trained_on: List[Dict[str, Any]] = field(default_factory=list)


class Run:
    """A run folder on disk."""

    def __init__(self, folder: Path, config: Config, environment: Dict[str, Any], *, made: bool = False):
        self.folder = folder
        self._made = made
        self.config = config
        self.environment = environment
        self._started = time.monotonic()
        self.board: Optional[Board] = None  # is given what the log is given

    @staticmethod
    def check_new(folder: Path, *, dataset: Dataset) -> None:
        """Raise :class:`RunError` when something is in the folder already or it would lie inside the data."""
        if folder.exists() and (not folder.is_dir() or any(path.name not in LOCK_FILES for path in folder.iterdir())):
            dead = folder.is_dir() and (folder / "config.yaml").exists() and not has_checkpoint(folder)
            why = "a run that stopped before its first checkpoint; delete it or " if dead else ""
            raise RunError(f"{folder} exists and is not an empty folder: {why}give --out another name")
        data, real = (Path(os.path.realpath(path)) for path in (dataset.folder, folder))
        if real == data or data in real.parents:
            raise RunError(f"--out {folder} lies inside the data folder: choose a folder outside of it")

    @classmethod
    def create(
        cls,
        folder: Union[str, Path],
        config: Config,
        *,
        dataset: Dataset,
        made: Optional[bool] = None,
        chosen: Optional[Choice] = None,
    ) -> Run:
        """Make a new run folder; ``made`` says whether it was made for this run already. Raises as ``check_new``.

        chosen: how the configuration was asked for, for environment.json.
        """
        folder = Path(folder)
        cls.check_new(folder, dataset=dataset)
        made = not folder.exists() if made is None else made
        folder.mkdir(parents=True, exist_ok=True)
        data = os.path.relpath(dataset.folder.resolve(), folder.resolve())
        environment = {**describe_environment(config.train.seed), "data": data, **dataset.training_record()}
        environment.update(choice_record(chosen))
        environment[DIGESTS] = data_digests(dataset)
        run = cls(folder, config, environment, made=made)
        try:
            write_json(folder / "environment.json", environment)
            save_config(config, folder / "config.yaml")
        except OSError:
            run.discard()
            raise
        return run

    @classmethod
    def open(cls, folder: Union[str, Path]) -> Run:
        """Open a run that ``train.py`` wrote, or a net of the zoo, ``zoo:NAME``.

        Raises :class:`RunError` naming what is missing, and :class:`InputError` for a name that the zoo does not have.
        """
        folder = resolve_run(folder)
        if not folder.is_dir():
            raise RunError(f"no run folder {folder}: train.py --out makes one")
        config = read_config(folder)
        path = folder / "environment.json"
        if not path.is_file():
            raise RunError(f"{folder} is not a run folder: it has no {path.name}")
        environment = read_json(path, error=RunError)
        for record in (_Environment, TASKS[config.task].dataset.run_record):
            build(record, environment, where=str(path), error=RunError)
        return cls(folder, config, environment)

    def with_config(self, config: Config) -> Run:
        """The same run with another configuration, which is written when the run is gone on with."""
        return Run(self.folder, config, self.environment)

    def discard(self) -> None:
        """Take back what training wrote, and the folder if it made it and nothing else lies in it."""
        clear(self.folder)
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()

    @property
    def data_folder(self) -> Path:
        """The prepared data that the run was trained on."""
        return Path(os.path.normpath(self.folder.resolve() / self.environment["data"]))

    @property
    def input_phases(self) -> int:
        """How many phases of an image the network takes."""
        return input_phases(self.config, self.environment.get("phases", ()))

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    def progress(self) -> Tuple[int, int, bool]:
        """Steps of the newest checkpoint, steps that were planned, and whether training came to its end."""
        done, planned, ended = 0, 0, False
        for record in self._events():
            planned = record.get("steps", planned)
            done = record.get("step", done) if record["event"] == "checkpoint" else done
            ended = ended or record["event"] == "end"
        return done, planned, ended

    @property
    def unfinished(self) -> str:
        """``12 of 800 steps`` where training did not come to its end, "" where it did."""
        done, planned, ended = self.progress()
        return "" if ended else f"{done} of {planned} steps"

    def _events(self) -> List[Dict[str, Any]]:
        """The records of the log but for those of steps, which are nearly all of it."""
        return read_log(self.folder / "log.jsonl", steps=0)

    def training_notes(self) -> List[str]:
        """What the network could not learn of its training images, as training said."""
        starts = [record for record in self._events() if record["event"] == "start"]
        return list(dict.fromkeys(note for record in starts for note in record.get("notes", [])))

    def trained_before(self) -> List[Dict[str, Any]]:
        """What the weights were trained on that the run began with, where they are of another run.

        Each is as the keys of :meth:`Dataset.training_record` that begin with ``training_``. Raises :class:`RunError`
        for a damaged pretrained.json.
        """
        path, trained_on = self.folder / "pretrained.json", TASKS[self.config.task].dataset.trained_on
        if not path.exists():
            return []
        records = read_record(_Pretrained, path, error=RunError).trained_on
        for place, record in enumerate(records):
            build(trained_on, record, where=f"{path}: trained_on[{place}]", error=RunError)
        return records

    def training_record(self) -> Dict[str, Any]:
        """What the run itself was trained on, as :meth:`trained_before` tells it of the weights before."""
        keys = ("split_by", *(key for key in self.environment if key.startswith(TRAINING)))
        return {key: self.environment[key] for key in keys if key in self.environment}

    def imported(self) -> bool:
        """Whether the run began with another program's weights."""
        return any(record["event"] == IMPORTED for record in self._events())

    def check_dataset(self, dataset: Dataset) -> None:
        """Raise :class:`DatasetError` unless the data are of the run's task and match what it was trained on."""
        check_task(self.config, dataset)
        self.check_match(dataset.must_match(self.config), phases=getattr(dataset, "phases", ()))

    def check_match(self, record: Mapping[str, Any], *, phases: Sequence[str] = ()) -> None:
        """Raise :class:`DatasetError` unless the run was trained with ``record``, of :meth:`Dataset.must_match`.

        phases: those that the data have, for what is to be done.
        """
        has = f"; the data have the phases {', '.join(phases)}" if phases else ""
        remedies = {
            "classes": "; label files are imported with --classes FILE that lists the run's classes in their order",
            "reference_phase": f"{has}: import the DICOM files again with --reference {{trained}}, or where "
            "no series has that phase by its words, with --phases FILE that says which one it is",
        }
        # classes last: other names help nothing where the images are of another kind
        for name, value in sorted(record.items(), key=lambda one: one[0] == "classes"):
            trained = self.environment.get(name, UNTOLD[name]) if name in UNTOLD else self.environment[name]
            if value != trained:
                found = f"the data have {name.replace('_', ' ')} {value}, the run was trained on {trained}"
                raise DatasetError(found + remedies.get(name, "").format(trained=trained))

    def check_frames(self) -> None:
        """Raise :class:`RunError` unless the run reads frames one after the other."""
        if not TASKS[self.config.task].dataset.in_frames:
            raise RunError(f"{self.folder} is a CT run: watch takes runs of us-faster-rcnn and us-flow")

    def log(self, event: str, **values: Any) -> None:
        """Append one JSON object to log.jsonl; ``time`` is seconds since the run was opened."""
        if self.board is not None:
            self.board.record(event, values)
        record = {"event": event, "time": round(time.monotonic() - self._started, 3), **values}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=False) + "\n")


def check_weights(pretrained: Optional[Path], flow: Optional[Path]) -> None:
    """Raise :class:`InputError` where weights that a run is to start from are not there.

    pretrained: a file, a run folder, or ``zoo:NAME``.
    """
    found = None if pretrained is None else resolve_run(pretrained)
    if found is not None and not found.exists():
        raise InputError(f"{pretrained}: no such file of weights, and no run")
    if found is not None and found.is_dir():
        Run.open(found)
    if flow is not None and not flow.is_file():
        raise InputError(f"{flow}: no such file of weights")


def choice_record(chosen: Optional[Choice]) -> Dict[str, Any]:
    """What environment.json says of how the configuration was asked for; nothing where it was not by name."""
    if chosen is None:
        return {}
    return {"configuration": {"names": shareable(chosen.names), "set": list(chosen.overrides)}}


def data_digests(dataset: Dataset) -> Dict[str, Optional[str]]:
    """What environment.json says of labels and volumes, of all the data and of the training patients."""
    trained = {TRAINING + name: value for name, value in dataset.digests("train").items()}
    return {**dataset.digests(), **trained}


def clear(folder: Path, *, spare: Collection[str] = ()) -> None:
    """Remove what training wrote into a folder, but for the files named in ``spare``."""
    for name in ("checkpoints", FOLDER):
        shutil.rmtree(str(folder / name), ignore_errors=True)
    for name in set(WRITTEN) - set(spare):
        for path in (folder / name, folder / (name + ".partial")):
            path.unlink(missing_ok=True)


def was_started(folder: Path) -> bool:
    """Whether training wrote into a folder, however little."""
    return any((folder / name).exists() for name in (*WRITTEN, "checkpoints") if name not in LOCK_FILES)


def check_dead(folder: Path) -> None:
    """Raise :class:`RunError` where a run died before its first checkpoint and other files lie there too: the batch
    that ended it, say.
    """
    ours = {name + end for name in WRITTEN for end in ("", ".partial")} | {"checkpoints", FOLDER}
    other = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    if other:
        raise RunError(
            f"{folder} holds {other[0]} and a run that ended before its first checkpoint: nothing can be gone on with; "
            "look at it, then delete it or give --out another name"
        )


def clear_dead(folder: Path) -> None:
    """Make room for a new run where one died before its first checkpoint; the caller holds its lock.

    Raises as :func:`check_dead`.
    """
    check_dead(folder)
    clear(folder, spare=LOCK_FILES)


def has_checkpoint(folder: Path) -> bool:
    """Whether a run folder holds a complete checkpoint."""
    return any(CHECKPOINT.fullmatch(path.name) for path in (folder / "checkpoints").glob("*"))
