"""Operators of LiteFlowNet (Hui, Tang, Loy, CVPR 2018) that have no parameters.

A flow is (B, 2, H, W), channel 0 to the right (dx), channel 1 downwards (dy), in cells of the map that it belongs to.
"""

from __future__ import annotations

from typing import Any

# Natural logarithm of 2e-22: no sum of float32 that has a 1 in it sees less. The far tail of a Gaussian is numbers
# below 1e-38, which take a processor a hundred times as long: the relation of phases ran at a fortieth of its speed.
FAINTEST = -50.0

MAX_DISPLACEMENT = 3  # cells that matching looks at in each direction (times the stride; paper, descriptor matching)
DISPLACEMENTS = (2 * MAX_DISPLACEMENT + 1) ** 2


def warp(F: Any, x: Any, flow: Any, *, single_cells: bool = True) -> Any:
    """What x, (B, C, H, W), shows at each place moved along its flow, (B, 2, H, W) -> (B, C, H, W).

    out[c, i, j] = x[c, i + dy, j + dx], bilinear, zero outside of x (paper: feature warping). ``single_cells`` false
    saves three operators where H and W are 2 or more.
    """
    if not single_cells:
        return F.BilinearSampler(x, F.GridGenerator(flow, transform_type="warp"))
    # The generator divides by H - 1 and W - 1: one row and one column of the zeros outside keep that from being 0.
    padded = F.pad(x, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, 1, 0, 1))
    flow = F.pad(flow, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, 1, 0, 1))
    moved = F.BilinearSampler(padded, F.GridGenerator(flow, transform_type="warp"))
    return F.slice_like(moved, x, axes=(2, 3))


def correlation(F: Any, first: Any, second: Any, *, stride: int) -> Any:
    """The cost volume: two maps (B, C, H, W) -> (B, 49, H / stride, W / stride), H and W divisible by the stride.

    Channel 7 (dy + 3) + dx + 3 at (i, j) is the mean over channels of first[stride i, stride j] times
    second[stride (i + dy), stride (j + dx)], dy and dx from -3 to 3, zero outside (paper: descriptor matching).
    """
    reach = MAX_DISPLACEMENT * stride
    options = dict(max_displacement=reach, pad_size=reach, stride1=stride, stride2=stride)
    return F.Correlation(first, second, kernel_size=1, is_multiply=True, **options)


def shrink(F: Any, x: Any, factor: int) -> Any:
    """(B, C, H, W), H and W multiples of the factor -> (B, C, H / factor, W / factor): means of factor x factor."""
    return F.Pooling(x, kernel=(factor, factor), stride=(factor, factor), pool_type="avg")


def enlarge_flow(F: Any, flow: Any, factor: int) -> Any:
    """A flow (B, 2, h, w) in cells -> (B, 2, h * factor, w * factor) in cells of that size, bilinear."""
    return factor * enlarge(F, flow, factor)


def enlarge(F: Any, x: Any, factor: int) -> Any:
    """(B, C, h, w) -> (B, C, h * factor, w * factor), bilinear between the middles of cells."""
    options = dict(mode="size", scale_height=factor, scale_width=factor, align_corners=False)
    return F.contrib.BilinearResize2D(x, **options)


def similarity(F: Any, distance: Any) -> Any:
    """Distances (B, k * k, H, W) of each place to its neighbours -> exp(-distance^2), the nearest neighbour 1.

    Divided by their sum over axis 1, which makes them the softmax of -distance^2, these are the filters of the local
    convolution (paper: flow regularization).
    """
    return exp_of_largest(F, -F.square(distance), axis=1)


def neighbours(F: Any, x: Any, *, like: Any, kernel: int) -> Any:
    """One channel (B, 1, H, W) -> (B, k * k, H, W): the k x k cells around each, row by row, zero outside.

    ``like`` is any array of the output's shape.
    """
    columns = F.im2col(x, kernel=(kernel, kernel), stride=(1, 1), dilate=(1, 1), pad=(kernel // 2, kernel // 2))
    return F.reshape_like(columns, like)  # (B, k * k, H * W) -> (B, k * k, H, W)


def zero_mean(F: Any, flow: Any) -> Any:
    """The flow less its mean over the image, channel by channel (paper: flow regularization)."""
    return F.broadcast_sub(flow, F.mean(flow, axis=(2, 3), keepdims=True))


def pad_to_multiple(F: Any, x: Any, multiple: int) -> Any:
    """(B, C, H, W) of any size -> H and W up to the next multiple; edges are repeated at the bottom and right."""
    padded = F.pad(x, mode="edge", pad_width=(0, 0, 0, 0, 0, multiple - 1, 0, multiple - 1))
    # A symbol does not know its size. Blocks that fit into the padded map, enlarged again, have the one wanted.
    blocks = F.Pooling(
        F.slice_axis(padded, axis=1, begin=0, end=1), kernel=(multiple, multiple), stride=(multiple, multiple)
    )
    return F.slice_like(padded, F.UpSampling(blocks, scale=multiple, sample_type="nearest"), axes=(2, 3))


def exp_of_largest(F: Any, x: Any, *, axis: int) -> Any:
    """exp(x) / exp(the largest x along ``axis``), at least exp(:data:`FAINTEST`): 1 at the largest, no overflow.

    Divided by its sum along ``axis`` it is the softmax, to float32's last digit. The largest takes no gradient, which
    it would lose to that division, nor do those that are raised to the least.
    """
    below = F.broadcast_sub(x, F.stop_gradient(F.max(x, axis=axis, keepdims=True)))
    return F.exp(F.maximum(below, FAINTEST))
