"""What the region proposal network should say of each anchor, in NumPy, as nn.regions.rpn_targets has it."""

from __future__ import division

import numpy as np

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def assign_anchors(anchors, boxes, size, rpn, rng):
    """Targets of the region proposal network for one image (Ren et al. 2015, section 3.1.2).

    Parameters
    ----------
    anchors: (A, 4) corners in pixels of the input; those that cross its border are ignored.
    boxes: (M, 4) ground truth; M may be 0, then all sampled anchors are background.
    size: side of the input. rpn: ``network.rpn`` of a configuration. rng: a ``numpy.random.RandomState``.

    Returns
    -------
    labels (A,) float32, 1 positive, 0 negative, -1 ignored; offsets (A, 4) float32 from anchor to box where positive.
    """
    labels = np.full(len(anchors), IGNORED, np.float32)
    offsets = np.zeros((len(anchors), 4), np.float32)
    inside = (anchors[:, :2] >= 0).all(axis=1) & (anchors[:, 2:] <= size).all(axis=1)
    if len(boxes):
        iou = np.where(inside[:, None], box_iou(anchors, boxes), -1.0)
        matches, best = iou.argmax(axis=1), iou.max(axis=1)
        labels[inside & (best < rpn["negative_iou"])] = NEGATIVE
        labels[best >= rpn["positive_iou"]] = POSITIVE
        # each box also claims its closest anchors, provided that they overlap it at all
        closest = iou.max(axis=0)
        claimed = (iou >= closest - 1e-6) & (closest > 0)
        rows = np.flatnonzero(claimed.any(axis=1))
        labels[rows] = POSITIVE
        matches[rows] = np.where(claimed[rows], iou[rows], -1).argmax(axis=1)
    else:
        labels[inside] = NEGATIVE
    keep_at_most(labels, POSITIVE, int(np.rint(rpn["samples"] * rpn["positive_ratio"])), rng)
    keep_at_most(labels, NEGATIVE, rpn["samples"] - int((labels == POSITIVE).sum()), rng)
    positive = np.flatnonzero(labels == POSITIVE)
    if len(positive):
        offsets[positive] = encode_boxes(anchors[positive], boxes[matches[positive]])
    return labels, offsets


def box_iou(first, second):
    """(n, 4) and (m, 4) corners -> (n, m), in double precision."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0)


def encode_boxes(anchors, boxes):
    """(dx, dy, log dw, log dh) that turn each anchor into its box; (n, 4) and (n, 4) -> (n, 4)."""
    # the logarithm of float32 differs between versions of NumPy
    anchors, boxes = anchors.astype(np.float64), boxes.astype(np.float64)
    sides, box_sides = anchors[:, 2:] - anchors[:, :2], boxes[:, 2:] - boxes[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return np.concatenate([shift / sides, np.log(box_sides / sides)], axis=1)


def keep_at_most(labels, value, count, rng):
    rows = np.flatnonzero(labels == value)
    if len(rows) > count:
        labels[rng.choice(rows, size=len(rows) - count, replace=False)] = IGNORED
