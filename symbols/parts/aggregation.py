"""Two frames in one map (ultrasound paper): summation and aggregation layer."""

from __future__ import division

import mxnet as mx
import numpy as np

from .fusion import averaging, cells, resample
from .layers import batch_norm, convolution, relu
from .warp import warp


def flow_constants(size, stride):
    """Name -> the matrix (cells of the map, pixels) of :func:`flow_in_cells`."""
    return {"cells.matrix": averaging(size, 1, cells(size, stride), stride).astype(np.float32)}


def flow_in_cells(flow, size, stride):
    """Flow (B, 2, size, size) in pixels -> its mean around each cell of a map, in cells, (B, 2, h, w)."""
    return resample(flow, mx.sym.Variable("cells.matrix"), cells(size, stride)) / stride


def no_flow(features):
    """The flow of nothing that moves, (B, 2, h, w), beside a map (B, C, h, w)."""
    return mx.sym.zeros_like(mx.sym.slice_axis(features, axis=1, begin=0, end=2))


def follow(previous, flow, side):
    """The previous frame's map (B, C, side, side) on the cells of the current one; the flow, in cells, is given at the
    previous frame's cells. gluon_liver.nn.aggregation has the reasons."""
    places = mx.sym.clip(mx.sym.GridGenerator(-flow, transform_type="warp"), a_min=-1, a_max=1)
    back = -mx.sym.BilinearSampler(flow, places)
    # MXNet 1.0 has the sampler's gradients for both of its inputs or for none: a flow that is not trained gets one too
    return warp(previous, back + 0 * mx.sym.slice_axis(previous, axis=1, begin=0, end=2), side)


def aggregation(current, previous, flow, channels, frozen):
    """Features (B, C, h, w) of both frames and the flow (B, 2, h, w) in cells -> (B, C, h, w)."""
    inner, name = channels // 4, "aggregation"
    y = mx.sym.concat(current, previous, flow, dim=1)
    y = relu(batch_norm(convolution(y, name + ".conv1", inner, 1), name + ".bn1", frozen))
    y = relu(batch_norm(convolution(y, name + ".conv2", inner, 3), name + ".bn2", frozen))
    return relu(batch_norm(convolution(y, name + ".conv3", channels, 1), name + ".bn3", frozen) + current)
