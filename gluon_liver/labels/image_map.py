"""A mapping file: a CSV table that says which image of a label file is which slice or frame."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from typing import Any, Dict, Sequence, Tuple

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_text

WHOLE = ("slice", "frame")
ImageMap = Dict[str, Dict[str, Any]]


def load_image_map(path: str, columns: Sequence[str]) -> ImageMap:
    """Name of an image -> the other ``columns`` that its row fills. Raises AnnotationError that names the row."""
    text = read_text(path, error=AnnotationError)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    plain = {column.replace("_", ""): column for column in ("file_name", *columns)}
    header = [re.sub(r"[\W_]", "", column).casefold() for column in rows[0]] if rows else []
    header = [plain.get(column, column) for column in header]
    known = [column for column in columns if column in header]
    if "file_name" not in header or not known:
        raise AnnotationError(
            f"{path}: its first line must name the columns: file_name and one or more of {', '.join(columns)}"
        )
    result: ImageMap = {}
    for number, row in enumerate(rows[1:], 2):
        cells = {column: cell.strip(" \0") for column, cell in zip(header, row)}
        values: Dict[str, Any] = {column: cells[column] for column in known if cells.get(column)}
        if not any(cells.values()):
            continue
        where = f"{path}: line {number}"
        if not cells.get("file_name") or not values:
            raise AnnotationError(f"{where}: file_name or what it is mapped to is empty")
        for column in values.keys() & set(WHOLE):
            try:
                values[column] = int(values[column])
            except ValueError as error:
                raise AnnotationError(f"{where}: {column} must be a whole number") from error
        if result.setdefault(name_key(cells["file_name"]), values) != values:
            raise AnnotationError(f"{where}: the file_name is there twice, with different values")
    return result


def name_key(name: str) -> str:
    """A name of an image in one form of its letters and slashes."""
    return unicodedata.normalize("NFC", name.strip(" \0").replace("\\", "/"))


def apply_image_map(entries: Sequence[Dict[str, Any]], mapped: ImageMap) -> Tuple[int, int]:
    """Fill in what ``mapped`` says of the entries; returns how many of its rows name one, and how many name none."""
    seen = set()
    for entry in entries:
        key = name_key(entry["file_name"]) if isinstance(entry.get("file_name"), str) else ""
        if key in mapped:
            seen.add(key)
            entry.update(mapped[key])
            entry["file_name"] = entry.pop("path") if "path" in mapped[key] else entry["file_name"]
    return len(seen), len(mapped.keys() - seen)
