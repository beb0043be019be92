"""Small pictures of one box and what lies around it, cut from an image, with detections and ground truth."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from gluon_liver.structures.detections import Boxes, Detections

from .drawing import Colour, Rect, draw_overlay

SIDE = 512  # pixels of a picture's longer side at most
AROUND = 4.0  # times the longer side of the box
LEAST = 96  # pixels of the image that are shown at least
QUALITY = 72  # of WebP: noise keeps its grain, edges of boxes stay clean


@dataclass(frozen=True, eq=False)
class _Moved:
    """Some boxes in pixels of a part of the image."""

    boxes: np.ndarray
    labels: np.ndarray


def region_around(box: np.ndarray, height: int, width: int) -> Rect:
    """A square part of an image around a box, moved into the image, or as much of it as the image has.

    Its side is :data:`AROUND` times the box's longer one, and :data:`LEAST` pixels or more.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    side = max(LEAST, math.ceil(AROUND * max(x2 - x1, y2 - y1)))
    left, top = (
        max(0, min(round((low + high - side) / 2), whole - side))
        for low, high, whole in ((x1, x2, width), (y1, y2, height))
    )
    return Rect(left, top, min(width, left + side), min(height, top + side))


def draw_close_up(
    picture: np.ndarray,
    region: Rect,
    detections: Detections,
    *,
    truth: Optional[Boxes],
    classes: Sequence[str],
    colours: Sequence[Colour],
) -> np.ndarray:
    """:func:`draw_overlay` of a part of a picture (H, W) or (H, W, 3) uint8, without its legend.

    What is drawn is enlarged by a whole factor, or made smaller, so that its longer side has :data:`SIDE` pixels at
    most. Boxes that reach beyond the part end at its edge, others are left out.
    """
    part = picture[region.top : region.bottom, region.left : region.right]
    zoom = SIDE / max(part.shape[:2])
    if zoom < 1:
        size = (max(1, round(part.shape[1] * zoom)), max(1, round(part.shape[0] * zoom)))
        part = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.LANCZOS))
    shrink = min(1.0, zoom)
    inside, kept = _inside(detections.boxes, region, shrink)
    found = Detections(inside, detections.scores[kept], detections.labels[kept])
    drawn = None
    if truth is not None:
        inside, kept = _inside(truth.boxes, region, shrink)
        drawn = _Moved(inside, truth.labels[kept])
    scale = max(1, math.floor(zoom))
    return draw_overlay(part, found, truth=drawn, classes=classes, colours=colours, scale=scale, legend=False)


def _inside(boxes: np.ndarray, region: Rect, shrink: float) -> Tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of the part, and which of them have some of it."""
    corner, size = [region.left, region.top] * 2, [region.right - region.left, region.bottom - region.top] * 2
    moved = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4) - np.array(corner), 0, size)
    kept = (moved[:, 2:] > moved[:, :2]).all(axis=1)
    return (moved[kept] * shrink).astype(np.float32), kept


def save_webp(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture (h, w, 3) uint8. Raises OSError when it cannot be written whole."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="WEBP", quality=QUALITY)
    path.write_bytes(stream.getvalue())
