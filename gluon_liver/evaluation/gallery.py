"""Pictures of some hits, misses and errors of each kind, with their neighbours and phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np

from gluon_liver.metrics.errors.causes import LOW_SCORE
from gluon_liver.metrics.errors.examples import Example, examples
from gluon_liver.report.figures.close_up import draw_close_up, region_around, save_webp
from gluon_liver.report.figures.drawing import Rect
from gluon_liver.structures.detections import NOTHING, SCORE_THRESHOLD, Detections

from .failures import Judgement
from .task import Scored, Task, View

MOST_A_KIND = 6


def write_gallery(folder: Path, task: Task, scored: Scored, judgement: Judgement) -> Dict[str, Any]:
    """{"gallery", "gallery_totals"} of results.json, with pictures in the folder, which is there.

    An entry has the reference picture, cut around the box, and under "pictures" the same part of the images next to
    it and of the other phases. Boxes are those of each image; what was not scored has none. Brackets show in all of
    them where the box is that the entry is about.
    """
    chosen, totals = examples(scored.results, *judgement, scored.dataset.classes, most=MOST_A_KIND)
    number_of: Dict[str, int] = {}
    entries = []
    for example in chosen:
        number_of[example.kind] = number_of.get(example.kind, 0) + 1
        stem = f"gallery-{example.kind.replace(' ', '-')}-{number_of[example.kind]:02d}"
        entries.append(_entry(folder, stem, task, scored, example))
    return {"gallery": entries, "gallery_totals": totals}


def _entry(folder: Path, stem: str, task: Task, scored: Scored, example: Example) -> Dict[str, Any]:
    label, item = scored.labels[example.image], example.item
    region = region_around(item["box"], label.height, label.width)
    pictures = []
    for number, view in enumerate(task.views(scored, example.image)):
        name = f"{stem}-{number}.webp" if number else f"{stem}.webp"
        save_webp(folder / name, _draw(task, scored, view, region, example))
        shown = {"phase": view.phase, "offset": view.offset, "label": view.label}
        pictures.append({"file": f"{folder.name}/{name}", **shown})
    shared = {
        key: item[key] for key in ("image_id", "case", "place", "patient", "class", "other", "cause", "iou", "score")
    }
    return {
        "kind": example.kind,
        **shared,
        "caption": f"{label.title}: {caption_of(item)}",
        "file": pictures[0]["file"],
        "pictures": pictures,
    }


def _draw(task: Task, scored: Scored, view: View, region: Rect, example: Example) -> np.ndarray:
    classes, found, truth = scored.dataset.classes, NOTHING, None
    if view.scored is not None:
        every, truth = scored.results[view.scored].detections, scored.labels[view.scored]
        shown = every.scores >= SCORE_THRESHOLD
        if example.verdict.cause == LOW_SCORE and view.scored == example.image:
            shown |= every.scores == example.verdict.score  # the box that would have been right is the thing to see
        found = Detections(every.boxes[shown], every.scores[shown], every.labels[shown])
    looks: Dict[str, Any] = {"classes": classes, "colours": task.colours(classes), "about": example.item["box"]}
    return draw_close_up(view.picture, region, found, truth=truth, **looks)


def caption_of(item: Dict[str, Any]) -> str:
    """What an entry of ``errors.items`` says, in words: badly placed: cyst, score 0.81, IoU 0.47."""
    parts = [item["class"]]
    if item["other"] not in (None, item["class"]):
        parts[0] += f" on {item['other']}" if item["kind"] == "detection" else f" taken for {item['other']}"
    if item["score"] is not None:
        parts.append(f"score {item['score']:.2f}")
    if item["iou"]:
        parts.append(f"IoU {item['iou']:.2f}")
    return f"{item['cause']}: {', '.join(parts)}"
