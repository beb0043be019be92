"""report.html of a CT run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Union

from gluon_liver.errors import RunError
from gluon_liver.files.atomic import write_text

from . import ct_tables, page, plots
from .results import read_results

KINDS = {  # of overlays, in the order shown: heading and explanation
    "hit": ("Hits", "the best-scoring ROI lies on a lesion and names its class"),
    "false positive": ("False positives", "a detection where no lesion of its class is annotated"),
    "miss": ("Misses", "a lesion that no detection of its class found"),
}


def write_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html from config.yaml, environment.json, log.jsonl, results.json and overlays/*.png.

    The page embeds its images and refers to nothing outside itself. It is written to a temporary sibling and
    moved into place, so a report that exists is whole.

    Returns:
        The path of the report.

    Raises:
        RunError: a file is missing or invalid; the message names it.
    """
    run = page.run_folder(run_dir)
    results = read_results(run / "results.json")
    values = dict(
        page.shared_values(run),
        row=results["row"],
        split=results["split"],
        classes=results["classes"],
        data=results["data"],
        summary=results["summary"],
        phantom_warning=ct_tables.PHANTOM_WARNING,
        denominator_warning=ct_tables.DENOMINATOR_WARNING,
        printed=_printed_rows(results["classes"]),
        columns=[ct_tables.COLUMN_OF_CLASS.get(name, name) for name in results["classes"]],
        ours=[dict(results["summary"]["top1"][name], cell=_top1_cell(results, name)) for name in results["classes"]],
        tables=[ct_tables.detection_table(results["summary"]), ct_tables.froc_table(results["summary"])],
        notes=ct_tables.summary_notes(results["summary"]),
        curves=_curves(results["curves"], run / "results.json"),
        overlays=page.embedded_overlays(results["overlays"], run, KINDS),
    )
    write_text(run / "report.html", page.render("report.html.j2", values))
    return run / "report.html"


def _printed_rows(classes: List[str]) -> Dict[str, List[str]]:
    """Every row of Table 4 with the printed text of each class, "-" for a class that is not in the paper."""
    names = [ct_tables.COLUMN_OF_CLASS.get(name) for name in classes]
    return {row: [columns[name].text if name else "-" for name in names] for row, columns in ct_tables.TABLE4.items()}


def _top1_cell(results: Dict[str, Any], name: str) -> ct_tables.Cell:
    return ct_tables.percent(results["summary"]["top1"][name])


def _curves(curves: Dict[str, Any], path: Path) -> List[Dict[str, Any]]:
    for name, axes in (("froc", ("fp", "sensitivity")), ("pr", ("recall", "precision"))):
        if not isinstance(curves.get(name), dict):
            raise RunError(f"{path}: curves.{name} is missing")
        for label, curve in curves[name].items():
            lengths = {len(curve[axis]) if isinstance(curve.get(axis), list) else -1 for axis in axes}
            if -1 in lengths or len(lengths) != 1:
                raise RunError(f"{path}: curves.{name}.{label} needs {axes[0]} and {axes[1]}, lists of equal length")
    return [
        {
            "title": "FROC",
            "note": "Sensitivity over false positives an image; dots at the rates of the table.",
            "image": page.data_uri(plots.plot_froc(curves["froc"])),
        },
        {
            "title": "Precision and recall",
            "note": "As the score threshold falls, by class.",
            "image": page.data_uri(plots.plot_precision_recall(curves["pr"])),
        },
    ]
