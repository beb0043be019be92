"""Region fusion (CT paper, Fig. 3 and the Concat row of Tables 2 and 3): shallow and deep maps in one pyramid.

Read literally: each block's map goes through a lateral 1x1 convolution, is upsampled to Concat's size (stride 2) and
concatenated; a pyramid of strides 4 to 32 is then averaged out of the fused map. Upsampling and averaging are linear
and act on every channel alone, so both together are one matrix along each axis, applied to the small map of the block:
the fused map at stride 2, the largest tensor of the network, is never formed.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
from mxnet.gluon import nn

BLOCK = 16  # channels that oneDNN keeps together with AVX-512; convolutions with fewer have blocks of 8
CONCAT_STRIDE = 2  # Concat is 224 of 448 pixels (Tables 2 and 3)


def upsampling(cells_in: int, stride_in: int, cells_out: int, stride_out: int) -> np.ndarray:
    """(cells_out, cells_in) of linear interpolation; cell k of either map lies on pixel stride * k, ends repeat."""
    place = np.minimum(np.arange(cells_out) * (stride_out / stride_in), cells_in - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, cells_in - 1)
    matrix = np.zeros((cells_out, cells_in))
    rows = np.arange(cells_out)
    np.add.at(matrix, (rows, low), 1 - (place - low))
    np.add.at(matrix, (rows, high), place - low)
    return matrix


def averaging(cells_in: int, stride_in: int, cells_out: int, stride_out: int) -> np.ndarray:
    """(cells_out, cells_in) of the mean over one stride around each output cell's pixel, ends repeated.

    The window is symmetric, its two end cells count half, so that cells stay on pixel stride * k.
    """
    reach = stride_out // stride_in // 2
    offsets = np.arange(-reach, reach + 1)
    weights = np.where(np.abs(offsets) == reach, 0.5, 1.0) / (2 * reach)
    centres = np.arange(cells_out) * (stride_out // stride_in)
    matrix = np.zeros((cells_out, cells_in))
    for row, centre in enumerate(centres):
        np.add.at(matrix[row], np.clip(centre + offsets, 0, cells_in - 1), weights)
    return matrix


class RegionFusion(nn.HybridBlock):
    """Maps of Block1 to Block4 of one image -> the pyramid.

    in_channels, strides: of the blocks' maps.
    channels: of each lateral; a level has one for each block.
    levels: strides of the pyramid, finest first.
    size: side of the square network input in pixels.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        strides: Sequence[int],
        channels: int,
        levels: Sequence[int],
        size: int,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._strides = tuple(strides)
        self._narrow = channels < BLOCK
        self._cells = {level: -(-size // level) for level in levels}
        concat = -(-size // CONCAT_STRIDE)
        with self.name_scope():
            self.laterals = nn.HybridSequential(prefix="lateral_")
            with self.laterals.name_scope():
                for count in in_channels:
                    self.laterals.add(nn.Conv2D(channels, 1, in_channels=count))
            for stride in sorted(set(strides)):
                up = upsampling(-(-size // stride), stride, concat, CONCAT_STRIDE)
                for level in levels:
                    matrix = averaging(concat, CONCAT_STRIDE, self._cells[level], level) @ up
                    name = f"from{stride}_to{level}"
                    setattr(self, name, self.params.get_constant(name, matrix.astype(np.float32)))

    def hybrid_forward(self, F: Any, *blocks: Any, **matrices: Any) -> List[Any]:
        """(B, C_b, size / stride_b, size / stride_b) of each block -> (B, blocks * channels, size / s, size / s)."""
        if self._narrow:
            # a gradient in other blocks than the map's own sends BatchNorm to oneDNN's reference, a hundred times as
            # slow; that of a slice is in plain order and is put into the map's
            blocks = tuple(F.slice_axis(block, axis=1, begin=0, end=None) for block in blocks)
        laterals = [lateral(block) for lateral, block in zip(self.laterals, blocks)]
        pyramid = []
        for level, cells in self._cells.items():
            used = [matrices[f"from{stride}_to{level}"] for stride in self._strides]
            pyramid.append(F.concat(*[resample(F, *pair, cells) for pair in zip(laterals, used)], dim=1))
        return pyramid


def resample(F: Any, x: Any, matrix: Any, cells: int) -> Any:
    """(B, C, n, n) and (cells, n) -> (B, C, cells, cells): the matrix along both axes."""

    def along_last(array):
        return F.FullyConnected(array, matrix, None, num_hidden=cells, no_bias=True, flatten=False)

    return F.swapaxes(along_last(F.swapaxes(along_last(x), 2, 3)), 2, 3)
