"""The table of deliberate faults, faults.yaml, and how one of them is put into a copy of the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("faults.yaml")


@dataclass(frozen=True)
class Fault:
    """One wrong line of code.

    what: in words, what is wrong then. file, old, new: the text of a file that is replaced, which occurs in it once.
    tests: what must notice it, as arguments of pytest.
    """

    what: str
    file: str
    old: str
    new: str
    tests: Tuple[str, ...]

    def apply(self, text: str) -> str:
        """The file's text with the fault. Raises ValueError where ``old`` does not occur in it exactly once."""
        count = text.count(self.old)
        if count != 1 or self.old == self.new:
            here = f"occurs {count} times, not once" if count != 1 else "is what it is replaced with"
            raise ValueError(f"{self.what!r}: {self.old!r} {here} in {self.file}; mend its entry in {TABLE.name}")
        return text.replace(self.old, self.new)


def load_faults(table: Path = TABLE) -> List[Fault]:
    """All faults, in the order of the table."""
    entries = yaml.safe_load(table.read_text(encoding="utf-8"))
    return [Fault(**dict(entry, tests=tuple(entry["tests"]))) for entry in entries]
