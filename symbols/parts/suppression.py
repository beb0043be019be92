"""Non-maximum suppression with operators of MXNet 1.0.

1.0 has no box_nms. Its contrib.MultiBoxDetection ends in the same suppression (no pixel added to a side, greedy by
score), and leaves every row that it is given in its place once rows are sorted: it serves here as a mask. That keeps
the Gluon networks' proposals number for number, which contrib.Proposal cannot: that rounds anchors to whole pixels,
counts a side as x2 - x1 + 1, reads one level and one image.
"""

from __future__ import division

import mxnet as mx

from .layers import edges


def best(scores, arrays, rows, count, batch):
    """The ``count`` rows of highest score of each image, sorted by it: of scores (B, rows) and of arrays
    (B, rows, k)."""
    order = mx.sym.topk(scores, axis=1, k=count, ret_typ="indices")
    return rows_of([scores] + arrays, order, rows, batch)


def rows_of(arrays, order, rows, batch):
    """The rows of each image that ``order`` (B, n) names: of arrays (B, rows) or (B, rows, k)."""
    first = mx.sym.reshape(mx.sym.arange(start=0, stop=batch * rows, step=rows), shape=(batch, 1))
    order = mx.sym.broadcast_add(order, first)
    return [mx.sym.take(mx.sym.reshape(array, shape=(-3, -2)), order) for array in arrays]


def survives(scores, boxes, rows, threshold, batch):
    """(B, rows) true where a row survives; rows are sorted by score, those below 0 are no candidates."""
    x1, y1, x2, y2 = edges(boxes, axis=2)
    # a box is written as the offsets from a unit box around the origin: an operator for SSD wants anchors
    offsets = mx.sym.concat((x1 + x2) / 2, (y1 + y2) / 2, mx.sym.log(x2 - x1), mx.sym.log(y2 - y1), dim=2)
    corner = mx.sym.ones((1, rows, 2)) * 0.5
    found = mx.sym.contrib.MultiBoxDetection(
        mx.sym.reshape(mx.sym.concat(mx.sym.zeros_like(scores), scores, dim=1), shape=(batch, 2, rows)),
        mx.sym.reshape(offsets, shape=(batch, rows * 4)),
        mx.sym.concat(-corner, corner, dim=2),
        clip=False,
        threshold=0.0,
        nms_threshold=threshold,
        variances=(1, 1, 1, 1),
    )  # (B, rows, 6), class -1 where suppressed
    return mx.sym.reshape(mx.sym.slice_axis(found, axis=2, begin=0, end=1), shape=(batch, rows)) >= 0


def suppress(scores, boxes, rows, before, after, threshold, batch, more=()):
    """Greedy suppression of the best ``before`` rows -> the best ``after`` that survive, sorted by score.

    Scores (B, rows), below 0 for no candidate, and boxes (B, rows, 4) -> (B, after) and (B, after, 4); what is left
    of ``after`` has score -1 and corners -1. Arrays (B, rows) of ``more`` are carried along, each to (B, after).
    """
    before, after = min(before, rows), min(after, before, rows)
    sorted_rows = best(scores, [boxes] + list(more), rows, before, batch)
    scores, boxes = sorted_rows[:2]
    scores = mx.sym.where(survives(scores, boxes, before, threshold, batch), scores, -mx.sym.ones((batch, before)))
    sorted_rows = best(scores, [boxes] + sorted_rows[2:], before, after, batch)
    scores, boxes = sorted_rows[:2]
    real = mx.sym.broadcast_to(mx.sym.expand_dims(scores >= 0, axis=2), shape=(batch, after, 4))
    return [scores, mx.sym.where(real, boxes, -mx.sym.ones((batch, after, 4)))] + sorted_rows[2:]
