"""report.html of a CT run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from gluon_liver.errors import RunError
from gluon_liver.metrics.lesion_summary import LOCATED
from gluon_liver.report.figures import plots
from gluon_liver.report.figures.drawing import class_colours
from gluon_liver.report.tables import ct_tables
from gluon_liver.report.tables.lesion_tables import each_table, lesion_blocks
from gluon_liver.report.tables.published import check_published, published_notes, published_tables
from gluon_liver.structures.modality import CT

from . import page

KINDS = {  # of overlays, in the order shown: heading and explanation
    "hit": ("Hits", "the best-scoring ROI lies on a lesion and names its class"),
    "false positive": ("False positives", "a detection where no lesion of its class is annotated"),
    "miss": ("Misses", "a lesion that no detection of its class found"),
}


def write_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html of a CT run; as :func:`gluon_liver.report.pages.page.write_page`."""
    return page.write_page(Path(run_dir), ct_tables.KIND, "report.html.j2", KINDS, _values)


def _values(run: Path, results: Dict[str, Any]) -> Dict[str, Any]:
    summary, classes = results["summary"], results["classes"]
    check_published(summary)
    facts = (("patients", "patients"), ("images", "slices"), ("annotated_images", "with lesions"))
    papers = ct_tables.has_papers_classes(classes)
    columns = [ct_tables.COLUMN_OF_CLASS[name] for name in classes] if papers else list(ct_tables.COLUMNS)
    return dict(
        row=results["row"],
        modality=results["data"].get("modality", CT),  # results of before MRI do not say it
        facts=[(summary[key], what) for key, what in facts],
        pictures="images",
        evaluated=f"{summary['patients']} patients evaluated here",
        papers_own="images are",
        denominator_warning=ct_tables.DENOMINATOR_WARNING,
        printed={row: [cells[name].text for name in columns] for row, cells in ct_tables.TABLE4.items()},
        columns=columns,
        other_classes=None if papers else ct_tables.other_classes_note(classes),
        own=None if papers else ct_tables.own_table(summary),
        colours=class_colours(len(classes)),
        ours=[dict(summary["top1"][name], cell=ct_tables.percent(summary["top1"][name])) for name in classes],
        tables=[ct_tables.detection_table(summary), ct_tables.froc_table(summary)],
        notes=ct_tables.summary_notes(summary),
        published=published_tables(summary),
        published_notes=published_notes(summary),
        lesions=lesion_blocks(summary),
        each_lesion=each_table(summary),
        lesion_froc=_lesion_froc(summary),
        curves=_curves(results["curves"], run / "results.json", [float(rate) for rate in summary["froc"]["all"]]),
    )


def _lesion_froc(summary: Dict[str, Any]) -> Optional[str]:
    """The curve of each class and of all, where there are any."""
    curves = summary.get("lesions", {}).get("curve", {})
    names = [name for name in curves if name != LOCATED]
    if not names:
        return None
    rates = [float(rate) for rate in summary["lesions"]["froc"][names[0]]]
    drawn = {name: curves[name] for name in names if name != "all" or len(names) > 2}
    return page.data_uri(plots.plot_froc(drawn, rates=rates, unit="patient"))


def _curves(curves: Dict[str, Any], path: Path, rates: List[float]) -> List[Dict[str, Any]]:
    for name, axes in (("froc", ("fp", "sensitivity")), ("pr", ("recall", "precision"))):
        if not isinstance(curves.get(name), dict):
            raise RunError(f"{path}: curves.{name} is missing")
        for label, curve in curves[name].items():
            lengths = {len(curve[axis]) if isinstance(curve.get(axis), list) else -1 for axis in axes}
            if -1 in lengths or len(lengths) != 1:
                raise RunError(f"{path}: curves.{name}.{label} needs {axes[0]} and {axes[1]}, lists of equal length")
    froc_note = "Sensitivity over false positives an image; dots at the rates of the table."
    shown = (
        ("FROC", froc_note, plots.plot_froc(curves["froc"], rates=rates)),
        ("Precision and recall", "As the score threshold falls, by class.", plots.plot_precision_recall(curves["pr"])),
    )
    return [{"title": title, "note": note, "image": page.data_uri(png)} for title, note, png in shown]
