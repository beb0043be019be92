"""The page of a stream: its files, with what is known before the first frame put in."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence

import jinja2

from gluon_liver.report.figures.us_drawing import us_colours

from .history import MOST_BYTES, MOST_FRAMES
from .server import File

FILES = Path(__file__).parent / "files"


def page_files(*, source: str, facts: Sequence[str], classes: Sequence[str], live: bool, video: str) -> Dict[str, File]:
    """Name -> media type and content of all that the page is made of.

    source: what is watched. facts: short sentences about the run. live: the source shows what is now. video: where the
    annotated video goes, "" where none is written.
    """
    loader = jinja2.FileSystemLoader(FILES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    colours = [f"rgb({', '.join(map(str, colour))})" for colour in us_colours(classes)]
    shown: List[Dict[str, str]] = [{"name": name, "colour": colour} for name, colour in zip(classes, colours)]
    page = environment.get_template("page.html.j2").render(
        source=source,
        facts=facts,
        classes=shown,
        live=live,
        video=video,
        most_frames=MOST_FRAMES,
        most_mb=MOST_BYTES // 2**20,
    )
    return {
        "": ("text/html; charset=utf-8", page.encode("utf-8")),
        "live.css": ("text/css; charset=utf-8", (FILES / "live.css").read_bytes()),
        "live.js": ("text/javascript; charset=utf-8", (FILES / "live.js").read_bytes()),
    }
