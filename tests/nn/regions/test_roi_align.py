"""ROIs on a map and on a pyramid: every ROI is read from its own level, at its place; offsets become boxes."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.nn.regions.roi_align import decode_boxes, pyramid_align, roi_align, roi_rows

SIZE, STRIDES, BINS = 256, (4, 8, 16, 32), 7


def test_each_roi_is_read_from_its_level():
    """Maps hold 1, 2, 3, 4: a ROI of side s reads the coarsest level on which it spans 7 cells."""
    maps = [mx.nd.ones((2, 1, SIZE // stride, SIZE // stride)) * (level + 1) for level, stride in enumerate(STRIDES)]
    sides = [3, 27, 55, 57, 111, 113, 223, 225]
    rois = mx.nd.array([[[10, 10, 10 + side, 10 + side] for side in sides]] * 2)
    pooled = pyramid_align(mx.nd, maps, *roi_rows(mx.nd, rois), strides=STRIDES, size=BINS).asnumpy()
    assert pooled.shape == (16, 1, BINS, BINS)
    levels = pooled.reshape(2, 8, -1)
    assert np.allclose(levels.min(axis=2), levels.max(axis=2))
    assert levels[0, :, 0].tolist() == levels[1, :, 0].tolist() == [1, 1, 1, 2, 2, 3, 3, 4]


def test_a_pyramid_of_one_level_is_roi_align():
    maps = mx.nd.random.normal(shape=(2, 3, 16, 16))
    images, rois = roi_rows(mx.nd, mx.nd.array([[[5, 9, 60, 80]], [[100, 20, 230, 250]]]))
    one = pyramid_align(mx.nd, [maps], images, rois, strides=(16,), size=BINS).asnumpy()
    assert np.array_equal(one, roi_align(mx.nd, maps, images, rois, stride=16, size=BINS).asnumpy())
    assert not np.allclose(one[0], one[1])


def test_coordinates_survive_on_every_level():
    """Cell k holds its centre stride * k + 0.5: bins hold their own centres, whichever level they come from."""
    maps = [mx.nd.array(np.broadcast_to(np.arange(SIZE // s) * s + 0.5, (1, 1, SIZE // s, SIZE // s))) for s in STRIDES]
    for side in (30.0, 70.0, 120.0):
        rois = mx.nd.array([[[40, 40, 40 + side, 40 + side]]])
        pooled = pyramid_align(mx.nd, maps, *roi_rows(mx.nd, rois), strides=STRIDES, size=BINS).asnumpy()[0, 0]
        assert np.allclose(pooled, 40 + side * (np.arange(BINS) + 0.5) / BINS, atol=1e-2)


def test_decoding_inverts_the_encoding_by_hand():
    rois = mx.nd.array([[[0, 0, 10, 20]]])
    # centre moves by (1, 0.25) sizes, width doubles, height halves: the box of the anchor test
    deltas = np.array([1.0, 0.25, np.log(2), -np.log(2)]) / np.array([0.1, 0.1, 0.2, 0.2])  # as in Girshick 2015's code
    boxes = decode_boxes(mx.nd, rois, mx.nd.array(deltas.reshape(1, 1, 1, 4)))
    assert np.allclose(boxes.asnumpy().ravel(), [5, 10, 25, 20], atol=1e-4)


@pytest.mark.parametrize("stride", [8, 16])
def test_roi_pool_reads_cells_where_the_backbone_puts_them(stride):
    """A map whose cell k holds its centre's coordinate, stride * k + 0.5, pools to the middle of every bin."""
    x = np.arange(96 // stride) * stride + 0.5
    maps = np.stack([np.broadcast_to(x, (len(x),) * 2), np.broadcast_to(x[:, None], (len(x),) * 2)])
    rois = mx.nd.array([[[20.5, 30.5, 52.5, 46.5]]])
    pooled = roi_align(mx.nd, mx.nd.array(maps[None]), *roi_rows(mx.nd, rois), stride=stride, size=4).asnumpy()[0]
    assert np.allclose(pooled[0], 20.5 + 32 * (np.arange(4) + 0.5) / 4, atol=1e-3)
    assert np.allclose(pooled[1], (30.5 + 16 * (np.arange(4) + 0.5) / 4)[:, None], atol=1e-3)
