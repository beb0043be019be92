"""The loop that keeps the slots busy: which task is next, what becomes of it, and how all of it is stopped."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Dict, List, Mapping, Optional, Sequence, Set

from gluon_liver.errors import GluonLiverError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.json_records import read_json
from gluon_liver.system.environment import describe_environment

from .counts import run_record
from .estimate import Estimate
from .plan import PlannedRun, needed
from .processes import GRACE_SECONDS, STOPPED, Ended, Slot
from .records import ABSOLUTE, Failure, Records, RunRecord
from .spec import Claim
from .tasks import Made, Program, Task, Training

MOST_ATTEMPTS = 2  # of a run that fails
MOST_IN_A_ROW = 3  # failures of different tasks: then it is the machine or the code, and not a run
PAUSE_SECONDS = 0.05
PROGRAM = Program()


class Runner:
    """Makes runs with their data.

    left: in their order. expected: seconds of a run, for what is printed. program: what the commands are.
    """

    def __init__(
        self,
        left: Sequence[PlannedRun],
        records: Records,
        work: Path,
        *,
        jobs: int,
        claims: Mapping[str, Claim],
        expected: Estimate,
        program: Program = PROGRAM,
    ):
        self._left, self._records, self._work, self._jobs = list(left), records, work, jobs
        self._claims, self._expected, self._program = claims, expected, program
        self._slots: List[Slot] = []
        self._stop: Optional[int] = None
        self._failed_needs: Dict[str, str] = {}
        self._in_a_row: Set[str] = set()  # names of tasks that failed since one was done
        self._failed: Set[str] = set()  # runs that failed, and were not made by a second try
        self._count = 0
        self._total = len(self._left)

    def run(self) -> int:
        """Make all runs; returns 0, 1 where one failed, or 75 where a signal stopped it."""
        before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while (self._left or self._slots) and self._stop is None and len(self._in_a_row) < MOST_IN_A_ROW:
                self._fill()
                if not self._slots:
                    break
                self._poll()
                time.sleep(PAUSE_SECONDS)
        finally:
            self._stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._stop is not None:
            print(f"stopped by signal {self._stop}: {len(self._left)} runs are left; the same command goes on")
            return STOPPED
        if len(self._in_a_row) >= MOST_IN_A_ROW:
            print(f"{MOST_IN_A_ROW} tasks failed one after the other: stopped; the logs are in {self._work / 'logs'}")
        return 1 if self._failed else 0

    def _take(self, number: int, _: Optional[FrameType]) -> None:
        self._stop = number

    def _fill(self) -> None:
        while len(self._slots) < self._jobs:
            task = self._next()
            if task is None:
                return
            if isinstance(task, Made):
                print(f"making {task.name}", flush=True)
            log = self._work / "logs" / f"{task.name.replace('/', '-')}.log"
            self._slots.append(Slot(task, log))

    def _next(self) -> Optional[Task]:
        """The first run whose data are there, or what the first other one needs and nobody makes yet."""
        busy = {slot.task.name for slot in self._slots}
        for run in list(self._left):
            if str(run.key) in busy:
                continue
            lost = [need.name for need in run.needs if need.name in self._failed_needs]
            if lost:
                self._give_up(run, "data", 1, self._failed_needs[lost[0]])
                continue
            missing = [one for one in self._made(run) if not one.done]
            if not missing:
                return Training(run, self._work, self._program)
            for one in missing:
                if one.name not in busy:
                    return one
        return None

    def _made(self, run: PlannedRun) -> List[Made]:
        return [Made(need, self._work, self._program) for need in run.needs]

    def _poll(self) -> None:
        for slot in list(self._slots):
            ended = slot.poll()
            if ended is None:
                continue
            if isinstance(slot.task, Training):
                _add_seconds(slot.task, ended)
            if ended.code == 0 and slot.start_next():
                continue
            self._slots.remove(slot)
            if ended.code == 0:
                self._finish(slot.task)
            elif ended.code != STOPPED:  # stopped by somebody: it goes on at its next turn
                self._fail(slot, ended)

    def _finish(self, task: Task) -> None:
        if isinstance(task, Made):
            task.end()
            return
        run = task.run
        try:
            record = run_record(run, task.folder, task.test_data, _seconds(task))
            for endpoint in self._claims[run.key.claim].endpoints:
                record.value(endpoint.path)
        except GluonLiverError as error:
            self._give_up(run, "record", 2, str(error))
            return
        self._records.write(record)
        task.end()
        self._drop(run)
        self._in_a_row.clear()
        self._failed.discard(str(run.key))
        self._count += 1
        self._expected.add(record)
        self._say(run, record)

    def _say(self, run: PlannedRun, record: RunRecord) -> None:
        path = self._claims[run.key.claim].endpoint.path
        value = record.value(path)
        shown = "undefined" if value is None else f"{value:.3f}"
        took = record.seconds["train"] + record.seconds["evaluate"]
        hours = self._expected.hours(self._left, self._jobs)
        print(
            f"[{self._count} of {self._total}] {run.key}: {path} {shown}, {took:.0f} s; {hours:.1f} h left", flush=True
        )

    def _fail(self, slot: Slot, ended: Ended) -> None:
        said = slot.last_words()
        if isinstance(slot.task, Training):
            self._give_up(slot.task.run, ended.command.stage, ended.code, said)
            return
        self._in_a_row.add(slot.task.name)
        self._failed_needs[slot.task.name] = f"{slot.task.name} ({ended.command.stage}): {said}"

    def _give_up(self, run: PlannedRun, stage: str, code: int, said: str) -> None:
        """Write the failure down; the run is tried once more if this was the first time."""
        revision = describe_environment(0)["revision"]
        failure = Failure(
            **vars(run.key), setting=run.setting, stage=stage, code=code, said=scrubbed(said), revision=revision
        )
        failure = self._records.fail(failure)
        self._failed.add(str(run.key))
        self._in_a_row.add(str(run.key))
        print(f"FAILED {run.key} ({stage}, code {code}): {failure.said}", file=sys.stderr, flush=True)
        self._left.remove(run)
        if stage == "train":  # what it left may be what breaks it
            shutil.rmtree(str(Training(run, self._work).folder), ignore_errors=True)
        if failure.attempts < MOST_ATTEMPTS and stage != "data":
            self._left.append(run)  # at the end: what broke it may have passed by then

    def _drop(self, run: PlannedRun) -> None:
        """Take a run off the list, and remove data that no other one needs."""
        self._left.remove(run)
        kept = set(needed(self._left))
        for one in self._made(run):
            if one.name not in kept and not one.name.startswith("flow"):
                shutil.rmtree(str(one.folder), ignore_errors=True)

    def _stop_all(self) -> None:
        """End what runs: a training writes a checkpoint first."""
        for slot in self._slots:
            slot.stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while self._slots:
            for slot in list(self._slots):
                ended = slot.poll()
                if not slot.running:
                    self._slots.remove(slot)
                if ended is not None and isinstance(slot.task, Training):
                    with suppress(OSError):  # of a full disk, which is why it stops
                        _add_seconds(slot.task, ended)
            if time.monotonic() > deadline:
                for slot in self._slots:
                    slot.stop(signal.SIGKILL)
            time.sleep(PAUSE_SECONDS)


def scrubbed(text: str) -> str:
    """Without paths of the machine: their last part stays."""
    return ABSOLUTE.sub(lambda path: path.group().rstrip("/").rpartition("/")[2], text)


def _seconds(task: Training) -> Dict[str, float]:
    return dict(read_json(task.times)) if task.times.exists() else {}


def _add_seconds(task: Training, ended: Ended) -> None:
    seconds = _seconds(task)
    for name, value in ((ended.command.stage, ended.wall), ("cpu", ended.cpu)):
        seconds[name] = seconds.get(name, 0.0) + value
    write_json(task.times, seconds)
