"""A mapping file: a CSV table that says which image of a label file is which slice or frame."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from typing import Any, Dict, Sequence, Set, Tuple

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_text

from .file_names import path_parts, stem
from .values import DICOM_NAMES, plain_key, whole_number

WHOLE = ("slice", "frame")
ImageMap = Dict[str, Dict[str, Any]]


def load_image_map(path: str, columns: Sequence[str]) -> ImageMap:
    """Name of an image -> the other ``columns`` that its row fills. Raises AnnotationError that names the row."""
    text = read_text(path, error=AnnotationError, remedy="where it is a table, save it as CSV in UTF-8")
    first, _, rest = text.partition("\n")
    said = re.fullmatch(r"sep=(.)\s*", first)  # a line for Excel alone
    delimiter = said.group(1) if said else max(",;\t", key=first.count)
    start = 2 if said else 1
    try:
        rows = list(csv.reader(io.StringIO(rest if said else text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise AnnotationError(f"{path} cannot be read as a table: {error}") from error
    plain = {**DICOM_NAMES, **{plain_key(column): column for column in ("file_name", *columns)}}
    header = [plain.get(plain_key(column), column) for column in rows[0]] if rows else []
    known = [column for column in columns if column in header]
    if "file_name" not in header or not known:
        raise AnnotationError(
            f"{path}: its first line must name the columns: file_name and one or more of {', '.join(columns)}"
        )
    twice = [column for column in ("file_name", *known) if header.count(column) > 1]
    if twice:
        raise AnnotationError(f"{path}: {header.count(twice[0])} columns of its first line mean {twice[0]}; leave one")
    result: ImageMap = {}
    for number, row in enumerate(rows[1:], start + 1):
        cells = {column: cell.strip(" \0") for column, cell in zip(header, row)}
        values: Dict[str, Any] = {column: cells[column] for column in known if cells.get(column)}
        if not any(cells.values()):
            continue
        where = f"{path}: line {number}"
        if any(cell.strip() for cell in row[len(header) :]):
            raise AnnotationError(f"{where} has more cells than the first: put what holds {delimiter!r} in quotes")
        if not cells.get("file_name") or not values:
            raise AnnotationError(f"{where}: file_name or what it is mapped to is empty")
        for column in values.keys() & set(WHOLE):
            whole = whole_number(values[column])
            if whole is None:
                raise AnnotationError(f"{where}: {column} must be a whole number")
            values[column] = whole
        if result.setdefault(name_key(cells["file_name"]), values) != values:
            raise AnnotationError(f"{where}: the file_name is there twice, with different values")
    return result


def name_key(name: str) -> str:
    """A name of an image in one form of its letters and slashes."""
    return unicodedata.normalize("NFC", name.strip(" \0").replace("\\", "/"))


def apply_image_map(entries: Sequence[Dict[str, Any]], mapped: ImageMap) -> Tuple[int, int]:
    """Fill in what ``mapped`` says of the entries; returns how many of its rows name one, and how many name none.

    A row whose name is not there to the letter means the one whose case and ending alone are others.
    """
    names = [name_key(one["file_name"]) if isinstance(one.get("file_name"), str) else "" for one in entries]
    alike: Dict[str, Set[str]] = defaultdict(set)  # of the rows and of the entries
    for name in {*names, *mapped}:
        alike[_plain(name)].add(name)
    seen: Set[str] = set()
    for entry, name in zip(entries, names):
        others = alike[_plain(name)] - {name}
        key = name if name in mapped or len(others) != 1 else others.pop()
        if key in mapped:
            seen.add(key)
            entry.update(mapped[key])
            entry["file_name"] = entry.pop("path") if "path" in mapped[key] else entry["file_name"]
    return len(seen), len(mapped.keys() - seen)


def name_by_path(entries: Sequence[Dict[str, Any]]) -> None:
    """Give images of one ``file_name`` the ``path`` that tells them apart, as COCO Annotator writes both."""
    count = Counter(str(entry.get("file_name")) for entry in entries)
    for entry in entries:
        name, path = entry.get("file_name"), entry.get("path")
        if isinstance(name, str) and isinstance(path, str) and count[name] > 1:
            parts = path_parts(name)
            entry["file_name"] = path if path_parts(path)[-len(parts) :] == parts else name


def _plain(name: str) -> str:
    *folders, last = path_parts(name)
    return "/".join([*folders, stem(last)])
