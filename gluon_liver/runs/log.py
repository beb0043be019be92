"""The log of a run, log.jsonl: one JSON object a line, each with an ``event``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from gluon_liver.errors import RunError
from gluon_liver.files.typed import build

REMEDY = "training and the import of a checkpoint write it"
IMPORTED = "imported"  # event: the weights were trained elsewhere
STEP = b'{"event": "step",'  # how a record of a step begins, as Run.log writes it


@dataclass(frozen=True)
class _Step:
    """What a record of a step must say."""

    step: int
    losses: Dict[str, Optional[float]]


def read_log(path: Path, *, steps: Optional[int] = None) -> List[Dict[str, Any]]:
    """The records of a run's log, without a last line that a kill cut off, and without the steps that were lost where
    the run was gone on with from an earlier checkpoint.

    steps: of more records of steps than so many, only every n-th is read, and the last; with 0 none. Most of a long log
    is these records, and reading the others alone takes a tenth of the time. Raises :class:`RunError` that names the
    line when one that is read is no record.
    """
    records: List[Dict[str, Any]] = []
    try:
        every = 1 if steps is None else -(-_count(path, STEP) // steps) if steps else 0
        with path.open("rb") as stream:
            seen, passed_over = 0, None
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):  # a kill leaves a last line without its end
                    break
                if every != 1 and line.startswith(STEP):
                    seen += 1
                    if every == 0 or seen % every:
                        passed_over = number, line
                        continue
                if not line.strip():
                    continue
                record = _parsed(line, f"{path}: line {number}")
                if record["event"] == "resume":
                    passed_over = None
                    _drop_lost(records, record.get("step"))
                elif record["event"] == "step":
                    passed_over = None
                records.append(record)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RunError(f"{path} cannot be read: {reason}; {REMEDY}") from error
    if every and passed_over:
        records.append(_parsed(passed_over[1], f"{path}: line {passed_over[0]}"))
    return records


def _count(path: Path, start: bytes) -> int:
    with path.open("rb") as stream:
        return sum(line.startswith(start) for line in stream)


def _parsed(line: bytes, where: str) -> Dict[str, Any]:
    text = line.decode("utf-8")
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise RunError(f"{where} is not JSON ({error.msg}); remove that line") from error
    if not isinstance(record, dict) or "event" not in record:
        raise RunError(f'{where} is not a log record: an object with "event" is needed')
    if record["event"] == "step":
        build(_Step, record, where=where, error=RunError)
    return record


def _drop_lost(records: List[Dict[str, Any]], resumed: Any) -> None:
    """Remove what is not true any more of a run that went on from step ``resumed``.

    It is at the end: steps rise from record to record once what was lost before has been removed.
    """
    stand: List[Dict[str, Any]] = []
    while records:
        record = records.pop()
        if _stands(record, resumed):
            stand.append(record)
            if isinstance(record.get("step"), int) and isinstance(resumed, int):
                break
    records.extend(reversed(stand))


def _stands(record: Dict[str, Any], resumed: Any) -> bool:
    """Whether a record is still true of a run that went on from step ``resumed``."""
    step = record.get("step")
    return record["event"] != "end" and not (isinstance(step, int) and isinstance(resumed, int) and step > resumed)
