"""Boxes (x1, y1, x2, y2), x2 and y2 exclusive: scale, overlap, offsets from anchors."""

from __future__ import annotations

import numpy as np

from .arrays import Array, FloatArray


def scale_boxes(boxes: Array, scale: float) -> FloatArray:
    """Boxes (n, 4) in pixels of the stored image -> float32 (n, 4) in pixels of the resized one.

    Corners are edges of pixels, so that there is no offset of half a pixel.
    """
    return (np.asarray(boxes, dtype=np.float32) * np.float32(scale)).reshape(-1, 4)


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
