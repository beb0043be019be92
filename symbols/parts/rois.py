"""Features of regions of interest, and the decoding of their boxes, as gluon_liver.nn.regions.roi_align has them."""

from __future__ import division

import mxnet as mx

from .fusion import cells
from .layers import edges, relu
from .rpn import SIZE_LIMIT

BOX_STDS = (0.1, 0.1, 0.2, 0.2)  # normalisation of the head's box targets


def with_area(rois):
    """(B, R, 4) corners, every ROI at least one pixel wide and high: those of score -1 have no area."""
    x1, y1, x2, y2 = edges(rois, axis=2)
    return mx.sym.concat(x1, y1, mx.sym.maximum(x2, x1 + 1), mx.sym.maximum(y2, y1 + 1), dim=2)


def roi_align(feature_map, rois, count, batch, stride, side, size):
    """(B, C, h, w) and corners (B, R, 4) in pixels of the input -> bilinear means, (B * R, C, side, side).

    MXNet 1.0 has no ROIAlign. It acts on rows and columns alone, so it is one matrix along each axis of the map, whose
    rows hold the weights of a bin's two samples.
    """
    x1, y1, x2, y2 = edges(rois, axis=2)  # (B, R, 1)
    columns, rows = (
        mx.sym.BlockGrad(_bins(first, last, count, batch, stride, side, cells(size, stride)))
        for first, last in ((x1, x2), (y1, y2))
    )  # (B, R, side, cells)
    lines = mx.sym.reshape(mx.sym.transpose(feature_map, axes=(0, 2, 1, 3)), shape=(0, 0, -3))  # (B, h, C * w)
    picked = mx.sym.batch_dot(mx.sym.reshape(rows, shape=(0, -3, 0)), lines)  # (B, R * side, C * w)
    picked = mx.sym.reshape(picked, shape=(batch * count, -1, cells(size, stride)))  # (B * R, side * C, w)
    pooled = mx.sym.batch_dot(picked, mx.sym.reshape(columns, shape=(-3, 0, 0)), transpose_b=True)
    return mx.sym.transpose(mx.sym.reshape(pooled, shape=(0, -4, side, -1, 0)), axes=(0, 2, 1, 3))


def _bins(first, last, count, batch, stride, side, along):
    """Edges of ROIs along one axis (B, R, 1) -> weights (B, R, side, along) of the cells in each of ``side`` bins.

    Cell k is centred on stride * k + 0.5. A bin is the mean of two samples, which repeat the end cells for one cell
    beyond the map and are zero further out, as in the operator.
    """
    first, last = (((edge + (stride - 1) / 2.0) / stride) - 0.5 for edge in (first, last))
    fractions = mx.sym.reshape((mx.sym.arange(2 * side) + 0.5) / (2 * side), shape=(1, 1, 2 * side))
    places = mx.sym.broadcast_add(first, mx.sym.broadcast_mul(last - first, fractions))  # (B, R, 2 * side)
    near = (places >= -1) * (places <= along)
    places = mx.sym.expand_dims(mx.sym.clip(places, 0, along - 1), axis=3)
    distance = mx.sym.broadcast_sub(places, mx.sym.reshape(mx.sym.arange(along), shape=(1, 1, 1, along)))
    weights = mx.sym.broadcast_mul(relu(1 - mx.sym.abs(distance)), mx.sym.expand_dims(near, axis=3))
    return mx.sym.mean(mx.sym.reshape(weights, shape=(batch, count, side, 2, along)), axis=3)


def roi_pool(feature_map, rois, count, batch, stride, side, size):
    """As :func:`roi_align`, but maxima over whole cells (Girshick 2015)."""
    images = mx.sym.reshape(mx.sym.arange(start=0, stop=batch, repeat=count), shape=(batch, count, 1))
    x1, y1, x2, y2 = edges(rois, axis=2)
    rows = mx.sym.reshape(mx.sym.concat(images, x1, y1, x2 - 1, y2 - 1, dim=2), shape=(-3, 0))  # (B * R, 5)
    return mx.sym.ROIPooling(feature_map, mx.sym.BlockGrad(rows), pooled_size=(side, side), spatial_scale=1.0 / stride)


ROI_MODES = {"align": roi_align, "pool": roi_pool}  # network.roi_mode


def pyramid_rois(maps, rois, count, batch, strides, side, size, mode):
    """Every ROI from the coarsest level on which its mean side spans ``side`` cells -> (B * R, C, side, side)."""
    x1, y1, x2, y2 = edges(rois, axis=2)
    mean_side = mx.sym.reshape(mx.sym.sqrt((x2 - x1) * (y2 - y1)), shape=(-1,))  # (B * R,)
    pooled = None
    for feature_map, stride in zip(maps, strides):
        here = ROI_MODES[mode](feature_map, rois, count, batch, stride, side, size)
        pooled = here if pooled is None else mx.sym.where(mean_side >= stride * side, here, pooled)
    return pooled


def decode_boxes(rois, deltas):
    """ROIs (B, R, 4) and the head's normalised offsets (B, R, C, 4) -> (B, R, C, 4) corners."""
    x1, y1, x2, y2 = (mx.sym.expand_dims(edge, axis=2) for edge in edges(rois, axis=2))  # (B, R, 1, 1)
    dx, dy, dw, dh = edges(deltas, axis=3)  # (B, R, C, 1)
    width, height = x2 - x1, y2 - y1
    x = mx.sym.broadcast_add(mx.sym.broadcast_mul(dx * BOX_STDS[0], width), (x1 + x2) / 2)
    y = mx.sym.broadcast_add(mx.sym.broadcast_mul(dy * BOX_STDS[1], height), (y1 + y2) / 2)
    dw, dh = (mx.sym.exp(mx.sym.clip(d * BOX_STDS[2], -SIZE_LIMIT, SIZE_LIMIT)) for d in (dw, dh))
    half_width, half_height = mx.sym.broadcast_mul(dw, width / 2), mx.sym.broadcast_mul(dh, height / 2)
    return mx.sym.concat(x - half_width, y - half_height, x + half_width, y + half_height, dim=3)
