"""Operators of LiteFlowNet (Hui, Tang, Loy, CVPR 2018) that have no parameters, as in gluon_liver.flow.operators.

A flow is (B, 2, H, W), channel 0 to the right, channel 1 downwards, in cells of the map that it belongs to. Sizes are
passed on: MXNet 1.0 has no slice_like.
"""

from __future__ import division

import mxnet as mx

MAX_DISPLACEMENT = 3  # cells that matching looks at in each direction, times the stride
DISPLACEMENTS = (2 * MAX_DISPLACEMENT + 1) ** 2


def warp(x, flow, side):
    """What x, (B, C, side, side), shows at each place moved along its flow, bilinear, zero outside."""
    # one row and one column of the zeros outside: the generator divides by H - 1 and W - 1
    x, flow = (
        mx.sym.pad(part, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, 1, 0, 1)) for part in (x, flow)
    )
    moved = mx.sym.BilinearSampler(x, mx.sym.GridGenerator(flow, transform_type="warp"))
    for axis in (2, 3):
        moved = mx.sym.slice_axis(moved, axis=axis, begin=0, end=side)
    return moved


def correlation(first, second, stride):
    """The cost volume of two maps (B, C, H, W) -> (B, 49, H / stride, W / stride)."""
    reach = MAX_DISPLACEMENT * stride
    return mx.sym.Correlation(
        first,
        second,
        kernel_size=1,
        max_displacement=reach,
        stride1=stride,
        stride2=stride,
        pad_size=reach,
        is_multiply=True,
    )


def shrunk(x, factor):
    """(B, C, H, W) -> (B, C, H / factor, W / factor): means of factor x factor cells."""
    return mx.sym.Pooling(x, kernel=(factor, factor), stride=(factor, factor), pool_type="avg")


def neighbours(x, kernel):
    """One channel (B, 1, H, W) -> (B, k * k, H, W), the cells around each row by row: im2col, which 1.0 lacks, is the
    convolution with kernels that hold a single one."""
    count = kernel**2
    weight = mx.sym.reshape(mx.sym.one_hot(mx.sym.arange(count), depth=count), shape=(count, 1, kernel, kernel))
    return mx.sym.Convolution(
        x, weight, kernel=(kernel, kernel), pad=(kernel // 2, kernel // 2), num_filter=count, no_bias=True
    )


def pad_to(x, side, padded):
    """(B, C, side, side) -> (B, C, padded, padded); edges are repeated at the bottom and right."""
    if side == padded:
        return x
    more = padded - side
    return mx.sym.pad(x, mode="edge", pad_width=(0, 0, 0, 0, 0, more, 0, more))
