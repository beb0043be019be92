"""What reports are made of: tables, prose and notes, as text here, and in the template of a page as HTML."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import Iterable, NamedTuple, Sequence, Tuple, Union

_WIDEST = 130  # columns of a terminal that a table takes before it goes on below
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
        """Columns that find no room beside the others go on below, with the first column again."""
        first, *others = zip(self.header, *(tuple(map(str, row)) for row in self.rows))
        blocks, width = [[first]], _width_of(first)
        for column in others:
            width += 2 + _width_of(column)
            if width > _WIDEST and len(blocks[-1]) > 1:
                blocks.append([first])
                width = _width_of(first) + 2 + _width_of(column)
            blocks[-1].append(column)
        return "\n\n".join([_wrap(self.title), *map(_aligned, blocks)])


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


def unfinished_statement(steps: str) -> str:
    """What figures of a run are worth whose training did not come to its end. steps: how many it did, and of how many;
    "" for one that is finished, of which nothing is said."""
    if not steps:
        return ""
    more = "the command that trained it goes on with --resume auto"
    return f"UNFINISHED RUN: {steps} were trained, so these are no results of its configuration; {more}."


def marked(table: Table, steps: str) -> Table:
    """The table with what :func:`unfinished_statement` says in its title."""
    return table._replace(title=f"{table.title} (UNFINISHED RUN, {steps})") if steps else table


def data_statement(data_note: str, phantom: bool) -> str:
    """What the data are and, for phantoms, what that is worth."""
    return f"Data: {data_note}" + (f"\n{PHANTOM_WARNING}" if phantom else "")


def _aligned(columns: Sequence[Sequence[str]]) -> str:
    """The first column to the left, others to the right, and a line below the header."""
    widths = [_width_of(column) for column in columns]
    lines = []
    for row in zip(*columns):
        spaces = [" " * (width - columns_wide(cell)) for width, cell in zip(widths, row)]
        cells = [row[0] + spaces[0], *(space + cell for space, cell in zip(spaces[1:], row[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def columns_wide(text: str) -> int:
    """Columns of a terminal that a text takes: letters of East Asia take two, marks on other letters none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _width_of(column: Iterable[str]) -> int:
    return max(map(columns_wide, column))


def _wrap(text: str, bullet: str = "") -> str:
    wrapper = textwrap.TextWrapper(
        110, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False
    )
    return "\n".join(map(wrapper.fill, text.splitlines()))
