"""A comparison of runs as a page beside its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json, write_text
from gluon_liver.report.comparison.comparison_tables import (
    arm_texts,
    data_notes,
    difference_tables,
    holds_text,
    lesion_table,
    notes_of,
    single_table,
)
from gluon_liver.report.figures import plots
from gluon_liver.report.tables.table import PHANTOM_WARNING

from .page import data_uri, render

PAGE, RECORD = "comparison.html", "comparison.json"


def write_comparison(document: Dict[str, Any], out: Path) -> Path:
    """Write comparison.json and comparison.html to a folder, which is made if need be; returns the page's path.

    Raises :class:`InputError` where the folder holds something else.
    """
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    single = single_table(document)
    values = dict(
        title=f"{_arm_name(document, 'a')} and {_arm_name(document, 'b')} compared",
        arms=arm_texts(document),
        facts=[(document["patients"], "patients"), (document["images"], "images")]
        + [(row["n"], "lesions" if document["kind"] == "ct" else "boxes") for row in document["lesions"]["groups"][:1]],
        phantom=document["phantom"],
        phantom_warning=PHANTOM_WARNING,
        holds=holds_text(document),
        data_notes=data_notes(document),
        picture=data_uri(plots.plot_differences(_picture_rows(document))),
        tables=difference_tables(document),
        lesions_title="Lesion by lesion" if document["kind"] == "ct" else "Box by box",
        lesions=lesion_table(document),
        single=single if single.rows else None,
        notes=notes_of(document),
    )
    page = render("comparison.html.j2", values)
    write_json(out / RECORD, document)
    write_text(out / PAGE, page)
    return out / PAGE


def check_out(out: Path) -> None:
    """Raise :class:`InputError` unless a comparison may be written there: a new folder, or one that holds one."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} exists and is no folder")
    foreign = sorted(path.name for path in out.iterdir() if path.name not in (PAGE, RECORD)) if out.is_dir() else []
    if foreign:
        raise InputError(f"--out {out} holds {foreign[0]!r}, which no comparison wrote; choose another folder")


def _arm_name(document: Dict[str, Any], letter: str) -> str:
    runs = document[letter]
    return str(runs[0]["name"]) if len(runs) == 1 else f"{letter.upper()} ({len(runs)} runs)"


def _picture_rows(document: Dict[str, Any]) -> List[Tuple[str, float, float, float, bool]]:
    rows = []
    for entry in document["figures"]:
        if entry["low"] is not None and entry["unit"] == "share":
            significant = entry["p_holm"] is not None and entry["p_holm"] <= 0.05
            values = (100 * entry[key] for key in ("difference", "low", "high"))
            rows.append((entry["name"], *values, significant))
    return rows
