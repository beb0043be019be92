"""The documents: their pages, the commands in them, and the marks that say what a test does with these.

A block of commands is fenced as ``sh``. Its commands are parsed as the program would, unless a comment before it says
otherwise:

- ``<!-- run -->``: they are run, in the order of the page, at a tiny size (test_run.py).
- ``<!-- not run: REASON -->``: they are neither, for the reason.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[2]
# written by programs that have tests of their own
GENERATED = {"benchmarks.md", "evidence.md", "growth.md"}
INCLUDES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}  # pages of the site -> files
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name not in INCLUDES),
]
HAND_WRITTEN = [path for path in PAGES if path.name not in GENERATED and "reference" not in path.parts]


class Block(NamedTuple):
    """A fenced block: its language, the comment before it, its text and the number of its first line, from 1."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def reason(self) -> Optional[str]:
        """Why the commands are neither run nor parsed."""
        found = re.fullmatch(r"not run: (.+)", self.mark)
        return found[1] if found else None

    def commands(self) -> Iterator[List[str]]:
        """The words of each command, without comments and what follows ``|`` or ``>``."""
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    mark, start = "", None
    for number, line in enumerate(lines, 1):
        fence = re.fullmatch(r"\s*```\s*(\S*)\s*", line)
        comment = re.fullmatch(r"<!-- (.*) -->", line)
        if fence and start is None:
            start, language, own_mark = number, fence[1], mark
        elif fence:
            yield Block(page, start, language, own_mark, "\n".join(lines[start : number - 1]))
            start = None
        if start is None:
            mark = comment[1] if comment else "" if line.strip() else mark


def prose_of(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```\s*?$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
