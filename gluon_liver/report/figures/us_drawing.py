"""Detections over an ultrasound frame, tumors and vessels in the colours of the paper's Figure S1."""

from __future__ import annotations

import itertools
from typing import Dict, List, Mapping, Optional, Sequence, TypeVar

import numpy as np

from gluon_liver.structures.detections import SCORE_THRESHOLD, Boxes, Detections

from .chart import CURVE_COLOURS, US_CURVE_COLOURS
from .drawing import CLASS_COLOURS, Colour, draw_overlay

C = TypeVar("C", Colour, str)

# Figure S1: "The light blue box indicates the detected tumor. The red box indicates the detected blood vessel."
US_COLOURS: Dict[str, Colour] = {"tumor": (105, 205, 255), "vessel": (255, 64, 64)}
BESIDE = (1, 3, 4, 5)  # places in the palettes of colours that are like neither of them


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

    legend: its height changes with what is drawn, so a video has none.
    """
    detections = detections.at_score(score_threshold)
    order = np.argsort(-detections.scores, kind="stable")  # where room is short, better ones have their text nearer
    detections = Detections(detections.boxes[order], detections.scores[order], detections.labels[order])
    colours = us_colours(classes)
    return draw_overlay(frame, detections, truth=truth, classes=classes, colours=colours, scale=scale, legend=legend)


def us_colours(classes: Sequence[str]) -> List[Colour]:
    """By label: tumors and vessels as in the paper, other classes as those of CT, but unlike these two."""
    return _by_label(classes, US_COLOURS, CLASS_COLOURS)


def us_curve_colours(classes: Sequence[str]) -> List[str]:
    """:func:`us_colours` of charts, which stand on white."""
    return _by_label(classes, dict(zip(US_COLOURS, US_CURVE_COLOURS)), CURVE_COLOURS)


def _by_label(classes: Sequence[str], papers: Mapping[str, C], palette: Sequence[C]) -> List[C]:
    beside = [palette[place] for place in BESIDE] if set(classes) & set(papers) else palette
    others = itertools.cycle(beside)
    return [papers[name] if name in papers else next(others) for name in classes]
