"""results.json of an evaluated run, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple

from gluon_liver.config.schema import MODELS
from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json

FORMAT = 1
REMEDY = "reports are built from the files of a finished, evaluated run"
SHARED = dict(split=str, data=dict, classes=list, summary=dict, overlays=list)


class Kind(NamedTuple):
    """What results.json of a task must hold.

    name: the task. keys: with their types, beside :data:`SHARED`, format, kind, and phantom and note in data. check:
    raises :class:`InputError` for entries that do not fit together.
    """

    name: str
    keys: Mapping[str, Any]
    check: Callable[[Dict[str, Any]], object]


def read_results(run: Path, kind: Kind) -> Dict[str, Any]:
    """What evaluation wrote to RUN/results.json.

    Raises :class:`RunError` when there is no run folder, and when the file is missing, damaged, of another version or
    of the other kind.
    """
    check_run_folder(run)
    path = run / "results.json"
    results = read_json(path, error=RunError, remedy=REMEDY)
    if not isinstance(results, dict):
        raise RunError(f"{path}: holds a {type(results).__name__}; an object is needed")
    written, version = results.get("kind"), results.get("format")
    if version != FORMAT or written != kind.name:
        other = written in MODELS.values() and written != kind.name and version == FORMAT
        raise RunError(
            f"{path}: format {version!r}, kind {written!r}; needed is format {FORMAT} of kind {kind.name!r}. "
            + ("This is a run of the other paper" if other else "Evaluate the run again with this version")
        )
    for key, expected in {**SHARED, **kind.keys}.items():
        if key not in results or not isinstance(results[key], expected):
            raise RunError(f"{path}: {key} is missing or of the wrong type; evaluate the run again")
    data = results["data"]
    if not isinstance(data.get("phantom"), bool) or not isinstance(data.get("note"), str):
        raise RunError(f"{path}: data must say phantom (true or false) and note (text)")
    try:
        kind.check(results)
    except InputError as error:
        raise RunError(f"{path}: {error}") from error
    if list(results["summary"]["boxes"]) != results["classes"]:
        raise RunError(f"{path}: the summary's classes are not {results['classes']}")
    return results


def check_run_folder(run: Path) -> None:
    """Raise :class:`RunError` where there is no folder."""
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; a run is what training writes to its output folder")
