"""Boxes (x1, y1, x2, y2), x2 and y2 exclusive: scale, overlap, offsets from anchors."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .arrays import Array, FloatArray

BEYOND = 1.0  # pixels outside the image that rounding does not explain
_SHARE = 0.05  # of boxes beyond the border, from which on corners are suspected


def scale_boxes(boxes: Array, scale: float) -> FloatArray:
    """Boxes (n, 4) in pixels of the stored image -> float32 (n, 4) in pixels of the resized one.

    Corners are edges of pixels, so that there is no offset of half a pixel.
    """
    return (np.asarray(boxes, dtype=np.float32) * np.float32(scale)).reshape(-1, 4)


def why_not_xywh(boxes: Array, sizes: Array, names: Sequence[str]) -> str:
    """Why boxes (n, 4) of images of ``sizes`` (n, 2) seem to be something else than x, y, width and height in pixels.

    names: of the n boxes, for the text.

    Empty where they do not: most may be corners only where some would leave their image by more than rounding explains,
    and fractions of the image only where no number is above 1.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    most = np.asarray(sizes, dtype=np.float64).reshape(-1, 2) + BEYOND
    beyond = (boxes[:, :2] + boxes[:, 2:] > most).any(axis=1)
    as_corners = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes[:, 2:] <= most).all(axis=1)
    if beyond.any() and beyond.mean() >= _SHARE and as_corners.all():
        read = "read as x1, y1, x2, y2 all of them lie inside, but COCO has x, y, width, height"
        first = int(np.argmax(beyond))
        shown = f"the first in {names[first]}: {boxes[first].tolist()}"
        return f"{int(beyond.sum())} of {len(boxes)} boxes leave their image, {shown}; {read}"
    if len(boxes) and boxes.max() <= 1 and (boxes % 1).any():
        meant = "these seem to be fractions of the image; multiply by its width and height"
        return f"no number of any bbox is above 1: {meant}"
    return ""


def box_iou(boxes: Array, others: Array) -> FloatArray:
    """Intersection over union of (n, 4) and (m, 4) boxes (x1, y1, x2, y2 exclusive) -> (n, m) float64.

    A pair whose union is empty has IoU 0.
    """
    a = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    b = np.asarray(others, dtype=np.float64).reshape(-1, 4)
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    intersection = np.clip(sides, 0.0, None).prod(axis=-1)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b))
    union = area_a[:, None] + area_b[None, :] - intersection
    overlap: FloatArray = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def encode_boxes(anchors: Array, boxes: Array) -> FloatArray:
    """(dx, dy, log dw, log dh) that turn each anchor into its box; (n, 4) and (n, 4) -> (n, 4)."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    box_sizes = boxes[:, 2:] - boxes[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return np.concatenate([shift / sizes, np.log(box_sizes / sizes)], axis=1)
