"""ROIAlign on a CPU as two small matrix products a ROI, forward and backward.

A bin of ROIAlign (He et al. 2017) is a mean of bilinear samples on a grid, so it is a weighted sum of the map's rows
and then of its columns: ROI r of a map M (h, w, C) is Y_r M X_r^T with Y_r (bins, h) and X_r (bins, w), which are zero
outside of the ROI. MXNet's own operator adds every sample of every channel to the gradient under a lock; here the
gradient is the products with both matrices turned round.
"""

from __future__ import annotations

import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call, ctypes2numpy_shared, mx_float
from threadpoolctl import ThreadpoolController

from gluon_liver.structures.arrays import FloatArray

OPERATOR = "gluon_liver_roi_align"
SAMPLES = 2  # along each side of a bin
MOST_THREADS = 8  # each sums a gradient of its own


class Crop:
    """The part of a map that a ROI reads: rows y0 to y1, columns x0 to x1, and the weights of each bin on them."""

    def __init__(self, rows: FloatArray, columns: FloatArray):
        (self.y0, self.y1), (self.x0, self.x1) = _used(rows), _used(columns)
        self.rows = np.ascontiguousarray(rows[:, self.y0 : self.y1])  # (bins, y1 - y0)
        self.columns = np.ascontiguousarray(columns[:, self.x0 : self.x1])  # (bins, x1 - x0)


Roi = Tuple[int, int, Crop]  # its row, the index of its image, what it reads


def axis_weights(low: FloatArray, high: FloatArray, *, cells: int, bins: int, step: int = 1) -> FloatArray:
    """float32 (R, ceil(bins / step), cells): what each bin between ``low`` and ``high`` (R,), in cells, takes of each.

    Samples up to one cell outside of the map read its edge, those further away zero, as MXNet's operator has it and in
    its arithmetic. step: every so many bins, from the first one on.
    """
    size = (high - low) / np.float32(bins)
    places = np.arange(0, bins, step, dtype=np.float32)[:, None]
    within = (np.arange(SAMPLES, dtype=np.float32) + np.float32(0.5))[None, :]
    size, low = size[:, None, None], low[:, None, None]
    samples = (low + places * size + within * size / np.float32(SAMPLES)).reshape(len(low), -1)
    inside = (samples >= -1) & (samples <= cells)
    samples = np.clip(np.where(inside, samples, 0), 0, cells - 1)
    lower = np.minimum(samples.astype(np.int64), cells - 1)
    upper = np.minimum(lower + 1, cells - 1)
    share: FloatArray = samples - lower.astype(np.float32)
    weights = np.zeros((samples.size, cells), np.float32)
    each = np.arange(samples.size)
    np.add.at(weights, (each, lower.ravel()), (inside * (1 - share)).ravel())
    np.add.at(weights, (each, upper.ravel()), (inside * share).ravel())
    return weights.reshape(len(low), -1, SAMPLES, cells).mean(axis=2, dtype=np.float32)


def crops(rois: FloatArray, shape: Tuple[int, int], *, bins: int, scale: float, step: int) -> List[Crop]:
    """Of ROIs (R, 4), corners in pixels, on a map of ``shape`` cells."""
    x1, y1, x2, y2 = (rois * np.float32(scale) - np.float32(0.5)).T
    rows = axis_weights(y1, y2, cells=shape[0], bins=bins, step=step)
    columns = axis_weights(x1, x2, cells=shape[1], bins=bins, step=step)
    return [Crop(*pair) for pair in zip(rows, columns)]


class MatrixAlign(mx.operator.CustomOp):
    """Maps (B, h, w, C) and ROIs (R, 5), image index and corners in pixels -> (1, R, C, bins, bins).

    All arrays have to be in MXNet's own layout, see :func:`gluon_liver.nn.regions.roi_align.roi_matrices`.

    ROIs are parted among threads; each part of the gradient is summed by itself, so that results depend on the count of
    threads alone.
    """

    def __init__(self, **options: Any):
        super().__init__()
        self._options = options

    def forward(self, is_train: bool, req: Sequence[str], in_data: Any, out_data: Any, aux: Any) -> None:
        maps, pooled = memory_of(in_data[0]), memory_of(out_data[0])[0]

        def pool(rois: Sequence[Roi]) -> None:
            for row, image, crop in rois:
                part = maps[image, crop.y0 : crop.y1, crop.x0 : crop.x1]
                bins = len(crop.rows)
                along = crop.rows @ part.reshape(len(part), -1)
                both = np.matmul(crop.columns, along.reshape(bins, part.shape[1], -1))  # (bins, bins, C)
                target, source = pooled[row].reshape(-1, bins * bins), both.reshape(bins * bins, -1).T
                target[...] = target + source if req[0] == "add" else source

        in_threads(pool, self._rois(in_data))

    def backward(self, req: Sequence[str], out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        self.assign(in_grad[1], req[1], 0)  # proposals are not learned through the ROIs
        shape, gradients = in_data[0].shape, memory_of(out_grad[0])[0]

        def spread(rois: Sequence[Roi]) -> np.ndarray:
            sums = np.zeros(shape, np.float32)
            for row, image, crop in rois:
                bins = len(crop.rows)
                gradient = np.ascontiguousarray(gradients[row].reshape(shape[3], -1).T).reshape(bins, bins, -1)
                along = np.matmul(crop.columns.T, gradient)  # (bins, columns, C)
                part = sums[image, crop.y0 : crop.y1, crop.x0 : crop.x1]
                part += (crop.rows.T @ along.reshape(bins, -1)).reshape(part.shape)
            return sums

        total = functools.reduce(np.add, in_threads(spread, self._rois(in_data)))
        target = memory_of(in_grad[0])
        target[...] = target + total if req[0] == "add" else total

    def _rois(self, in_data: Any) -> List[Roi]:
        """Row, image index and crop of each ROI."""
        rois = in_data[1].asnumpy()
        found = crops(rois[:, 1:], in_data[0].shape[1:3], **self._options)
        return [(row, int(image), crop) for row, (image, crop) in enumerate(zip(rois[:, 0], found))]


@mx.operator.register(OPERATOR)
class MatrixAlignProperty(mx.operator.CustomOpProp):
    """What MXNet asks about :class:`MatrixAlign`; its parameters come as text."""

    def __init__(self, bins: str, scale: str, step: str = "1"):
        super().__init__(need_top_grad=True)
        self._options = {"bins": int(bins), "scale": float(scale), "step": int(step)}

    def list_arguments(self) -> List[str]:
        return ["data", "rois"]

    def infer_shape(self, in_shape: Any) -> Any:
        side = -(-self._options["bins"] // self._options["step"])
        return in_shape, [[1, in_shape[1][0], in_shape[0][3], side, side]], []

    def declare_backward_dependency(self, out_grad: Any, in_data: Any, out_data: Any) -> List[Any]:
        return [out_grad[0], *in_data]

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> MatrixAlign:
        return MatrixAlign(**self._options)


def memory_of(array: mx.nd.NDArray) -> np.ndarray:
    """The memory of a float32 array on a CPU, without a copy."""
    pointer = ctypes.POINTER(mx_float)()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return ctypes2numpy_shared(pointer, array.shape)


def in_threads(work: Callable[[Sequence[Roi]], Any], rois: Sequence[Roi]) -> List[Any]:
    """What ``work`` gives for equal parts of the ROIs, in their order; BLAS is left one thread of its own meanwhile."""
    threads = min(int(os.environ.get("OMP_NUM_THREADS") or 1), MOST_THREADS, len(rois))
    if threads <= 1:
        return [work(rois)]
    ends = [len(rois) * part // threads for part in range(threads + 1)]
    with _libraries().limit(limits=1, user_api="blas"):
        return list(_pool(threads).map(work, [rois[begin:end] for begin, end in zip(ends, ends[1:])]))


@functools.lru_cache(maxsize=None)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="roi")


@functools.lru_cache(maxsize=None)
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process; to look for them takes milliseconds."""
    return ThreadpoolController()


def _used(weights: FloatArray) -> Tuple[int, int]:
    """First and one past the last cell that any bin reads; one cell at least."""
    cells = np.flatnonzero(weights.any(axis=0))
    return (int(cells[0]), int(cells[-1]) + 1) if len(cells) else (0, 1)
