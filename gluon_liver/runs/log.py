"""The log of a run, log.jsonl: one JSON object a line, each with an ``event``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from gluon_liver.errors import RunError


def read_log(path: Path) -> List[Dict[str, Any]]:
    """The records of a run's log, without a last line that a kill cut off, and without the steps that were lost where
    the run was gone on with from an earlier checkpoint.

    Raises :class:`RunError` that names the line when one is no record.
    """
    records = []
    text = read_text(path)
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
        if record["event"] == "step" and not _is_step(record):
            raise RunError(f'{path}: line {number} is a step without "step" and "losses"')
        if record["event"] == "resume":
            records = [earlier for earlier in records if _stands(earlier, record.get("step"))]
        records.append(record)
    return records


def _stands(record: Dict[str, Any], resumed: Any) -> bool:
    """Whether a record is still true of a run that went on from step ``resumed``."""
    step = record.get("step")
    return record["event"] != "end" and not (isinstance(step, int) and isinstance(resumed, int) and step > resumed)


def _is_step(record: Dict[str, Any]) -> bool:
    losses = record.get("losses")
    return (
        isinstance(record.get("step"), int)
        and isinstance(losses, dict)
        and all(value is None or isinstance(value, (int, float)) for value in losses.values())
    )


def read_text(path: Path) -> str:
    """A text file of a run. Raises :class:`RunError` when it is missing or no text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunError(f"{path}: missing; the report is built from the files of a finished, evaluated run") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read as text ({error.__class__.__name__})") from error
