"""results.json of an evaluated run, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json

from . import ct_tables, us_tables

FORMAT = 1
REMEDY = "reports are built from the files of a finished, evaluated run"
# what each kind holds beside format, kind and data.phantom and data.note
KEYS: Dict[str, Dict[str, Any]] = {
    "ct": dict(row=(str, type(None)), split=str, data=dict, classes=list, summary=dict, curves=dict, overlays=list),
    "us": dict(
        model=str, split=str, checkpoint=str, data=dict, detections=dict, classes=list, summary=dict, overlays=list
    ),
}


def read_results(run: Path, kind: str) -> Dict[str, Any]:
    """What evaluation wrote to RUN/results.json; kind: "ct" or "us".

    Raises :class:`RunError` when there is no run folder, and when the file is missing, damaged, of another version or
    of the other kind.
    """
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; a run is what training writes to its output folder")
    path = run / "results.json"
    results = read_json(path, error=RunError, remedy=REMEDY)
    if not isinstance(results, dict):
        raise RunError(f"{path}: expected keys, found {results!r}; evaluate the run again")
    written, version = results.get("kind"), results.get("format")
    if version != FORMAT or written != kind:
        other = written in KEYS and written != kind and version == FORMAT
        raise RunError(
            f"{path}: format {version!r}, kind {written!r}; needed is format {FORMAT} of kind {kind!r}. "
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
    us_tables.counted_text(results["detections"])
    us_tables.table1(results["summary"], model=results["model"])
