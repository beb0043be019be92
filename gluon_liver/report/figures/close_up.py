"""Small pictures of one box and what lies around it, cut from an image, with detections and ground truth."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from gluon_liver.structures.detections import Boxes, Detections

from .drawing import GT_COLOUR, Colour, Rect, draw_overlay

SIDE = 512  # pixels of a picture's longer side at most
AROUND = 4.0  # times the longer side of the box
LEAST = 96  # pixels of the image that are shown at least
_RIM: Colour = (0, 0, 0)
_BRACKET, _APART = 14, 7  # pixels of a bracket's arms, and between it and the box
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
    about: Optional[np.ndarray] = None,
) -> np.ndarray:
    """:func:`draw_overlay` of a part of a picture (H, W) or (H, W, 3) uint8, without its legend.

    about: the box (4,) that the picture is about, in pixels of the whole picture; brackets around its corners show it.

    What is drawn is enlarged by a whole factor, or made smaller, so that its longer side has :data:`SIDE` pixels at
    most. Boxes that reach beyond the part end at its edge, others are left out.
    """
    part = picture[region.top : region.bottom, region.left : region.right]
    zoom = SIDE / max(part.shape[:2])
    scale = max(1, math.floor(zoom)) if zoom >= 1 else zoom
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    resampling = Image.Resampling.BICUBIC if zoom >= 1 else Image.Resampling.LANCZOS
    part = np.array(Image.fromarray(part).resize(size, resampling).convert("RGB"))
    if about is not None:  # below boxes and their texts, which must stay legible
        _bracket(part, _inside(about, region, scale)[0])
    inside, kept = _inside(detections.boxes, region, scale)
    found = Detections(inside, detections.scores[kept], detections.labels[kept])
    drawn = None
    if truth is not None:
        inside, kept = _inside(truth.boxes, region, scale)
        drawn = _Moved(inside, truth.labels[kept])
    return draw_overlay(part, found, truth=drawn, classes=classes, colours=colours, scale=1, legend=False)


def _bracket(picture: np.ndarray, boxes: np.ndarray) -> None:
    """Draw white brackets with a dark rim around the corners of boxes into a picture (h, w, 3)."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    height, width = picture.shape[:2]
    for x1, y1, x2, y2 in boxes.round().astype(int).tolist():
        left, top = max(1, x1 - _APART), max(1, y1 - _APART)
        right, bottom = min(width - 2, x2 + _APART), min(height - 2, y2 + _APART)
        for colour, line in ((_RIM, 5), (GT_COLOUR, 3)):
            for x, inward in ((left, 1), (right, -1)):
                for y, down in ((top, 1), (bottom, -1)):
                    arms = [(x, y + down * _BRACKET), (x, y), (x + inward * _BRACKET, y)]
                    draw.line(arms, fill=colour, width=line)
    picture[...] = np.asarray(image)


def _inside(boxes: np.ndarray, region: Rect, scale: float) -> Tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of the part, enlarged by ``scale``, and which of them have some of it."""
    corner, size = [region.left, region.top] * 2, [region.right - region.left, region.bottom - region.top] * 2
    moved = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4) - np.array(corner), 0, size)
    kept = (moved[:, 2:] > moved[:, :2]).all(axis=1)
    return (moved[kept] * scale).astype(np.float32), kept


def save_webp(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture (h, w, 3) uint8. Raises OSError when it cannot be written whole."""
    path.write_bytes(webp(picture))


def webp(picture: np.ndarray) -> bytes:
    """An RGB picture (h, w, 3) uint8 as WebP."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="WEBP", quality=QUALITY)
    return stream.getvalue()
