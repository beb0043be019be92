"""What reports are made of: tables, prose and notes, as text here, and in the template of a page as HTML."""

from __future__ import annotations

import textwrap
from typing import Iterable, NamedTuple, Sequence, Tuple, Union

PHANTOM_WARNING = "phantom result: says nothing about patients"


class Printed(NamedTuple):
    """A number as a paper prints it and as a float."""

    text: str
    value: float


def printed(text: str) -> Printed:
    """A printed number; its minus sign may be that of the print."""
    return Printed(text, float(text.replace("\u2212", "-")))


class Cell(NamedTuple):
    """A value with its interval and counts, as text; empty parts are not shown."""

    value: str
    interval: str = ""
    counts: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


class Table(NamedTuple):
    """A table of texts: the first cell of each row names it."""

    title: str
    header: Tuple[str, ...]
    rows: Tuple[Tuple[Cell, ...], ...]

    @classmethod
    def of(cls, title: str, header: Sequence[str], rows: Iterable[Iterable[Union[str, Cell]]]) -> Table:
        """A table in which a text stands for a cell of nothing else."""
        cells = (tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)
        return cls(title, tuple(header), tuple(cells))

    def text(self) -> str:
        lines = [self.header, *(tuple(map(str, row)) for row in self.rows)]
        first, *others = (max(map(len, column)) for column in zip(*lines))
        text = ["  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]).rstrip() for line in lines]
        return "\n".join([self.title, "", text[0], "-" * (first + sum(others) + 2 * len(others)), *text[1:]])


class Notes(NamedTuple):
    """Sentences below a table; in text each stands behind ``bullet``."""

    notes: Sequence[str]
    bullet: str = "- "

    def text(self) -> str:
        return "\n".join(_wrap(note, self.bullet) for note in self.notes)


Block = Union[str, Table, Notes]  # a text: prose, whose lines are wrapped


def as_text(*blocks: Block) -> str:
    """Blocks with an empty line between two."""
    return "\n\n".join(_wrap(block) if isinstance(block, str) else block.text() for block in blocks) + "\n"


def data_statement(data_note: str, phantom: bool) -> str:
    """What the data are and, for phantoms, what that is worth."""
    return f"Data: {data_note}" + (f"\n{PHANTOM_WARNING}" if phantom else "")


def _wrap(text: str, bullet: str = "") -> str:
    wrapper = textwrap.TextWrapper(
        110, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False
    )
    return "\n".join(map(wrapper.fill, text.splitlines()))
