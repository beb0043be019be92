"""What is made, each by commands of the project in processes of their own: data sets, flow nets, runs."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple, Union

from .plan import FLOW_SEED, DataSet, FlowTraining, PlannedRun, arguments

ROOT = Path(__file__).resolve().parents[1]
SALT = "phantom"
SPLITS = {"train": ["1", "0", "0"], "test": ["0", "0", "1"]}
ONE_JOB = ["--jobs", "1"]  # of a phantom writer: what runs beside each other is for the runner alone to say
COUNTED = {"ct": "--studies", "us": "--scenes"}
# the figures of the table are read, not its intervals and curves, which take most of the time of an evaluation
EVALUATED = {"ct": ["--bootstrap", "1", "--froc-rates", "1"], "us": []}


@dataclass(frozen=True)
class Command:
    """stage: what it is called in messages and records."""

    stage: str
    words: List[str]


@dataclass(frozen=True)
class Program:
    """How the project's commands begin; tests have their own."""

    train: Tuple[str, ...] = (sys.executable, str(ROOT / "train.py"))
    evaluate: Tuple[str, ...] = (sys.executable, str(ROOT / "evaluate.py"))
    others: Tuple[str, ...] = (sys.executable, "-m", "gluon_liver")


@dataclass(frozen=True)
class Made:
    """A folder of the work folder that appears when it is done: a data set or a flow net."""

    need: Union[DataSet, FlowTraining]
    work: Path
    program: Program = Program()

    @property
    def name(self) -> str:
        return self.need.name

    @property
    def folder(self) -> Path:
        return self.work / "data" / self.name

    @property
    def raw(self) -> Path:
        """Of the phantoms as they are written, which are removed once they are read."""
        return self.work / "data" / f"{self.name}.raw"

    @property
    def done(self) -> bool:
        last = "dataset.json" if isinstance(self.need, DataSet) else "flow.params"
        return (self.folder / last).exists()

    def begin(self) -> None:
        """Clear what an interrupted try has left."""
        for folder in (self.raw, self.folder):
            shutil.rmtree(str(folder), ignore_errors=True)
        self.raw.parent.mkdir(parents=True, exist_ok=True)

    def commands(self) -> List[Command]:
        need, one = self.need, self.program.others
        options = arguments(json.loads(need.phantom))
        if isinstance(need, FlowTraining):
            scenes = ["--scenes", str(need.scenes), "--frames", str(need.frames), "--seed", str(FLOW_SEED)]
            learn = ["--phantoms", str(self.raw), "--steps", str(need.steps), "--out", str(self.folder)]
            return [
                Command("phantoms", [*one, "phantom", "us", "--out", str(self.raw), *scenes, *ONE_JOB, *options]),
                Command("flow net", [*one, "train-flow", *learn]),
            ]
        count = [COUNTED[need.task], str(need.count), "--seed", str(need.seed)]
        labels = ["--labels", str(self.raw / "labels.json"), "--salt", SALT, "--split-fractions", *SPLITS[need.split]]
        prepare = arguments(json.loads(need.prepare))
        return [
            Command("phantoms", [*one, "phantom", need.task, "--out", str(self.raw), *count, *ONE_JOB, *options]),
            Command(
                "import",
                [*one, "import", need.task, str(self.raw / "dicom"), "--out", str(self.folder), *labels, *prepare],
            ),
        ]

    def end(self) -> None:
        shutil.rmtree(str(self.raw), ignore_errors=True)


@dataclass(frozen=True)
class Training:
    """A run: trained on from where it was interrupted, then evaluated."""

    run: PlannedRun
    work: Path
    program: Program = Program()

    @property
    def name(self) -> str:
        return str(self.run.key)

    @property
    def folder(self) -> Path:
        key = self.run.key
        return self.work / "runs" / key.claim / key.condition / key.arm / f"seed-{key.seed}-{self.run.setting}"

    @property
    def test_data(self) -> Path:
        return Made(self.run.test, self.work).folder

    def begin(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)

    def commands(self) -> List[Command]:
        run = self.run
        sets = [word for override in run.overrides for word in ("--set", override)]
        flow = ["--flow", str(Made(run.flow, self.work).folder / "flow.params")] if run.flow else []
        train = ["--config", run.config, "--data", str(Made(run.train, self.work).folder), "--out", str(self.folder)]
        return [
            Command(
                "train",
                [*self.program.train, *train, "--resume", "auto", "--seed", str(run.key.seed), *sets, *flow],
            ),
            Command(
                "evaluate",
                [
                    *self.program.evaluate,
                    *("--run", str(self.folder), "--data", str(self.test_data)),
                    *EVALUATED[run.test.task],
                    *run.evaluate,
                ],
            ),
        ]

    @property
    def times(self) -> Path:
        """Seconds by stage of the tries so far, beside the run's folder."""
        return self.folder.with_name(self.folder.name + ".seconds.json")

    def end(self) -> None:
        """Remove the run: checkpoints, pictures and the rest; its record is kept elsewhere."""
        shutil.rmtree(str(self.folder), ignore_errors=True)
        self.times.unlink(missing_ok=True)


Task = Union[Made, Training]
