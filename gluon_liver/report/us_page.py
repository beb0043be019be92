"""report.html of an ultrasound run: one page, built from the files of the run folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from gluon_liver.files.atomic import write_text
from gluon_liver.metrics.us_summary import sensitivities

from . import page, plots, us_tables
from .ct_tables import PHANTOM_WARNING
from .results import read_results

KINDS = {  # of overlays, in the order shown: heading and explanation
    "hit": ("Hits", "every annotated object is found, and nothing else"),
    "false positive": ("False positives", "a detection where no object of its label is annotated"),
    "miss": ("Misses", "an object that no detection of its label found"),
}


def write_us_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html from config.yaml, environment.json, log.jsonl, results.json and overlays/*.png.

    As :func:`gluon_liver.report.ct_page.write_report`, for results.json of kind "us".

    Raises:
        RunError: a file is missing or invalid; the message names it.
    """
    run = page.run_folder(run_dir)
    results = read_results(run / "results.json", kinds=("us",))
    summary, model = results["summary"], results["model"]
    scenes = [row["scene"] for row in summary["scenes"]]
    values = dict(
        page.shared_values(run),
        model=model,
        column=us_tables.COLUMN_OF_MODEL[model],
        split=results["split"],
        checkpoint=results["checkpoint"],
        classes=results["classes"],
        data=results["data"],
        summary=summary,
        phantom_warning=PHANTOM_WARNING,
        tables=[us_tables.table1(summary, model=model), us_tables.table2(summary, model=model)],
        by_label=us_tables.label_table(summary),
        notes=us_tables.us_notes(
            summary, kept=us_tables.kept_text(results["detections"]), split_by=results["data"]["split_by"]
        ),
        paper_notes=[us_tables.PAPER_WORTH, us_tables.DISAGREEMENT, us_tables.P_NOTE],
        scenes=us_tables.scene_table(summary),
        sensitivities=page.data_uri(
            plots.plot_scene_sensitivity(
                scenes,
                {us_tables.label_of(name): sensitivities(summary, name) for name in results["classes"]},
            )
        ),
        overlays=page.embedded_overlays(results["overlays"], run, KINDS),
    )
    write_text(run / "report.html", page.render("us_report.html.j2", values))
    return run / "report.html"
