"""Pictures of some hits, false positives and misses, as the CT paper's Fig. 5."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.metrics.matching import class_hits
from gluon_liver.report.figures.drawing import save_png
from gluon_liver.structures.detections import SCORE_THRESHOLD
from gluon_liver.structures.image_result import ImageResult

from .task import Scored, Task

OVERLAYS_A_KIND = 4


def overlay_kind(result: ImageResult) -> Optional[str]:
    """What an overlay of this image shows: "miss", "false positive", "hit", or None for a clean background."""
    hits = class_hits(result.detections.at_score(SCORE_THRESHOLD), result.gt_boxes, result.gt_labels)
    if not hits.all():
        return "false positive"
    if hits.sum() < len(result.gt_boxes):
        return "miss"
    return "hit" if len(hits) else None


def overlay_examples(results: Sequence[ImageResult]) -> List[Tuple[str, int]]:
    """(kind, index) of a few hits, false positives and misses, spread over the results."""
    kinds = [overlay_kind(result) for result in results]
    chosen = []
    for kind in ("hit", "false positive", "miss"):
        rows = [row for row, other in enumerate(kinds) if other == kind]
        places = np.unique(np.linspace(0, len(rows) - 1, OVERLAYS_A_KIND).astype(int)) if rows else []
        chosen += [(kind, rows[place]) for place in places]
    return chosen


def write_overlays(folder: Path, task: Task, scored: Scored) -> List[Dict[str, str]]:
    """PNGs of some results in the new folder ``folder``; returns file, caption and kind of each for results.json."""
    folder.mkdir()
    written = []
    for kind, number in overlay_examples(scored.results):
        label = scored.labels[number]
        name = f"{kind.replace(' ', '-')}-{label.file_stem}.png"
        save_png(folder / name, task.draw(scored, number))
        written.append({"file": f"{folder.name}/{name}", "caption": f"{label.title}: {kind}", "kind": kind})
    return written
