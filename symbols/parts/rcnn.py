"""The ROI heads of both papers, and what becomes of their scores and offsets."""

from __future__ import division

import mxnet as mx

from .layers import dense, relu
from .random_numbers import apply_dropout
from .resnet import scaled, stage
from .rois import decode_boxes
from .suppression import best, suppress

DENSE_UNITS = 1024  # of each dense layer of the fusion head, as in Lin et al. 2017


def block4_head(pooled, network):
    """Pooled ROIs (N, C, h, w) -> (N, F): Block4, mean over the ROI."""
    return mx.sym.mean(stage(pooled, "block4", 4, network), axis=(2, 3))


def dense_head(pooled, network, numbers=None):
    """Pooled ROIs of the fused map (N, C, h, w) -> (N, F): two dense layers, in training with dropout between them."""
    units = scaled(DENSE_UNITS, network["width"])
    first = apply_dropout(relu(dense(pooled, "dense.first", units)), units, numbers)
    return relu(dense(first, "dense.second", units))


def detections(rpn_scores, rois, class_scores, box_deltas, abnormal, count, classes, head, batch):
    """What the head says of each ROI -> rows (B, K, 6), class, score, x1, y1, x2, y2, and a check value (B,).

    Boxes are in pixels of the input, unclipped, sorted by score; class -1 marks rows that suppression emptied. The
    check value is not finite where what the head says is not.

    Parameters
    ----------
    rpn_scores, rois: (B, R) and (B, R, 4), score -1 where there is no proposal.
    class_scores: (B, R, C + 1) before the softmax. box_deltas: (B, R, C, 4). abnormal: (B, R, 1), or None.
    count, classes: R and C. head: ``network.head`` of a configuration.
    """
    check = mx.sym.sum(class_scores, axis=(1, 2)) + mx.sym.sum(box_deltas, axis=(1, 2, 3))
    scores = mx.sym.slice_axis(mx.sym.softmax(class_scores, axis=2), axis=2, begin=1, end=None)  # (B, R, C)
    if abnormal is not None:
        check = check + mx.sym.sum(abnormal, axis=(1, 2))
        scores = mx.sym.broadcast_mul(scores, mx.sym.sigmoid(abnormal))
    scores = mx.sym.broadcast_mul(scores, mx.sym.expand_dims(rpn_scores >= 0, axis=2))
    # each class of an image is suppressed as an image of its own: (B, R, C) -> (B * C, R)
    scores = mx.sym.reshape(mx.sym.transpose(scores, axes=(0, 2, 1)), shape=(-3, 0))
    scores = mx.sym.where(scores > head["score_threshold"], scores, -mx.sym.ones((batch * classes, count)))
    boxes = mx.sym.transpose(decode_boxes(rois, box_deltas), axes=(0, 2, 1, 3))  # (B, C, R, 4)
    boxes = mx.sym.reshape(boxes, shape=(-3, 0, 0))
    scores, boxes = suppress(scores, boxes, count, count, count, head["nms_threshold"], batch * classes)
    total = classes * count
    scores, boxes = mx.sym.reshape(scores, shape=(batch, total)), mx.sym.reshape(boxes, shape=(batch, total, 4))
    ids = mx.sym.reshape(mx.sym.arange(start=0, stop=classes, repeat=count), shape=(1, total))
    ids = mx.sym.broadcast_to(ids, shape=(batch, total))
    ids = mx.sym.where(scores >= 0, ids, -mx.sym.ones((batch, total)))
    rows = mx.sym.concat(mx.sym.expand_dims(ids, axis=2), mx.sym.expand_dims(scores, axis=2), boxes, dim=2)
    return best(scores, [rows], total, min(head["max_detections"], total), batch)[1], check
