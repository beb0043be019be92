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
from gluon_liver.runs.log import read_log

from . import plots
from .results import REMEDY, Kind, read_results
from .table import PHANTOM_WARNING

TEMPLATES = Path(__file__).parent / "templates"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_page(
    run: Path,
    kind: Kind,
    template: str,
    overlay_kinds: Mapping[str, Tuple[str, str]],
    values: Callable[[Path, Dict[str, Any]], Dict[str, Any]],
) -> Path:
    """Write RUN/report.html from config.yaml, environment.json, log.jsonl, results.json and overlays/*.png.

    The page embeds its images and refers to nothing outside itself, and a page that exists is whole. kind: of the
    results. overlay_kinds: of :func:`embedded_overlays`. values: (run folder, results) -> what the template shows
    beside what all pages do. Returns the page's path. Raises :class:`RunError` that names a missing or invalid file.
    """
    results = read_results(run, kind)
    shown = {
        **shared_values(run),
        **{key: results[key] for key in ("split", "classes", "data", "summary")},
        "phantom_warning": PHANTOM_WARNING,
        "overlays": embedded_overlays(results["overlays"], run, overlay_kinds),
        **values(run, results),
    }
    write_text(run / "report.html", render(template, shown))
    return run / "report.html"


def shared_values(run: Path) -> Dict[str, Any]:
    """What base.html.j2 shows of config.yaml, environment.json and log.jsonl. Raises :class:`RunError`."""
    config_text = read_text(run / "config.yaml", error=RunError, remedy=REMEDY)
    if not isinstance(read_yaml(run / "config.yaml", error=RunError), dict):
        raise RunError(f"{run / 'config.yaml'}: a mapping is needed")
    environment = read_json(run / "environment.json", error=RunError, remedy=REMEDY)
    log = read_log(run / "log.jsonl")
    return {
        "losses": data_uri(plots.plot_losses(log)),
        "training": _training_facts(log),
        "config": config_text,
        "environment": json.dumps(environment, indent=2, sort_keys=True, ensure_ascii=False),
    }


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page from a template of this package; everything that is put in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def embedded_overlays(entries: List[Any], run: Path, kinds: Mapping[str, Tuple[str, str]]) -> List[Dict[str, Any]]:
    """Overlay groups in the order of kinds, {kind: (heading, explanation)}; empty groups are left out.

    Raises :class:`RunError` for an entry without file, caption and kind, and for a file outside RUN/overlays or that is
    no PNG.
    """
    groups: Dict[str, List[Dict[str, Optional[str]]]] = {kind: [] for kind in kinds}
    folder = (run / "overlays").resolve()
    for entry in entries:
        if not isinstance(entry, dict) or not {"file", "caption", "kind"} <= set(entry):
            raise RunError(f"{run / 'results.json'}: an overlay needs file, caption and kind")
        if entry["kind"] not in kinds:
            raise RunError(f"{run / 'results.json'}: overlay kind {entry['kind']!r} is none of {', '.join(kinds)}")
        path = (run / str(entry["file"])).resolve()
        if folder not in path.parents:
            raise RunError(f"{run / 'results.json'}: overlay {entry['file']!r} lies outside {run / 'overlays'}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunError(f"{run / str(entry['file'])}: cannot be read ({error.__class__.__name__})") from error
        if not content.startswith(_PNG_SIGNATURE):
            raise RunError(f"{run / str(entry['file'])}: not a PNG image")
        groups[entry["kind"]].append({"caption": str(entry["caption"]), "image": data_uri(content)})
    return [
        {"title": title, "note": note, "images": groups[kind]} for kind, (title, note) in kinds.items() if groups[kind]
    ]


def data_uri(png: Optional[bytes]) -> Optional[str]:
    """PNG bytes as the source of an image that needs no file."""
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")


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
