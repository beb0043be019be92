"""report.html of an ultrasound run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Union

from gluon_liver.metrics.us_summary import sensitivities
from gluon_liver.report.figures import plots
from gluon_liver.report.figures.us_drawing import us_colours, us_curve_colours
from gluon_liver.report.tables import us_tables

from . import page

KINDS = {  # of overlays, in the order shown: heading and explanation
    "hit": ("Hits", "every annotated object is found, and nothing else"),
    "false positive": ("False positives", "a detection where no object of its label is annotated"),
    "miss": ("Misses", "an object that no detection of its label found"),
}


def write_us_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html of an ultrasound run; as :func:`gluon_liver.report.pages.page.write_page`."""
    return page.write_page(Path(run_dir), us_tables.KIND, "us_report.html.j2", KINDS, _values)


def _values(run: Path, results: Dict[str, Any]) -> Dict[str, Any]:
    summary, model = results["summary"], results["model"]
    scenes = [row["scene"] for row in summary["scenes"]]
    classes = results["classes"]
    papers = us_tables.has_papers_classes(classes)
    by_label = {us_tables.label_of(name): sensitivities(summary, name) for name in classes}
    counted = us_tables.counted_text(results["detections"])
    return dict(
        model=model,
        facts=[(summary["patients"], "patients"), (len(scenes), "scenes"), (summary["images"], "frames")],
        pictures="frames",
        evaluated=f"scenes evaluated here (patients: {summary['patients']})",
        papers_own="video is",
        column=us_tables.COLUMN_OF_MODEL[model],
        checkpoint=results["checkpoint"],
        tables=[us_tables.table1(summary, model=model), us_tables.table2(summary, model=model)],
        by_label=us_tables.label_table(summary),
        by_size=us_tables.size_table(summary),
        notes=us_tables.us_notes(summary, counted=counted, split_by=results["data"]["split_by"]),
        paper_notes=us_tables.PAPER_NOTES,
        scenes=us_tables.scene_table(summary),
        colours=us_colours(classes),
        other_classes=None if papers else us_tables.other_classes_note(classes),
        own=None if papers else us_tables.own_table(summary),
        sensitivities=page.data_uri(plots.plot_scene_sensitivity(scenes, by_label, colours=us_curve_colours(classes))),
    )
