"""Why detections are wrong and objects were not found, as a table."""

from __future__ import annotations

from typing import Any, Dict

from gluon_liver.metrics.errors.causes import FOUND, RIGHT

from .table import Table


def causes_table(errors: Dict[str, Any]) -> Table:
    """The counts of ``errors`` in results.json, detections beside objects; a dash where a cause is of the other."""
    detections, objects = errors["detections"], errors["objects"]
    causes = [cause for cause in (*detections, *objects) if cause not in (RIGHT, FOUND)]
    rows = [(f"{RIGHT}, {FOUND}", str(detections[RIGHT]), str(objects[FOUND]))]
    rows += [
        (cause, *(str(counts.get(cause, "-")) for counts in (detections, objects))) for cause in dict.fromkeys(causes)
    ]
    title = f"Where it fails: detections at score {errors['score_threshold']:g}, and annotated boxes, by cause"
    return Table.of(title, ("cause", "detections", "boxes"), [*rows, ("all", *map(_sum, (detections, objects)))])


def _sum(counts: Dict[str, int]) -> str:
    return str(sum(counts.values()))
