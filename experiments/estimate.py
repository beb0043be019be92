"""How long runs take, by those that were made."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Dict, Iterable, List, Sequence, Tuple

from .plan import PlannedRun
from .records import RunRecord

USUAL_SECONDS = 90.0  # of a run of which nothing is known


class Estimate:
    """Seconds that a run takes: the mean of those of its arm and condition, of its arm, or what the pilot took."""

    def __init__(self, done: Iterable[RunRecord]):
        self._seconds: Dict[Tuple[str, ...], List[float]] = defaultdict(list)
        for record in done:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Learn from a finished run."""
        seconds = sum(record.seconds.get(stage, 0.0) for stage in ("train", "evaluate"))
        for place in ((record.claim, record.condition, record.arm), (record.claim, record.arm)):
            self._seconds[place].append(seconds)

    def of(self, run: PlannedRun) -> float:
        """Seconds of one run."""
        key = run.key
        for place in ((key.claim, key.condition, key.arm), (key.claim, key.arm)):
            if place in self._seconds:
                return statistics.mean(self._seconds[place])
        return run.pilot_seconds or USUAL_SECONDS

    def hours(self, runs: Sequence[PlannedRun], jobs: int = 1) -> float:
        """Hours of all of them, ``jobs`` beside each other."""
        return sum(map(self.of, runs)) / 3600 / jobs
