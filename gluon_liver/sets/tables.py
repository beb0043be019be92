"""Tables of public sets: comma- and tab-separated text, read by the standard library alone."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Dict, List, Sequence

from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_text

MOST_CHARACTERS = 1 << 26  # of a table; those of the sets have some ten thousand


def read_table(path: Path, needed: Sequence[str]) -> List[Dict[str, str]]:
    """The rows of a table: column -> text, without blanks around it, "" where a row ends before it.

    What parts the columns is told by the first line: a tab where it has one, else a comma. Raises :class:`InputError`
    for what is no such table and for one without the columns ``needed``.
    """
    advice = "give the set's table as .csv or .tab; a spreadsheet is saved as CSV first"
    text = read_text(path, remedy=advice).lstrip("\ufeff")
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{path} has {len(text)} characters, more than a table of a set")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no table of text ({error}); {advice}") from error
    columns = [] if not rows else [name for name in rows[0] if name]
    missing = [name for name in needed if name not in [(column or "").strip() for column in columns]]
    if missing:
        there = ", ".join(columns[:8]) or "no row"
        raise InputError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: it has {there}")
    return [
        {name.strip(): (value or "").strip() for name, value in row.items() if isinstance(name, str)} for row in rows
    ]
