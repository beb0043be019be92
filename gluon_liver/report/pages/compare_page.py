"""A comparison of runs as a page beside its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json, write_text
from gluon_liver.report.comparison.comparison_tables import (
    TITLES,
    arm_texts,
    cause_table,
    configuration_table,
    data_notes,
    difference_table,
    lesion_table,
    notes_of,
    sameness,
    seed_table,
    single_table,
)
from gluon_liver.report.comparison.place import RECORD
from gluon_liver.report.comparison.verdict import answer_text
from gluon_liver.report.exports.files import FIGURES, TABLES, names_of, write_exports
from gluon_liver.report.figures import plots
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.figures.drawing import Colour
from gluon_liver.report.tables.table import PHANTOM_WARNING, Table

from .answer import singular
from .compare_exports import WHO_TITLES, compared_charts, compared_tables
from .compared_images import image_groups, totals_text
from .page import render

PAGE = "comparison.html"
_SCALES = (2, 5, 10, 20, 30, 40, 50, 60, 80, 100)  # percentage points at either end of a picture of differences


def write_comparison(
    document: Dict[str, Any],
    out: Path,
    *,
    pictures: Mapping[int, Tuple[bytes, bytes]] = {},
    colours: Sequence[Colour] = (),
    note: str = "",
    papers: Mapping[str, Table] = {},
) -> Path:
    """Write comparison.json, comparison.html, figures and tables to a folder, which is made if need be; returns the
    page's path.

    pictures: WebP of A's and of B's detections, by the ids of the images that the document says to show. colours: of
    the boxes of each class. note: why there are no pictures.
    papers: further tables, by the names of their files. Raises :class:`InputError` where the folder holds
    something else, and ``OSError`` where it cannot be written.
    """
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    single, causes = single_table(document), cause_table(document)
    configuration = configuration_table(document)
    families = [_family(document, family, title) for family, title in TITLES.items()]
    froc = _froc(document)
    charts, tables = compared_charts(document, froc), {**compared_tables(document), **papers}
    values = dict(
        title=f"{_arm_name(document, 'a')} and {_arm_name(document, 'b')} compared",
        arms=arm_texts(document),
        answer=answer_text(document),
        facts=_facts(document),
        phantom=document["phantom"],
        phantom_warning=PHANTOM_WARNING,
        data_notes=data_notes(document),
        totals=totals_text(document),
        groups=image_groups(document, pictures),
        key=list(zip(document["classes"], colours)),
        pictures_note=note,
        causes=causes,
        causes_note=document["errors"]["missing"],
        families=[one for one in families if one],
        froc=froc,
        seeds=seed_table(document) if document["paired_by_seed"] else None,
        lesions_title="Lesion by lesion" if document["kind"] == "ct" else "Box by box",
        lesions=lesion_table(document),
        who=_who(document),
        legend=WHO_TITLES.items(),
        single=single if single.rows else None,
        configuration=configuration if configuration.rows else None,
        sameness=sameness(document),
        notes=notes_of(document),
        command=_command(document),
        exports=names_of(charts, tables),
    )
    page = render("comparison.html.j2", values)
    write_json(out / RECORD, document)
    write_exports(out, charts, tables)
    write_text(out / PAGE, page)
    return out / PAGE


def check_out(out: Path) -> None:
    """Raise :class:`InputError` unless a comparison may be written there: a new folder, or one that holds one."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} exists and is no folder")
    # folders of these names are written anew, so they have to be a comparison's
    own = (PAGE, RECORD, *((FIGURES, TABLES) if (out / RECORD).is_file() else ()))
    foreign = sorted(path.name for path in out.iterdir() if path.name not in own) if out.is_dir() else []
    if foreign:
        raise InputError(f"--out {out} holds {foreign[0]!r}, which no comparison wrote; choose another folder")


def _facts(document: Dict[str, Any]) -> List[Tuple[int, str]]:
    """The counts as they stand in the tiles of the page."""
    facts = [(document["patients"], "patients"), (document["images"], "images")]
    what = "lesions" if document["kind"] == "ct" else "boxes"
    facts += [(row["n"], what) for row in document["lesions"]["groups"][:1]]
    return [(count, title if count != 1 else singular(title)) for count, title in facts]


def _arm_name(document: Dict[str, Any], letter: str) -> str:
    runs = document[letter]
    return str(runs[0]["name"]) if len(runs) == 1 else f"{letter.upper()} ({len(runs)} runs)"


def _command(document: Dict[str, Any]) -> str:
    """What makes the comparison again, where the runs lie side by side."""
    names = [[str(run["name"]) for run in document[letter]] for letter in ("a", "b")]
    joined = " --with ".join(map(" ".join, names)) if max(map(len, names)) > 1 else " ".join(sum(names, []))
    return f"python -m gluon_liver evaluate --compare {joined}"


def _family(document: Dict[str, Any], family: str, title: str) -> Optional[Dict[str, Any]]:
    """One family's differences as lines from low to high, in percent of the picture's width, and as a table."""
    entries = [one for one in document["figures"] if one["family"] == family]
    if not entries:
        return None
    shares = [one for one in entries if one["unit"] == "share" and one["low"] is not None]
    far = max((100 * max(-one["low"], one["high"]) for one in shares), default=0.0)
    end = next((scale for scale in _SCALES if scale >= far), _SCALES[-1])
    lines = [_line(one, end) for one in shares]
    return {"title": title, "lines": lines, "end": end, "table": difference_table(document, family)}


def _line(entry: Dict[str, Any], end: int) -> Dict[str, Any]:
    places = {key: _place(100 * entry[key], end) for key in ("difference", "low", "high")}
    low, difference, high = (f"{100 * entry[key]:+.1f}" for key in ("low", "difference", "high"))
    shown = entry["p_holm"] is not None and entry["p_holm"] <= 0.05
    said = f"A minus B {difference} points, 95 % interval {low} to {high}"
    texts = {"name": entry["name"], "value": difference, "interval": f"[{low}, {high}]", "said": said}
    return {**texts, **places, "told": shown}


def _place(points: float, end: int) -> str:
    """Where a difference lies between -end and end, in percent of the width within a margin."""
    return f"{4 + 92 * (points + end) / (2 * end):.2f}"


def _froc(document: Dict[str, Any]) -> Optional[Exhibit]:
    """Both curves in one picture; None of several runs an arm, and where nothing is annotated."""
    curves, rates = document["froc"], document["settings"]["fp_rates"]
    if curves is None or not all(curves[letter]["fp"] for letter in ("a", "b")):
        return None
    named = {f"{letter.upper()} ({_arm_name(document, letter)})": curves[letter] for letter in ("a", "b")}
    entry = next(one for one in document["figures"] if (one["family"], one["name"]) == ("overall", "FROC"))
    means = f"the mean at the dots is {100 * entry['a']:.1f} % in A and {100 * entry['b']:.1f} % in B"
    image = "slice" if document["kind"] == "ct" else "frame"
    note = f"Sensitivity over false positives a {image}, all classes: {means}."
    alt = f"FROC of A and B: {means}"
    return Exhibit("froc", "FROC of both", note, alt, plots.plot_froc(named, rates=rates))


def _who(document: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Who finds the lesions of each group, as parts of a bar: start and width in percent."""
    bars = []
    for row in document["lesions"]["groups"]:
        if not row["n"]:
            continue
        start, parts = 0.0, []
        for key in WHO_TITLES:
            width = 100 * row[key] / row["n"]
            parts.append({"who": key, "start": f"{start:.2f}", "width": f"{width:.2f}", "count": row[key]})
            start += width
        said = ", ".join(f"{row[key]} found by {name}" for key, name in WHO_TITLES.items())
        bars.append({"name": row["name"], "n": row["n"], "parts": parts, "said": said})
    return bars
