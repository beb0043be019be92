"""What a session has measured: a file of JSON lines a pair, so that a run that was cut off goes on."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

from .pairs import BYTES, RATE, SECONDS, Goal
from .process import Record


class PairResults:
    """Records of one pair: a line for each round of each side, all of one revision of the code."""

    def __init__(self, folder: Path, name: str, *, revision: str = ""):
        self._path = folder / f"{name}.jsonl"
        lines = self._read()
        if revision and (not lines or lines[0]["revision"] != revision):
            folder.mkdir(parents=True, exist_ok=True)
            lines = [{"revision": revision}]
            self._path.write_text(json.dumps(lines[0]) + "\n", encoding="utf-8")
        self.revision: Optional[str] = lines[0]["revision"] if lines else None
        self.lines = lines[1:]

    def _read(self) -> List[Dict[str, Any]]:
        """The lines that are whole: the last one is not where a run was killed."""
        if not self._path.exists():
            return []
        text = self._path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def done(self) -> Set[Tuple[int, str]]:
        """Rounds and sides that need not be run again: those that gave figures."""
        return {(line["round"], line["side"]) for line in self.lines if "seconds" in line["record"]}

    def add(self, round_number: int, side: str, record: Record) -> None:
        """Keep a record on disk."""
        line = {"round": round_number, "side": side, "record": record}
        self.lines.append(line)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def records(self, side: str) -> List[Record]:
        """The records of a side, the last one of each round."""
        return list({line["round"]: line["record"] for line in self.lines if line["side"] == side}.values())

    def summary(self, side: str) -> Optional[Summary]:
        """What the rounds of a side say together; None where it was not run."""
        records = self.records(side)
        return Summary(records) if records else None

    def constant(self, name: str) -> Optional[float]:
        """A number that a side of the pair gave to compare with; None where none did."""
        given = [line["record"]["constants"] for line in self.lines if "constants" in line["record"]]
        return next((constants[name] for constants in given if name in constants), None)


class Summary:
    """Records of one side over all rounds."""

    def __init__(self, records: List[Record]):
        self.records = [record for record in records if "seconds" in record]
        self.trouble = next((record[key] for record in records for key in ("failed", "left_out") if key in record), "")
        self.seconds = [one for record in self.records for one in record["seconds"]]

    def figure(self, name: str) -> Optional[float]:
        """Median seconds a call, work a second, or the largest peak in bytes; None where no round gave one."""
        if not self.records:
            return None
        if name == BYTES:
            return max(record["peak_bytes"] for record in self.records)
        median = statistics.median(self.seconds)
        return {SECONDS: median, RATE: self.records[0]["work"] / median}[name]

    @property
    def others(self) -> float:
        """The largest share of the cores that other processes took during a round."""
        return max((record.get("others", 0.0) for record in self.records), default=0.0)


def ratio(goal: Goal, results: PairResults) -> Optional[float]:
    """The goal's side over its peer; None where one of them gave no figure."""
    side = results.summary(goal.side)
    value = side.figure(goal.figure) if side else None
    if value is None:
        return None
    if isinstance(goal.peer, str):
        peer = results.summary(goal.peer)
        against = peer.figure(goal.figure) if peer else results.constant(goal.peer)
    else:
        against = goal.peer
    return None if against is None else value / against


def met(goal: Goal, value: float) -> bool:
    return value >= goal.limit if goal.at_least else value <= goal.limit
