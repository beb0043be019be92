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
    """Draw detections with score >= score_threshold (solid, label and score) and ground truth (dashed, white).

    Args:
        frame: (H, W, 3) RGB uint8.
        boxes: (m, 4) x1, y1, x2, y2 in pixels of frame, x2 and y2 exclusive; labels (m,), scores (m,).
        classes: names by label, each of US_COLOURS.
        gt_boxes: (n, 4), gt_labels (n,); None for a frame that nobody annotated.
        scale: whole enlargement factor; by default the smallest that makes the longer side 640 pixels or more.
        legend: a strip under the frame; its height changes with what is drawn, so a video has none.

    Returns:
        (scale * H + strip, scale * W, 3) uint8 RGB.

    Raises:
        InputError: a class without a colour.
    """
    colours: Sequence[Colour] = [_colour(name) for name in classes]
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
        colours=colours,
        scale=scale,
        legend=legend,
    )


def _colour(name: str) -> Colour:
    if name not in US_COLOURS:
        raise InputError(f"class {name!r} has no colour in Figure S1; its classes are {', '.join(US_COLOURS)}")
    return US_COLOURS[name]
