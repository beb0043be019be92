"""report.html: one page a run, built from the files of the run folder and from nothing else."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import jinja2
import yaml

from gluon_liver.errors import RunError
from gluon_liver.report import plots, tables
from gluon_liver.report.log import read_log, read_text
from gluon_liver.report.results import parse_object, read_results

TEMPLATES = Path(__file__).parent / "templates"
KINDS = {  # of overlays, in the order shown: heading and explanation
    "hit": ("Hits", "the best-scoring ROI lies on a lesion and names its class"),
    "false positive": ("False positives", "a detection where no lesion of its class is annotated"),
    "miss": ("Misses", "a lesion that no detection of its class found"),
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_report(run_dir: Union[str, Path]) -> Path:
    """Write RUN/report.html from config.yaml, environment.json, log.jsonl, results.json and overlays/*.png.

    The page embeds its images and refers to nothing outside itself. It is written to a temporary sibling and
    moved into place, so a report that exists is whole.

    Returns:
        The path of the report.

    Raises:
        RunError: a file is missing or invalid; the message names it.
    """
    run = Path(run_dir)
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; a run is what training writes to its output folder")
    results = read_results(run / "results.json")
    config_text = read_text(run / "config.yaml")
    _parse_config(config_text, run / "config.yaml")
    environment = parse_object(read_text(run / "environment.json"), run / "environment.json")
    log = read_log(run / "log.jsonl")
    page = _template().render(
        row=results["row"],
        split=results["split"],
        classes=results["classes"],
        data=results["data"],
        summary=results["summary"],
        phantom_warning=tables.PHANTOM_WARNING,
        denominator_warning=tables.DENOMINATOR_WARNING,
        printed=_printed_rows(results["classes"]),
        columns=[tables.COLUMN_OF_CLASS.get(name, name) for name in results["classes"]],
        ours=[
            dict(results["summary"]["top1"][name], cell=_top1_cell(results, name))
            for name in results["classes"]
        ],
        tables=[tables.detection_table(results["summary"]), tables.froc_table(results["summary"])],
        notes=tables.summary_notes(results["summary"]),
        curves=_curves(results["curves"], run / "results.json"),
        losses=_data_uri(plots.plot_losses(log)),
        training=_training_facts(log),
        overlays=_overlays(results["overlays"], run),
        config=config_text,
        environment=json.dumps(environment, indent=2, sort_keys=True, ensure_ascii=False),
    )
    return _write_atomically(run / "report.html", page)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _parse_config(text: str, path: Path) -> None:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RunError(f"{path}: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path}: holds a {type(found).__name__}; a mapping is needed")


def _printed_rows(classes: List[str]) -> Dict[str, List[str]]:
    """Every row of Table 4 with the printed text of each class, "-" for a class that is not in the paper."""
    names = [tables.COLUMN_OF_CLASS.get(name) for name in classes]
    return {
        row: [columns[name].text if name else "-" for name in names] for row, columns in tables.TABLE4.items()
    }


def _top1_cell(results: Dict[str, Any], name: str) -> tables.Cell:
    return tables.percent(results["summary"]["top1"][name])


def _curves(curves: Dict[str, Any], path: Path) -> List[Dict[str, str]]:
    for name, axes in (("froc", ("fp", "sensitivity")), ("pr", ("recall", "precision"))):
        if not isinstance(curves.get(name), dict):
            raise RunError(f"{path}: curves.{name} is missing")
        for label, curve in curves[name].items():
            lengths = {len(curve[axis]) if isinstance(curve.get(axis), list) else -1 for axis in axes}
            if -1 in lengths or len(lengths) != 1:
                raise RunError(
                    f"{path}: curves.{name}.{label} needs {axes[0]} and {axes[1]}, lists of equal length"
                )
    return [
        {
            "title": "FROC",
            "note": "Sensitivity over false positives an image; dots at the rates of the table.",
            "image": _data_uri(plots.plot_froc(curves["froc"])),
        },
        {
            "title": "Precision and recall",
            "note": "As the score threshold falls, by class.",
            "image": _data_uri(plots.plot_precision_recall(curves["pr"])),
        },
    ]


def _training_facts(log: List[Dict[str, Any]]) -> Optional[str]:
    steps = [record for record in log if record["event"] == "step"]
    if not steps:
        return None
    last = steps[-1]
    facts = [f"{last['step']} steps"]
    if isinstance(last.get("epoch"), int):
        facts.append(f"epoch {last['epoch']}")
    total = last["losses"].get("total")
    if isinstance(total, (int, float)):
        facts.append(f"last total loss {total:.4g}")
    return ", ".join(facts)


def _overlays(entries: List[Any], run: Path) -> List[Dict[str, Any]]:
    """Overlay groups in the order of KINDS, images embedded; empty groups are left out."""
    groups: Dict[str, List[Dict[str, str]]] = {kind: [] for kind in KINDS}
    folder = (run / "overlays").resolve()
    for entry in entries:
        if not isinstance(entry, dict) or not {"file", "caption", "kind"} <= set(entry):
            raise RunError(f"{run / 'results.json'}: an overlay needs file, caption and kind")
        if entry["kind"] not in KINDS:
            raise RunError(
                f"{run / 'results.json'}: overlay kind {entry['kind']!r} is none of {', '.join(KINDS)}"
            )
        path = (run / str(entry["file"])).resolve()
        if folder not in path.parents:
            raise RunError(
                f"{run / 'results.json'}: overlay {entry['file']!r} lies outside {run / 'overlays'}"
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunError(
                f"{run / str(entry['file'])}: cannot be read ({error.__class__.__name__})"
            ) from error
        if not content.startswith(_PNG_SIGNATURE):
            raise RunError(f"{run / str(entry['file'])}: not a PNG image")
        groups[entry["kind"]].append({"caption": str(entry["caption"]), "image": _data_uri(content)})
    return [
        {"title": title, "note": note, "images": groups[kind]}
        for kind, (title, note) in KINDS.items()
        if groups[kind]
    ]


def _data_uri(png: Optional[bytes]) -> Optional[str]:
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _write_atomically(path: Path, text: str) -> Path:
    descriptor, temporary = tempfile.mkstemp(prefix=".report-", suffix=".html", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
