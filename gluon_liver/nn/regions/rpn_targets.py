"""Anchors, and what the region proposal network should say of each: pure functions on arrays."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from gluon_liver.config.network import RPNConfig
from gluon_liver.structures.boxes import box_iou, encode_boxes

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def assign_anchors(
    anchors: np.ndarray, boxes: np.ndarray, rpn: RPNConfig, *, size: Tuple[float, float], rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets of the region proposal network for one image (Ren et al. 2015, section 3.1.2).

    Parameters
    ----------
    anchors: (A, 4) corners in pixels of the network input.
    boxes: (M, 4) ground truth in the same frame; M may be 0, then all sampled anchors are background.
    size: (width, height) of the input; anchors that cross its border are ignored.

    Returns
    -------
    labels: (A,) float32, 1 positive, 0 negative, -1 ignored; at most ``rpn.samples`` are not ignored.
    targets: (A, 4) float32, (dx, dy, log dw, log dh) from anchor to box where positive, else 0.
    matches: (A,) int64, index of the best box, 0 where there is none.
    """
    labels = np.full(len(anchors), IGNORED, np.float32)
    targets = np.zeros((len(anchors), 4), np.float32)
    matches = np.zeros(len(anchors), np.int64)
    width, height = size
    inside = (anchors[:, 0] >= 0) & (anchors[:, 1] >= 0) & (anchors[:, 2] <= width) & (anchors[:, 3] <= height)
    if len(boxes):
        iou = np.where(inside[:, None], box_iou(anchors, boxes), -1.0)
        matches = iou.argmax(axis=1)
        best = iou.max(axis=1)
        labels[inside & (best < rpn.negative_iou)] = NEGATIVE
        labels[best >= rpn.positive_iou] = POSITIVE
        # each box also claims its closest anchors, provided that they overlap it at all
        closest = iou.max(axis=0)
        claimed = (iou >= closest - 1e-6) & (closest > 0)
        labels[claimed.any(axis=1)] = POSITIVE
        rows = np.flatnonzero(claimed.any(axis=1))
        matches[rows] = np.where(claimed[rows], iou[rows], -1).argmax(axis=1)
    else:
        labels[inside] = NEGATIVE
    _limit(labels, POSITIVE, int(round(rpn.samples * rpn.positive_ratio)), rng)
    _limit(labels, NEGATIVE, rpn.samples - int((labels == POSITIVE).sum()), rng)
    positive = np.flatnonzero(labels == POSITIVE)
    if len(positive):
        targets[positive] = encode_boxes(anchors[positive], boxes[matches[positive]])
    return labels, targets, matches


def _limit(labels: np.ndarray, value: int, count: int, rng: np.random.Generator) -> None:
    rows = np.flatnonzero(labels == value)
    if len(rows) > count:
        labels[rng.choice(rows, size=len(rows) - count, replace=False)] = IGNORED
