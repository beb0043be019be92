"""Detections over an ultrasound frame in the colours of the paper's Figure S1."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.detections import SCORE_THRESHOLD, Boxes, Detections

from .drawing import draw_overlay

# Figure S1: "The light blue box indicates the detected tumor. The red box indicates the detected blood vessel."
US_COLOURS = {"tumor": (105, 205, 255), "vessel": (255, 64, 64)}


def draw_us(
    frame: np.ndarray,
    detections: Detections,
    classes: Sequence[str],
    *,
    truth: Optional[Boxes] = None,
    score_threshold: float = SCORE_THRESHOLD,
    scale: Optional[int] = None,
    legend: bool = True,
) -> np.ndarray:
    """:func:`draw_overlay` of the detections with score >= score_threshold over an RGB frame.

    classes: each of US_COLOURS. legend: its height changes with what is drawn, so a video has none. Raises InputError
    for a class without a colour.
    """
    unknown = [name for name in classes if name not in US_COLOURS]
    if unknown:
        raise InputError(f"class {unknown[0]!r} has no colour in Figure S1; its classes are {', '.join(US_COLOURS)}")
    detections = detections.at_score(score_threshold)
    order = np.argsort(-detections.scores, kind="stable")  # where room is short, better ones have their text nearer
    detections = Detections(detections.boxes[order], detections.scores[order], detections.labels[order])
    colours = [US_COLOURS[name] for name in classes]
    return draw_overlay(frame, detections, truth=truth, classes=classes, colours=colours, scale=scale, legend=legend)
