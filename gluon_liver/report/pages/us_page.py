"""report.html of an ultrasound run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Union

from gluon_liver.config.schema import Config
from gluon_liver.metrics.us_summary import sensitivities
from gluon_liver.report.figures import plots
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.figures.us_drawing import us_colours, us_curve_colours
from gluon_liver.report.tables import us_tables
from gluon_liver.report.tables.table import marked

from . import page

KINDS = {  # of the gallery, in the order shown: heading and explanation
    "hit": ("Hits", "detections that lie on an object and name its label"),
    "false positive": ("False positives", "detections where no object of their label is annotated"),
    "badly placed": ("Badly placed", "detections that overlap an object of their label too little"),
    "wrong class": ("Wrong label", "detections on an object of another label"),
    "miss": ("Misses", "objects that no detection of their label found"),
}


def write_us_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html of an ultrasound run; as :func:`gluon_liver.report.pages.page.write_page`."""
    return page.write_page(Path(run_dir), us_tables.KIND, "us_report.html.j2", KINDS, _shown)


def _shown(results: Dict[str, Any], config: Optional[Config]) -> page.Shown:
    summary, model = results["summary"], results["model"]
    scenes = [row["scene"] for row in summary["scenes"]]
    classes = results["classes"]
    papers = us_tables.has_papers_classes(classes)
    by_label = {us_tables.label_of(name): sensitivities(summary, name) for name in classes}
    counted = us_tables.counted_text(results["detections"])
    unfinished = str(results.get("unfinished", ""))
    own = None if papers else marked(us_tables.own_table(summary), unfinished)
    by_size = us_tables.size_table(summary)
    tables = {
        "table-1": marked(us_tables.table1(summary, model=model), unfinished),
        "table-2": marked(us_tables.table2(summary, model=model), unfinished),
        "labels": us_tables.label_table(summary),
        "scenes": us_tables.scene_table(summary),
    }
    chart = plots.plot_scene_sensitivity(scenes, by_label, colours=us_curve_colours(classes))
    note = "Dots: share of a label's boxes in a scene that were found; no dot where a scene has no box of the label. "
    note += "Diamonds: mean \u00b1 sample SD over scenes, as in Table 2."
    means = ", ".join(
        f"{us_tables.label_of(name)} {us_tables.mean_sd(summary['sensitivity'][name])}" for name in classes
    )
    alt = f"Sensitivity of each scene by label: {means}"
    sensitivity = Exhibit("scene-sensitivity", "", note, alt, chart)
    values = dict(
        model=model,
        pictures="frames",
        evaluated=f"scenes evaluated here (patients: {summary['patients']})",
        papers_own="video is",
        column=us_tables.COLUMN_OF_MODEL[model],
        checkpoint=results["checkpoint"],
        tables=[tables["table-1"], tables["table-2"]],
        by_label=tables["labels"],
        by_size=by_size,
        notes=us_tables.us_notes(summary, counted=counted, split_by=results["data"]["split_by"]),
        paper_notes=us_tables.PAPER_NOTES,
        scenes=tables["scenes"],
        colours=us_colours(classes),
        other_classes=None if papers else us_tables.other_classes_note(classes),
        own=own,
        sensitivities=sensitivity,
    )
    tables.update({"own-classes": own} if own else {})
    tables.update({"sizes": by_size} if by_size else {})
    return page.Shown(values, [sensitivity], tables)
