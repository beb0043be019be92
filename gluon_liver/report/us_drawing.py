"""Detections over an ultrasound frame in the colours of the paper's Figure S1."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from gluon_liver.errors import InputError

from .drawing import Colour, draw_overlay

# Figure S1: "The light blue box indicates the detected tumor. The red box indicates the detected blood vessel."
US_COLOURS = {"tumor": (105, 205, 255), "vessel": (255, 64, 64)}
SCORE_THRESHOLD = 0.5  # Figure S1: boxes "with a probability of 50% or more were shown"


def draw_us(
    frame: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    *,
    gt_boxes: Optional[np.ndarray] = None,
    gt_labels: Optional[np.ndarray] = None,
    score_threshold: float = SCORE_THRESHOLD,
    scale: Optional[int] = None,
    legend: bool = True,
) -> np.ndarray:
    """:func:`draw_overlay` of the detections with score >= score_threshold over an RGB frame.

    classes: each of US_COLOURS. legend: its height changes with what is drawn, so a video has none. Raises InputError
    for a class without a colour.
    """
    scores = np.asarray(scores, dtype=np.float64).reshape(-1)
    order = np.argsort(-scores, kind="stable")  # where room is short, better detections have their text nearer
    order = order[scores[order] >= score_threshold]
    return draw_overlay(
        frame,
        boxes=np.asarray(boxes, dtype=np.float64).reshape(-1, 4)[order],
        labels=np.asarray(labels, dtype=np.int64).reshape(-1)[order],
        scores=scores[order],
        gt_boxes=gt_boxes,
        gt_labels=gt_labels,
        classes=classes,
        colours=[_colour(name) for name in classes],
        scale=scale,
        legend=legend,
    )


def _colour(name: str) -> Colour:
    if name not in US_COLOURS:
        raise InputError(f"class {name!r} has no colour in Figure S1; its classes are {', '.join(US_COLOURS)}")
    return US_COLOURS[name]
