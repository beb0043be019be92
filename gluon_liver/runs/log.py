"""The log of a run, log.jsonl: one JSON object a line, each with an ``event``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from gluon_liver.errors import RunError
from gluon_liver.files.json_records import read_text
from gluon_liver.files.typed import build


@dataclass(frozen=True)
class _Step:
    """What a record of a step must say."""

    step: int
    losses: Dict[str, Optional[float]]


def read_log(path: Path) -> List[Dict[str, Any]]:
    """The records of a run's log, without a last line that a kill cut off, and without the steps that were lost where
    the run was gone on with from an earlier checkpoint.

    Raises :class:`RunError` that names the line when one is no record.
    """
    records: List[Dict[str, Any]] = []
    text = read_text(path, error=RunError, remedy="training and the import of a checkpoint write it")
    # a kill leaves a last line without its end: everything before it was written whole
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise RunError(f"{path}: line {number} is not JSON ({error.msg}); remove that line") from error
        if not isinstance(record, dict) or "event" not in record:
            raise RunError(f'{path}: line {number} is not a log record: an object with "event" is needed')
        if record["event"] == "step":
            build(_Step, record, where=f"{path}: line {number}", error=RunError)
        if record["event"] == "resume":
            records = [earlier for earlier in records if _stands(earlier, record.get("step"))]
        records.append(record)
    return records


def _stands(record: Dict[str, Any], resumed: Any) -> bool:
    """Whether a record is still true of a run that went on from step ``resumed``."""
    step = record.get("step")
    return record["event"] != "end" and not (isinstance(step, int) and isinstance(resumed, int) and step > resumed)
