"""results.json of an evaluated run, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json

from . import ct_tables, us_tables

FORMAT = 1
REMEDY = "reports are built from the files of a finished, evaluated run"
# what each kind holds beside format, kind and data.phantom and data.note
KEYS = {
    "ct": dict(row=(str, type(None)), split=str, data=dict, classes=list, summary=dict, curves=dict, overlays=list),
    "us": dict(
        model=str, split=str, checkpoint=str, data=dict, detections=dict, classes=list, summary=dict, overlays=list
    ),
}


def read_results(path: Path, *, kinds: Sequence[str] = ("ct",)) -> Dict[str, Any]:
    """What evaluation wrote, of one of ``kinds``: "ct", "us".

    Raises :class:`RunError` when the file is missing, damaged, of another version or of another kind.
    """
    results = read_json(path, error=RunError, remedy=REMEDY)
    if not isinstance(results, dict):
        raise RunError(f"{path}: expected keys, found {results!r}; evaluate the run again")
    kind = results.get("kind")
    if results.get("format") != FORMAT or kind not in kinds:
        other = kind in KEYS and kind not in kinds and results.get("format") == FORMAT
        raise RunError(
            f"{path}: format {results.get('format')!r}, kind {kind!r}; needed is format {FORMAT} of kind "
            f"{' or '.join(map(repr, kinds))}. "
            + ("This is a run of the other paper" if other else "Evaluate the run again with this version")
        )
    for key, expected in KEYS[kind].items():
        if not isinstance(results.get(key), expected) or (key == "row" and key not in results):
            raise RunError(f"{path}: {key} is missing or of the wrong type; evaluate the run again")
    data = results["data"]
    if not isinstance(data.get("phantom"), bool) or not isinstance(data.get("note"), str):
        raise RunError(f"{path}: data must say phantom (true or false) and note (text)")
    try:
        if kind == "ct":
            ct_tables.comparison_table(results["summary"], row=results["row"])
        else:
            _check_us(results)
    except InputError as error:
        raise RunError(f"{path}: {error}") from error
    if list(results["summary"]["boxes"]) != results["classes"]:
        raise RunError(f"{path}: the summary's classes are not {results['classes']}")
    return results


def _check_us(results: Dict[str, Any]) -> None:
    data = results["data"]
    if not isinstance(data.get("fingerprint"), str) or data.get("split_by") not in list(us_tables.SPLIT_NOTES):
        raise InputError(
            f"data must say fingerprint (text) and split_by ({', '.join(us_tables.SPLIT_NOTES)}); evaluate again"
        )
    us_tables.kept_text(results["detections"])
    us_tables.table1(results["summary"], model=results["model"])
