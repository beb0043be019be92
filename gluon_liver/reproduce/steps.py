"""Steps of a reproduction, one after the other: each is done once, and again where what it depends on has changed.

A step that was begun leaves a record in OUT/steps with what it depended on, a finished one with its figures too. What
is killed in between is gone on with, by the step itself: it is called again.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.errors import GluonLiverError, InputError, RunError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.json_records import read_record

FOLDER = "steps"  # of records, in the output folder
DONE, BEGUN, TO_DO, CHANGED = "done", "begun", "to do", "changed"
REDO = "--redo does it and what follows from it again, in place of what is there; or give another --out"
SHOWN = 4  # changed inputs that are named
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One piece of work of a reproduction.

    name: words with slashes between, which no other step has. title: what the plan calls it.
    reads: what it takes, in words, for the plan. outputs: files and folders that it leaves, all there when it is done.
    inputs: asks, when the steps before are done, for all that the result depends on: names and plain JSON values.
    run: does it, or goes on with it where it was cut off; returns figures to keep, None where a signal stopped it.
    costly: it takes hours, so that nothing of it is thrown away unasked.
    """

    name: str
    title: str
    reads: str
    outputs: Tuple[Path, ...]
    inputs: Callable[[], Inputs]
    run: Callable[[], Optional[Dict[str, Any]]]
    costly: bool = False


@dataclass(frozen=True)
class Record:
    """What OUT/steps says of a step. seconds: of the finished call alone. figures: of the finished step."""

    step: str
    inputs: Dict[str, Any]
    done: bool = False
    seconds: float = 0.0
    figures: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """Where a step stands. changed: names of inputs that differ from those it was begun with."""

    kind: str
    record: Optional[Record] = None
    changed: Tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {_named(self.changed)}" if self.changed else self.kind


def states(steps: Sequence[Step], out: Path) -> List[State]:
    """Where each step stands. After one that is not done the others are to do: what they read is not there yet."""
    found: List[State] = []
    for step in steps:
        open_before = any(state.kind != DONE for state in found)
        found.append(State(TO_DO, read_record_of(step.name, out)) if open_before else state_of(step, out))
    return found


def state_of(step: Step, out: Path) -> State:
    """Where one step stands, whose predecessors are done. Raises :class:`RunError` for a damaged record."""
    record = read_record_of(step.name, out)
    if record is None:
        return State(TO_DO)
    inputs = _plain(step.inputs())
    changed = [name for name in sorted({*inputs, *record.inputs}) if inputs.get(name) != record.inputs.get(name)]
    if changed:
        return State(CHANGED, record, tuple(changed))
    there = all(path.exists() for path in step.outputs)
    return State(DONE if record.done and there else BEGUN, record)


def read_record_of(name: str, out: Path) -> Optional[Record]:
    """What OUT/steps says of a step, None where it says nothing. Raises :class:`RunError` for a damaged file."""
    path = record_path(name, out)
    if not path.exists():
        return None
    remedy = "delete it, and the step is looked at anew"
    return read_record(Record, path, error=RunError, remedy=remedy)


def record_path(name: str, out: Path) -> Path:
    """The file of the record of a step of that name."""
    return out / FOLDER / (re.sub(r"[^\w.-]", "-", name) + ".json")


def run_steps(steps: Sequence[Step], out: Path, *, redo: bool, say: Callable[[str], None]) -> bool:
    """Do what is not done, in order; whether it came to the end, and was not stopped by a signal.

    redo: whether costly steps whose inputs have changed are done again, in place of what they left.

    Raises :class:`InputError` for such a step without ``redo``, before any work on it, and what a step raises, with
    its name in front; what is finished stays finished.
    """
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, start=1):
        state, head = state_of(step, out), f"[{number}/{len(steps)}] {step.title}"
        if state.kind == DONE:
            say(f"{head}: done before")
            continue
        if state.kind == CHANGED and step.costly:
            if not redo:
                raise InputError(f"step {step.name}: {_difference(step, state)}. {REDO}")
            for path in step.outputs:
                _remove(path, out)
        say(head + (f": {_difference(step, state)}; again" if state.kind == CHANGED else ""))
        if not _do(step, out):
            return False
    return True


def _do(step: Step, out: Path) -> bool:
    path, inputs = record_path(step.name, out), _plain(step.inputs())
    write_json(path, asdict(Record(step.name, inputs)))
    began = time.monotonic()
    try:
        figures = step.run()
    except GluonLiverError as error:
        raise type(error)(f"step {step.name}: {error}") from error
    if figures is None:
        return False
    lacking = [one for one in step.outputs if not one.exists()]
    if lacking:
        raise RunError(f"step {step.name} ended without {lacking[0]}")
    seconds = round(time.monotonic() - began, 1)
    write_json(path, asdict(Record(step.name, inputs, True, seconds, figures)))
    return True


def _difference(step: Step, state: State) -> str:
    """Which inputs have changed, the first with both values."""
    assert state.record is not None
    name, inputs = state.changed[0], _plain(step.inputs())
    before, now = (_shown(one.get(name)) for one in (state.record.inputs, inputs))
    more = f" (and {_named(state.changed[1:])})" if len(state.changed) > 1 else ""
    return f"{name} was {before} and is {now}{more} since it was {'done' if state.record.done else 'begun'}"


def _named(changed: Sequence[str]) -> str:
    more = [f"{len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
    return ", ".join([*changed[:SHOWN], *more])


def _shown(value: Any, width: int = 60) -> str:
    text = str(value)
    return text if len(text) <= width else text[:width] + "..."


def _remove(path: Path, out: Path) -> None:
    """Take away what a step left; only what lies in the output folder."""
    if Path(os.path.realpath(out)) not in Path(os.path.realpath(path)).parents:
        raise RunError(f"{path} lies outside of {out}: nothing there is deleted")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _plain(inputs: Inputs) -> Dict[str, Any]:
    """As a JSON file gives them back: tuples are lists there."""
    return {name: _listed(value) for name, value in inputs.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _listed(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_listed(one) for one in value]
    return str(value) if isinstance(value, Path) else value
