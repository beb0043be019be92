"""What a check finds: how bad it is, where, what it is, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, List, Sequence

from gluon_liver.structures.enumerations import first_of

PROBLEM, WARNING, NOTE = "problem", "warning", "note"
SEVERITIES = (PROBLEM, WARNING, NOTE)
MOST_PLACES = 5


@dataclass(frozen=True)
class Finding:
    """severity: a problem makes results wrong, a warning may, a note is to be known. check: which kind of check.

    places: cases, images or names that it is about; all of them in JSON, the first in text. what: one sentence. advice:
    what to do.
    """

    severity: str
    check: str
    places: Sequence[str]
    what: str
    advice: str

    def lines(self) -> List[str]:
        """The finding for the screen."""
        where = f" [{first_of(self.places, MOST_PLACES)}]" if self.places else ""
        return [f"{self.severity}: {self.check}: {self.what}{where}"] + [f"    {self.advice}"] * bool(self.advice)

    def to_json(self) -> Dict[str, Any]:
        """The fields as they are."""
        return {**asdict(self), "places": list(self.places)}


def ordered(findings: Iterable[Finding]) -> List[Finding]:
    """Problems first, then warnings, then notes; each in the order in which they were found."""
    return sorted(findings, key=lambda one: SEVERITIES.index(one.severity))


def exit_code(findings: Iterable[Finding]) -> int:
    """1 where there is a problem or a warning, 0 for notes alone and for nothing."""
    return int(any(one.severity != NOTE for one in findings))
