"""The page of a run of either paper: built from the files of the run folder and from nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import jinja2

from gluon_liver.config.network_title import network_title
from gluon_liver.config.schema import Config
from gluon_liver.errors import RunError
from gluon_liver.files.atomic import write_text
from gluon_liver.files.json_records import read_json, read_text
from gluon_liver.report.exports.files import write_exports
from gluon_liver.report.figures.bars import plot_calibration, plot_shares
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.records.results import REMEDY, Kind, read_results
from gluon_liver.report.tables import failure_tables as failed
from gluon_liver.report.tables.table import PHANTOM_WARNING, Table, unfinished_statement
from gluon_liver.runs.config_file import CONFIG_FILE, OtherVersionError, read_config
from gluon_liver.runs.log import IMPORTED, read_log

from .answer import answer_text, facts_of, measures
from .gallery import Kinds, embedded_gallery
from .learning import learning_of
from .provenance import provenance_of

MOST_STEPS = 20_000  # records of steps that the curves of losses are drawn from, many more than pixels
NO_CONFIG = "a configuration that this version does not read"
__all__ = ["MOST_STEPS", "Shown", "render", "write_page"]


@dataclass
class Shown:
    """What a task adds to its page. values: of its template. charts: beside the others of the page, which files have
    too. tables: by the names of their files."""

    values: Dict[str, Any] = field(default_factory=dict)
    charts: List[Exhibit] = field(default_factory=list)
    tables: Dict[str, Table] = field(default_factory=dict)


Values = Callable[[Dict[str, Any], Optional[Config]], Shown]


def write_page(run: Path, kind: Kind, template: str, gallery_kinds: Kinds, values: Values) -> Path:
    """Write RUN/report.html, RUN/figures and RUN/tables from config.yaml, environment.json, log.jsonl, results.json and
    overlays/.

    The page embeds its images and needs nothing outside itself, and a page that exists is whole. kind: of the results.
    values: (results, configuration, None where this version does not read it) -> what the task shows beside what all
    pages do. Returns the page's path. Raises :class:`RunError` that names a missing or invalid file.
    """
    results = read_results(run, kind)
    text, config = _config_of(run)
    environment = read_json(run / "environment.json", error=RunError, remedy=REMEDY)
    log = read_log(run / "log.jsonl", steps=MOST_STEPS)
    if not isinstance(environment, dict):
        raise RunError(f"{run / 'environment.json'}: an object is needed; {REMEDY}")
    groups = embedded_gallery(results, run, gallery_kinds)
    own = values(results, config)
    imported = any(one["event"] == IMPORTED for one in log)
    learning = learning_of(log, every=MOST_STEPS)
    provenance = provenance_of(results, environment, config, imported=imported)
    good, failures = _good(results), _failures(results)
    tables = {**own.tables, **failures["exported"]}
    tables.update(training=learning.epochs) if learning.epochs else None
    tables.update(differing_keys=provenance.differing) if provenance.differing else None
    calibration = failures["calibration"]
    charts = [good, *([calibration] if calibration else []), *learning.charts, *own.charts]
    shown = dict(
        network=network_title(config) if config else NO_CONFIG,
        answer=answer_text(results, environment, config, imported=imported),
        good=good,
        facts=facts_of(results),
        groups=groups,
        failures=failures,
        learning=learning,
        provenance=provenance,
        config=text,
        environment=json.dumps(environment, indent=2, sort_keys=True, ensure_ascii=False),
        phantom_warning=PHANTOM_WARNING,
        unfinished=unfinished_statement(str(results.get("unfinished", ""))),
        exports=write_exports(run, charts, tables),
        **{key: results[key] for key in ("kind", "split", "classes", "data", "summary")},
    )
    write_text(run / "report.html", render(template, {**shown, **own.values}))
    return run / "report.html"


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page from a template of this package; everything that is put in is escaped."""
    loader, strict = jinja2.FileSystemLoader(Path(__file__).parent / "templates"), jinja2.StrictUndefined
    page = jinja2.Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return page.get_template(template).render(values)


def _config_of(run: Path) -> Tuple[str, Optional[Config]]:
    """config.yaml as text, and as a configuration; None where this version does not read it."""
    text = read_text(run / CONFIG_FILE, error=RunError, remedy=REMEDY)
    try:
        return text, read_config(run)
    except OtherVersionError:  # the page shows it as it is
        return text, None


def _good(results: Dict[str, Any]) -> Exhibit:
    shares = measures(results)
    told = [f"{one.name} {100 * one.value:.0f} %" for one in shares if one.value is not None]
    intervals = any(one.low is not None for one in shares)
    note = "Dots: measured here. " + ("Lines: 95 % intervals." if intervals else "No intervals are known.")
    return Exhibit("how-good", "", note, "How good: " + ", ".join(told), plot_shares(shares))


def _failures(results: Dict[str, Any]) -> Dict[str, Any]:
    """What "Where it fails" shows; what an older version did not find out is None."""
    errors, calibration = results.get("errors"), results.get("calibration")
    recall = failed.recall_tables(results)
    chart = plot_calibration(calibration["bins"]) if calibration else None
    exhibit = None
    if calibration and chart is not None:
        ece = "" if calibration.get("ece") is None else f"Expected calibration error {calibration['ece']:.3f}. "
        note = f"{ece}Above the line the scores are too low, below it too high; numbers: detections."
        more = str(calibration.get("note") or "")
        note += f" {more[0].upper()}{more[1:]}." if more else ""
        told = [f"{one['mean_score']:.2f} {one['precision']:.2f}" for one in calibration["bins"] if one["n"]]
        alt = "Share of detections that are right over their score: " + ", ".join(told)
        exhibit = Exhibit("calibration", "Calibration of the scores", note, alt, chart)
    exported = {f"recall-{place + 1}": table for place, table in enumerate(recall)}
    if errors:
        confusion = failed.confusion_table(errors["confusion"])
        exported.update(confusion=confusion, causes=failed.causes_export(errors))
        exported["errors"] = failed.items_table(errors, ct=results["kind"] == "ct")
    return dict(
        known=bool(errors),
        said=failed.summary_sentences(errors) if errors else [],
        confusion=errors["confusion"] if errors else None,
        most=max((max(row) for row in errors["confusion"]["counts"]), default=0) if errors else 0,
        detections=failed.cause_bars(errors, "detections") if errors else [],
        objects=failed.cause_bars(errors, "objects") if errors else [],
        items=failed.items_table(errors, ct=results["kind"] == "ct", most=failed.TOLD) if errors else None,
        recall=recall,
        notes=failed.recall_notes(results),
        calibration=exhibit,
        exported=exported,
    )
