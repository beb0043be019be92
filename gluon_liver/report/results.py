"""results.json of an evaluated run, read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from gluon_liver.errors import InputError, RunError
from gluon_liver.report import tables
from gluon_liver.report.log import read_text


def parse_object(text: str, path: Path) -> Dict[str, Any]:
    """The JSON object of a file's text. Raises :class:`RunError` that names the place."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise RunError(
            f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    if not isinstance(found, dict):
        raise RunError(f"{path}: holds a {type(found).__name__}; an object is needed")
    return found


def read_results(path: Path) -> Dict[str, Any]:
    """What evaluation wrote. Raises :class:`RunError` when the file is missing, damaged or of another version."""
    results = parse_object(read_text(path), path)
    if results.get("format") != 1 or results.get("kind") != "ct":
        raise RunError(
            f"{path}: format {results.get('format')!r}, kind {results.get('kind')!r}; this report shows "
            "format 1 of kind 'ct'. Evaluate the run again with this version"
        )
    kinds = dict(
        row=(str, type(None)), split=str, data=dict, classes=list, summary=dict, curves=dict, overlays=list
    )
    for key, kind in kinds.items():
        if not isinstance(results.get(key), kind) or (key == "row" and key not in results):
            raise RunError(f"{path}: {key} is missing or of the wrong type; evaluate the run again")
    if not isinstance(results["data"].get("phantom"), bool) or not isinstance(
        results["data"].get("note"), str
    ):
        raise RunError(f"{path}: data must say phantom (true or false) and note (text)")
    try:
        tables.comparison_table(results["summary"], row=results["row"])
    except InputError as error:
        raise RunError(f"{path}: {error}") from error
    if list(results["summary"]["boxes"]) != results["classes"]:
        raise RunError(f"{path}: the summary's classes are not {results['classes']}")
    return results
