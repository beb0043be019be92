"""ROIAlign by matrices against MXNet's operator and a plain mean of samples, with its gradient."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.regions import roi_matrices as matrices
from gluon_liver.nn.regions.roi_align import roi_align, roi_rows
from gluon_liver.nn.regions.roi_align import roi_matrices as by_matrices

STRIDE, CELLS = 8, 12


def rois():
    """Of two images: ordinary ones, some of a pixel, some that reach the edges or lie beyond them."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 80, (2, 20, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (2, 20, 2))], axis=2)
    boxes[:, 0] = [0, 0, 96, 96]
    boxes[:, 1] = [95, 95, 96, 96]
    boxes[:, 2] = [-30, -30, 20, 20]
    boxes[:, 3] = [80, 80, 130, 130]
    boxes[:, 4] = [40, 40, 40, 40]  # no area: read one pixel wide
    return mx.nd.array(boxes)


def pooled_and_gradient(pool, request, step, engine_layout):
    maps = mx.nd.array(np.random.default_rng(4).normal(size=(2, 32, CELLS, CELLS)))
    weight = mx.nd.array(np.random.default_rng(5).normal(size=(32, 32, 1, 1)))
    maps.attach_grad(request)
    maps.grad[:] = 3
    with autograd.record():
        x = maps
        if engine_layout:  # maps and gradients then come in oneDNN's layout
            x = mx.nd.Activation(mx.nd.Convolution(x, weight, kernel=(1, 1), num_filter=32, no_bias=True), "relu")
        y = pool(mx.nd, x, *roi_rows(mx.nd, rois()), stride=STRIDE, size=6, step=step)
        z = mx.nd.Convolution(y, weight, kernel=(1, 1), num_filter=32, no_bias=True) if engine_layout else y
    z.backward(mx.nd.array(np.random.default_rng(6).normal(size=z.shape)))
    return y.asnumpy(), maps.grad.asnumpy()


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize(
    ("request_", "step", "engine_layout"), [("write", 1, False), ("add", 1, True), ("write", 2, True)]
)
def test_equals_mxnets_operator_with_its_gradient(request_, step, engine_layout, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    ours = pooled_and_gradient(by_matrices, request_, step, engine_layout)
    theirs = pooled_and_gradient(roi_align, request_, step, engine_layout)
    side = 6 if step == 1 else 3
    assert ours[0].shape == (40, 32, side, side)
    for mine, other in zip(ours, theirs):
        assert np.abs(other).max() > 1
        assert np.allclose(mine, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_weights_by_hand():
    """Two bins between cells 1 and 3 of 5: samples at 1.25, 1.75 and 2.25, 2.75."""
    weights = matrices.axis_weights(np.float32([1]), np.float32([3]), cells=5, bins=2)
    assert np.allclose(weights, [[[0, 0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5, 0]]])
    assert np.allclose(matrices.axis_weights(np.float32([1]), np.float32([3]), cells=5, bins=2, step=2), weights[:, :1])
    # samples at -1.4 and 0.6, and at 4.5 and 6.5: more than a cell outside reads nothing, less reads the edge
    outside = matrices.axis_weights(np.float32([-2.4, 3.5]), np.float32([1.6, 7.5]), cells=5, bins=1)
    assert np.allclose(outside, [[[0.2, 0.3, 0, 0, 0]], [[0, 0, 0, 0, 0.5]]])


def test_a_roi_that_is_no_number_reads_nothing():
    weights = matrices.axis_weights(np.float32([np.nan]), np.float32([np.nan]), cells=5, bins=2)
    assert not weights.any()


def test_a_crop_holds_the_cells_that_are_read():
    crop = matrices.crops(np.float32([[16, 32, 48, 56]]), (9, 9), bins=2, scale=1 / 8, step=1)[0]
    # columns from 1.5 to 5.5 and rows from 3.5 to 6.5, in cells
    assert (crop.x0, crop.x1, crop.y0, crop.y1) == (2, 6, 3, 8)
    assert np.allclose(crop.rows.sum(axis=1), 1) and np.allclose(crop.columns.sum(axis=1), 1)
