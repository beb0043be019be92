"""report.html of a CT run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from gluon_liver.config.schema import Config
from gluon_liver.errors import RunError
from gluon_liver.metrics.lesion_summary import LOCATED
from gluon_liver.report.figures import plots
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.figures.drawing import class_colours
from gluon_liver.report.figures.lettering import lettering
from gluon_liver.report.tables import ct_tables
from gluon_liver.report.tables.lesion_tables import each_table, lesion_blocks
from gluon_liver.report.tables.published import check_published, published_notes, published_tables
from gluon_liver.report.tables.table import marked
from gluon_liver.structures.modality import CT

from . import page

KINDS = {  # of the gallery, in the order shown: heading and explanation
    "hit": ("Hits", "detections that lie on a lesion and name its class"),
    "false positive": ("False positives", "detections where no lesion of their class is annotated"),
    "badly placed": ("Badly placed", "detections that overlap a lesion of their class too little"),
    "wrong class": ("Wrong class", "detections on a lesion of another class"),
    "miss": ("Misses", "lesions that no detection of their class found"),
}


def write_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html of a CT run; as :func:`gluon_liver.report.pages.page.write_page`."""
    return page.write_page(
        Path(run_dir), ct_tables.KIND, "report.html.j2", KINDS, lambda *given: _shown(run_dir, *given)
    )


def _shown(run_dir: Union[str, Path], results: Dict[str, Any], config: Optional[Config]) -> page.Shown:
    summary, classes, row = results["summary"], results["classes"], results["row"]
    check_published(summary)
    papers = ct_tables.has_papers_classes(classes)
    unfinished = str(results.get("unfinished", ""))
    table4 = marked(ct_tables.whole_table(summary, row=row), unfinished)
    rows = [cells[0].value for cells in table4.rows]
    own = None if papers else marked(ct_tables.own_table(summary), unfinished)
    tables = {
        "table-4": table4,
        "detection": ct_tables.detection_table(summary),
        "froc": ct_tables.froc_table(summary),
    }
    lesions, lesion_froc = lesion_blocks(summary), _lesion_froc(summary)
    curves = _curves(results["curves"], Path(run_dir) / "results.json", [float(one) for one in summary["froc"]["all"]])
    values = dict(
        row=row,
        modality=results["data"].get("modality", CT),  # results of before MRI do not say it
        pictures="images",
        evaluated=f"{summary['patients']} patients evaluated here",
        papers_own="images are",
        denominator_warning=ct_tables.DENOMINATOR_WARNING,
        table4=table4,
        our_row=rows.index(ct_tables.OURS) if ct_tables.OURS in rows else None,
        beside_row=rows.index(row) if row in rows else None,
        other_classes=None if papers else ct_tables.other_classes_note(classes),
        own=own,
        colours=class_colours(len(classes)),
        tables=[tables["detection"], tables["froc"]],
        notes=ct_tables.summary_notes(summary),
        published=published_tables(summary),
        published_notes=published_notes(summary),
        lesions=lesions,
        each_lesion=each_table(summary),
        lesion_froc=lesion_froc,
        curves=curves,
    )
    tables.update({"own-classes": own} if own else {})
    tables.update(zip(("lesions", "lesion-froc", "lesion-sizes"), lesions.tables))
    return page.Shown(values, [*curves, *([lesion_froc] if lesion_froc else [])], tables)


def _lesion_froc(summary: Dict[str, Any]) -> Optional[Exhibit]:
    """The curve of each class and of all, where there are any."""
    curves = summary.get("lesions", {}).get("curve", {})
    names = [name for name in curves if name != LOCATED]
    if not names:
        return None
    entries = summary["lesions"]["froc"]
    rates = [float(rate) for rate in entries[names[0]]]
    drawn = {name: curves[name] for name in names if name != "all" or len(names) > 2}
    note = _numbered("Sensitivity over false positives a patient; dots at the rates of the table.", names)
    chart = plots.plot_froc(drawn, rates=rates, unit="patient")
    return Exhibit("lesion-froc", "Lesion FROC", note, _froc_alt("Lesion FROC", entries["all"], "a patient"), chart)


def _numbered(note: str, names: Sequence[str]) -> str:
    """A note, and which classes the chart calls by their numbers."""
    return " ".join([note, *(f"{told[0].upper()}{told[1:]}." for told in lettering(names).notes(names))])


def _froc_alt(title: str, entries: Dict[str, Any], unit: str) -> str:
    known = [(rate, entry["value"]) for rate, entry in entries.items() if entry["value"] is not None]
    told = ", ".join(f"{100 * value:.0f} % at {rate}" for rate, value in known)
    return f"{title}: sensitivity of all classes {told or 'undefined'} false positives {unit}"


def _curves(curves: Dict[str, Any], path: Path, rates: List[float]) -> List[Exhibit]:
    for name, axes in (("froc", ("fp", "sensitivity")), ("pr", ("recall", "precision"))):
        if not isinstance(curves.get(name), dict):
            raise RunError(f"{path}: curves.{name} is missing")
        for label, curve in curves[name].items():
            lengths = {len(curve[axis]) if isinstance(curve.get(axis), list) else -1 for axis in axes}
            if -1 in lengths or len(lengths) != 1:
                raise RunError(f"{path}: curves.{name}.{label} needs {axes[0]} and {axes[1]}, lists of equal length")
    names = list(curves["pr"])
    froc_note = _numbered("Sensitivity over false positives an image; dots at the rates of the table.", names)
    recall_note = _numbered("As the score threshold falls, by class.", names)
    froc, recall = plots.plot_froc(curves["froc"], rates=rates), plots.plot_precision_recall(curves["pr"])
    return [
        Exhibit(
            "froc", "FROC", froc_note, "FROC: sensitivity over false positives an image, as in the table above", froc
        ),
        Exhibit(
            "precision-recall", "Precision and recall", recall_note, "Precision over recall, a curve a class", recall
        ),
    ]
