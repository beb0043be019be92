"""Region fusion (CT paper, Fig. 3): one pyramid out of the maps of all four blocks.

Upsampling to Concat's size and averaging to a level are one matrix along each axis (gluon_liver.nn.fusion), which is
an argument of the symbol, "fusion.from8_to16" say: MXNet 1.0 has no constants.
"""

from __future__ import division

import mxnet as mx
import numpy as np

from .layers import convolution

CONCAT_STRIDE = 2  # Concat is 224 of 448 pixels (Tables 2 and 3)


def cells(size, stride):
    """Cells of a map along one side."""
    return -(-size // stride)


def upsampling(cells_in, stride_in, cells_out, stride_out):
    """(cells_out, cells_in) of linear interpolation; cell k of either map lies on pixel stride * k, ends repeat."""
    place = np.minimum(np.arange(cells_out) * (stride_out / stride_in), cells_in - 1)
    low = np.floor(place).astype(int)
    matrix, rows = np.zeros((cells_out, cells_in)), np.arange(cells_out)
    np.add.at(matrix, (rows, low), 1 - (place - low))
    np.add.at(matrix, (rows, np.minimum(low + 1, cells_in - 1)), place - low)
    return matrix


def averaging(cells_in, stride_in, cells_out, stride_out):
    """(cells_out, cells_in) of the mean over one stride around each output cell's pixel, ends repeated."""
    reach = stride_out // stride_in // 2
    offsets = np.arange(-reach, reach + 1)
    weights = np.where(np.abs(offsets) == reach, 0.5, 1.0) / (2 * reach)
    matrix = np.zeros((cells_out, cells_in))
    for row in range(cells_out):
        np.add.at(matrix[row], np.clip(row * (stride_out // stride_in) + offsets, 0, cells_in - 1), weights)
    return matrix


def block_strides(network):
    """Strides of the four maps that are fused: of Block1 to Block4, or four times Block3's."""
    if network.get("fusion_blocks", "all") == "block3":
        return (network["stride"],) * 4
    return 4, 8, network["stride"], 2 * network["stride"]


def fusion_constants(size, levels, network):
    """Name -> matrix (cells of the level, cells of the block), float32."""
    concat, matrices = cells(size, CONCAT_STRIDE), {}
    for stride in sorted(set(block_strides(network))):
        up = upsampling(cells(size, stride), stride, concat, CONCAT_STRIDE)
        for level in levels:
            matrix = averaging(concat, CONCAT_STRIDE, cells(size, level), level).dot(up)
            matrices["fusion.from{}_to{}".format(stride, level)] = matrix.astype(np.float32)
    return matrices


def region_fusion(blocks, channels, size, levels, network):
    """The four maps (B, C_b, n_b, n_b) -> (B, 4 * channels, n, n) for each level, finest first."""
    strides, pyramid = block_strides(network), []
    laterals = [
        convolution(block, "fusion.laterals.{}".format(number), channels, 1, bias=True)
        for number, block in enumerate(blocks)
    ]
    for level in levels:
        matrices = {stride: mx.sym.Variable("fusion.from{}_to{}".format(stride, level)) for stride in set(strides)}
        maps = [resample(lateral, matrices[stride], cells(size, level)) for lateral, stride in zip(laterals, strides)]
        pyramid.append(mx.sym.concat(*maps, dim=1))
    return pyramid


def resample(x, matrix, count):
    """(B, C, n, n) and (count, n) -> (B, C, count, count): the matrix along both axes."""
    for _ in range(2):
        x = mx.sym.FullyConnected(x, weight=matrix, num_hidden=count, no_bias=True, flatten=False)
        x = mx.sym.swapaxes(x, dim1=2, dim2=3)
    return x
