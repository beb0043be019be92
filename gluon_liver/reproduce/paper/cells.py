"""A number as printed and ours beside it: what may be said of the two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

AGREES, DIFFERS, CANNOT_TELL = "agrees", "differs", "cannot tell"
OTHERS = "other patients than the paper's, whose data are not public"
PHANTOMS = "phantoms: generated data say nothing about patients"
NO_WIDTH = "the interval has no width (all right, or all wrong): a limit of the bootstrap, no certainty"
RULES = (
    "agrees: the printed value lies in our interval, or, of what is counted or built, is ours exactly. It does not say "
    f"that the paper's result was found again: an interval is wide where data are few, and ours are of {OTHERS}.",
    "differs: it lies outside of the interval, or is not ours. That shows no fault of the paper: the patients are "
    "others.",
    "cannot tell: with the reason. Of what is counted or measured on phantoms, or with other "
    "networks than the paper's, nothing else is ever said. Tables 2 and 3 list layers and are of no data.",
)


class Value(NamedTuple):
    """Ours. number: in the printed unit, None where undefined. text: as the command prints it. interval: low and high.

    how: what the interval is over; reason: why there is none, or no number.
    """

    number: Optional[float]
    text: str
    interval: Optional[Tuple[float, float]] = None
    how: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PaperCell:
    """One cell of a paper's table beside ours.

    table: "Table 4"; cell: its row and column. command: what makes the value when typed. source: file below the output
    folder and key, where the value lies too. seed: of the training; None where nothing is trained, or of several.
    """

    table: str
    cell: str
    printed: str
    command: str
    value: Value
    verdict: str
    why: str
    source: str = ""
    seed: Optional[int] = None

    def to_json(self) -> Dict[str, Any]:
        """Plain values, in the order in which one reads them."""
        own = self.value
        return {
            "table": self.table,
            "cell": self.cell,
            "seed": self.seed,
            "command": self.command,
            "value": own.number,
            "text": own.text,
            "interval": list(own.interval) if own.interval else None,
            "interval_of": own.how or own.reason,
            "printed": self.printed,
            "verdict": self.verdict,
            "why": self.why,
            "source": self.source,
        }


class Figure(NamedTuple):
    """A figure of the paper, or a table that is not compared cell by cell. files: below the output folder, none where
    nothing was made; command: what makes them."""

    name: str
    title: str
    files: Tuple[str, ...] = ()
    command: str = ""
    note: str = ""


def judge(printed: float, value: Value, doubt: str) -> Tuple[str, str]:
    """What may be said of a printed number, and why. doubt: why nothing can be, "" where something may."""
    reason = doubt or value.reason
    if not reason and value.number is None:
        reason = "undefined here: nothing to count over"
    if not reason and value.interval is None:
        reason = "there is no interval"
    if not reason and value.interval is not None and value.interval[0] == value.interval[1]:
        reason = NO_WIDTH
    if reason or value.interval is None:
        return CANNOT_TELL, reason
    low, high = value.interval
    if low <= printed <= high:
        return AGREES, f"the printed value lies in our interval; {OTHERS}"
    return DIFFERS, f"the printed value lies {'below' if printed < low else 'above'} our interval; {OTHERS}"


def judge_exactly(printed: str, ours: str, doubt: str, why: str = OTHERS) -> Tuple[str, str]:
    """Of what is counted or built. why: what is said where they differ."""
    if doubt:
        return CANNOT_TELL, doubt
    return (AGREES, "the same") if printed == ours else (DIFFERS, why)


def over_seeds(cells: Sequence[PaperCell]) -> List[PaperCell]:
    """The mean of each cell over its seeds, where there are several, with the interval of Student's t over them."""
    from scipy import stats

    found = []
    for name in dict.fromkeys((one.table, one.cell) for one in cells if one.seed is not None):
        same = [one for one in cells if (one.table, one.cell) == name]
        numbers = [one.value.number for one in same if one.value.number is not None]
        if len(same) < 2 or len(numbers) < len(same):
            continue
        n, mean = len(numbers), sum(numbers) / len(numbers)
        error = math.sqrt(sum((one - mean) ** 2 for one in numbers) / (n - 1) / n)
        reach = float(stats.t.ppf(0.975, n - 1)) * error
        how = f"95 % of Student's t over {n} seeds: trainings alone, not patients"
        value = Value(mean, f"{mean:.4g}", (mean - reach, mean + reach), how)
        why = f"mean of {n} trainings; how it varies over patients stands at each seed"
        commands = "; ".join(dict.fromkeys(one.command for one in same))
        found.append(PaperCell(*name, same[0].printed, commands, value, CANNOT_TELL, why))
    return found


def count_verdicts(cells: Sequence[PaperCell]) -> Mapping[str, int]:
    """How many cells each verdict has."""
    return {verdict: sum(one.verdict == verdict for one in cells) for verdict in (AGREES, DIFFERS, CANNOT_TELL)}
