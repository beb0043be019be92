"""results.json of an evaluated run, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build, one_of, required

from . import ct_tables, us_tables

FORMAT = 1
REMEDY = "reports are built from the files of a finished, evaluated run"


@dataclass(frozen=True)
class _Header:
    format: Any = None
    kind: str = ""


@dataclass(frozen=True)
class _Data:
    phantom: bool
    note: str


@dataclass(frozen=True)
class _USData(_Data):
    fingerprint: str
    split_by: str = required(one_of(*us_tables.SPLIT_NOTES))


@dataclass(frozen=True)
class _Detections:
    score_threshold: float
    max_detections: int


@dataclass(frozen=True)
class _Overlay:
    file: str
    caption: str
    kind: str


@dataclass(frozen=True)
class _Results:
    split: str
    classes: List[str]
    summary: Dict[str, Any]
    overlays: List[_Overlay]


@dataclass(frozen=True)
class _CTResults(_Results):
    row: Optional[str]
    data: _Data
    curves: Dict[str, Any]


@dataclass(frozen=True)
class _USResults(_Results):
    model: str
    checkpoint: str
    data: _USData
    detections: _Detections


KINDS = {"ct": _CTResults, "us": _USResults}


def read_results(path: Path, *, kinds: Sequence[str] = ("ct",)) -> Dict[str, Any]:
    """What evaluation wrote, of one of ``kinds``: "ct", "us".

    Raises :class:`RunError` when the file is missing, damaged, of another version or of another kind.
    """
    results = read_json(path, error=RunError, remedy=REMEDY)
    header = build(_Header, results, where=str(path), error=RunError)
    if header.format != FORMAT or header.kind not in kinds:
        other = header.kind in KINDS and header.format == FORMAT
        raise RunError(
            f"{path}: format {header.format!r}, kind {header.kind!r}; needed is format {FORMAT} of kind "
            f"{' or '.join(map(repr, kinds))}. "
            + ("This is a run of the other paper" if other else "Evaluate the run again with this version")
        )
    try:
        build(KINDS[header.kind], results)
        if header.kind == "ct":
            ct_tables.comparison_table(results["summary"], row=results["row"])
        else:
            us_tables.table1(results["summary"], model=results["model"])
    except InputError as error:
        raise RunError(f"{path}: {error}; evaluate the run again") from error
    if list(results["summary"]["boxes"]) != results["classes"]:
        raise RunError(f"{path}: the summary's classes are not {results['classes']}")
    return results
