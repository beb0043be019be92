"""The page of a run of either paper: built from the files of the run folder and from nothing else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import jinja2

from gluon_liver.errors import RunError
from gluon_liver.files.atomic import write_text
from gluon_liver.files.json_records import read_json, read_text, read_yaml
from gluon_liver.report.figures import plots
from gluon_liver.report.records.results import REMEDY, Kind, read_results
from gluon_liver.report.tables.table import PHANTOM_WARNING
from gluon_liver.runs.log import read_log

MOST_STEPS = 20_000  # records of steps that the curves of losses are drawn from, many more than pixels
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


OverlayKinds = Mapping[str, Tuple[str, str]]  # in the order shown: kind -> heading, explanation
Values = Callable[[Path, Dict[str, Any]], Dict[str, Any]]


def write_page(run: Path, kind: Kind, template: str, overlay_kinds: OverlayKinds, values: Values) -> Path:
    """Write RUN/report.html from config.yaml, environment.json, log.jsonl, results.json and overlays/*.png.

    The page embeds its images and refers to nothing outside itself, and a page that exists is whole. kind: of the
    results. values: (run folder, results) -> what the template shows beside what all pages do. Returns the page's path.
    Raises :class:`RunError` that names a missing or invalid file.
    """
    results = read_results(run, kind)
    config = read_text(run / "config.yaml", error=RunError, remedy=REMEDY)
    if not isinstance(read_yaml(run / "config.yaml", error=RunError), dict):
        raise RunError(f"{run / 'config.yaml'}: a mapping is needed")
    environment = read_json(run / "environment.json", error=RunError, remedy=REMEDY)
    log = read_log(run / "log.jsonl", steps=MOST_STEPS)
    shown = dict(
        losses=data_uri(plots.plot_losses(log)),
        training=_training_facts(log),
        validation=data_uri(plots.plot_validation(log)),
        validated=_validation_facts(log),
        config=config,
        environment=json.dumps(environment, indent=2, sort_keys=True, ensure_ascii=False),
        phantom_warning=PHANTOM_WARNING,
        overlays=embedded_overlays(results["overlays"], run, overlay_kinds),
        **{key: results[key] for key in ("split", "classes", "data", "summary")},
    )
    write_text(run / "report.html", render(template, {**shown, **values(run, results)}))
    return run / "report.html"


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page from a template of this package; everything that is put in is escaped."""
    loader, strict = jinja2.FileSystemLoader(Path(__file__).parent / "templates"), jinja2.StrictUndefined
    page = jinja2.Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return page.get_template(template).render(values)


def embedded_overlays(entries: List[Any], run: Path, kinds: OverlayKinds) -> List[Dict[str, Any]]:
    """Overlay groups in the order of kinds; empty groups are left out.

    Raises :class:`RunError` for an entry without file, caption and kind, and for a file outside RUN/overlays or that is
    no PNG.
    """
    groups: Dict[str, Dict[str, Any]] = {kind: dict(title=t, note=note, images=[]) for kind, (t, note) in kinds.items()}
    results = run / "results.json"
    for entry in entries:
        if not isinstance(entry, dict) or not {"file", "caption", "kind"} <= set(entry):
            raise RunError(f"{results}: an overlay needs file, caption and kind")
        if entry["kind"] not in kinds:
            raise RunError(f"{results}: overlay kind {entry['kind']!r} is none of {', '.join(kinds)}")
        path = run / str(entry["file"])
        if (run / "overlays").resolve() not in path.resolve().parents:
            raise RunError(f"{results}: overlay {entry['file']!r} lies outside {run / 'overlays'}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({error.__class__.__name__})") from error
        if not content.startswith(_PNG_SIGNATURE):
            raise RunError(f"{path}: not a PNG image")
        groups[entry["kind"]]["images"].append({"caption": str(entry["caption"]), "image": data_uri(content)})
    return [group for group in groups.values() if group["images"]]


def data_uri(png: Optional[bytes]) -> Optional[str]:
    """PNG bytes as the source of an image that needs no file."""
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _training_facts(log: List[Dict[str, Any]]) -> Optional[str]:
    steps = [record for record in log if record["event"] == "step"]
    if not steps:
        return None
    step, epoch, total = steps[-1]["step"], steps[-1].get("epoch"), steps[-1]["losses"].get("total")
    facts = [f"{step} steps"]
    facts += [f"epoch {epoch}"] if isinstance(epoch, int) else []
    facts += [f"last total loss {total:.4g}"] if isinstance(total, (int, float)) else []
    facts += [f"curves of {len(steps)} records of the log"] if len(steps) > MOST_STEPS // 2 else []
    return ", ".join(facts)


def _validation_facts(log: List[Dict[str, Any]]) -> Optional[str]:
    scores = [record for record in log if record["event"] == "score"]
    if not scores:
        return None
    best, last = max(scores, key=lambda record: record["map"]), scores[-1]
    images = f", {last['images']} images" if "images" in last else ""
    highest = f"COCO mAP is highest in epoch {best['epoch']} ({best['map']:.3f})"
    scored = f"{len(scores)} epochs scored on the {last['split']} split{images}"
    return f"{scored}: {highest}, and {last['map']:.3f} in epoch {last['epoch']}, the last"
