"""Which ROIs the head learns from and what it should say of them, as nn.regions.roi_targets and GluonCV's target
generator have it; no gradient passes."""

from __future__ import division

import mxnet as mx
import numpy as np

from .layers import edges
from .rois import BOX_STDS
from .suppression import rows_of

IGNORED = -1  # class target of an ROI that is neither; 0 is background


def most_positives(head):
    """Of an image's samples: those that come first, and have box targets."""
    return int(np.rint(head["samples"] * head["positive_ratio"]))  # Python 2 rounds halves the other way


def box_iou(first, second):
    """(B, n, 4) and (B, m, 4) corners -> (B, n, m)."""
    ours, theirs = edges(first, axis=2), [mx.sym.swapaxes(edge, dim1=1, dim2=2) for edge in edges(second, axis=2)]
    sides = [
        mx.sym.broadcast_minimum(ours[2 + i], theirs[2 + i]) - mx.sym.broadcast_maximum(ours[i], theirs[i])
        for i in (0, 1)
    ]
    shared = mx.sym.maximum(sides[0], 0) * mx.sym.maximum(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (ours, theirs)]
    return shared / mx.sym.maximum(mx.sym.broadcast_add(areas[0], areas[1]) - shared, 1e-12)


def candidate_keys(keys, anchors, total, head, batch):
    """Keys (B, A + M) of anchors and true boxes -> (B, P + M) of proposals, by their anchors (B, P), and boxes."""
    ours = mx.sym.slice_axis(keys, axis=1, begin=0, end=total)
    boxes = mx.sym.slice_axis(keys, axis=1, begin=total, end=total + head["max_boxes"])
    return mx.sym.concat(rows_of([ours], anchors, total, batch)[0], boxes, dim=1)


def sample_rois(scores, rois, boxes, labels, keys, proposals, head, batch):
    """ROIs to learn from (Ren et al. 2015, section 3.2), as gluon_liver.nn.regions.roi_targets.RoiSampler draws them.

    Parameters
    ----------
    scores, rois: (B, P) and (B, P, 4) proposals, score below 0 for none. The true boxes are candidates too.
    boxes, labels: (B, M, 4) corners and (B, M) classes from 0, both -1 where there is none.
    keys: (B, P + M) from 0 to below 1; of each kind those with the largest keys are drawn.
    proposals, head: P, and ``network.head`` of a configuration.

    Returns
    -------
    rois (B, S, 4); class targets (B, S), 0 background, -1 ignored; true boxes (B, S, 4) that overlap most.
    """
    samples, most, count = head["samples"], most_positives(head), proposals + head["max_boxes"]
    candidates = mx.sym.concat(rois, boxes, dim=1)
    there = mx.sym.concat(scores, mx.sym.sum(boxes, axis=2), dim=1) >= 0
    overlaps = box_iou(candidates, boxes)
    positive = there * (mx.sym.max(overlaps, axis=2) >= head["positive_iou"])
    negative = there * (1 - positive)
    order = descending(keys + 4 * positive + 2 * negative)
    rest = mx.sym.slice_axis(order, axis=1, begin=most, end=count)
    preference = rows_of([keys + 2 * positive + 4 * negative], rest, count, batch)[0]
    rest = rows_of([rest], descending(preference), count - most, batch)[0]
    first = mx.sym.slice_axis(order, axis=1, begin=0, end=most)
    drawn = mx.sym.concat(first, mx.sym.slice_axis(rest, axis=1, begin=0, end=samples - most), dim=1)
    match = mx.sym.one_hot(mx.sym.argmax(overlaps, axis=2), depth=head["max_boxes"])  # (B, P + M, M)
    matched = mx.sym.batch_dot(match, boxes)
    classes = mx.sym.sum(mx.sym.broadcast_mul(match, mx.sym.expand_dims(labels, axis=1)), axis=2)
    targets = positive * (classes + 1) + (1 - there) * IGNORED
    found = rows_of([candidates, targets, matched], drawn, count, batch)
    return [mx.sym.BlockGrad(part) for part in found]


def descending(values):
    """(B, n) -> the indices of the largest first."""
    return mx.sym.argsort(values, axis=1, is_ascend=False)


def box_targets(rois, boxes, targets, classes):
    """ROIs and true boxes (B, S, 4) and class targets (B, S) -> normalised offsets (B, S, 1, 4), the same for every
    class, and masks (B, S, C, 1), 1 at the class of a positive."""
    ours, theirs = edges(rois, axis=2), edges(boxes, axis=2)
    positive = mx.sym.expand_dims(targets > 0, axis=2)
    offsets = []
    for i in (0, 1):
        # what is no positive may have no area: its offset is 0
        side = mx.sym.where(positive, ours[2 + i] - ours[i], mx.sym.ones_like(ours[0]))
        true_side = mx.sym.where(positive, theirs[2 + i] - theirs[i], mx.sym.ones_like(ours[0]))
        shift = (theirs[i] + theirs[2 + i] - ours[i] - ours[2 + i]) / 2
        offsets.append((shift * positive / side / BOX_STDS[i], mx.sym.log(true_side / side) / BOX_STDS[2 + i]))
    offsets = mx.sym.concat(*[each[part] for part in (0, 1) for each in offsets], dim=2)
    numbers = mx.sym.reshape(mx.sym.arange(start=1, stop=classes + 1), shape=(1, 1, classes))
    masks = mx.sym.broadcast_equal(mx.sym.expand_dims(targets, axis=2), numbers)
    return mx.sym.expand_dims(offsets, axis=2), mx.sym.expand_dims(masks, axis=3)
