"""ROIs, decoded boxes and suppression, in the forms of the detectors and at their edges, against MXNet itself."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import sym

from gluon_liver.onnx.convert import convert

from .conftest import run
from .test_operators import B, compare, v


def rois(batch, count=40, size=64, seed=0):
    """(batch * count, 5), also outside of a map of ``size`` pixels, with corners on cells and sides of a pixel."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, size, (batch * count, 2))
    sides = rng.uniform(1, size, (batch * count, 2))
    corners[::3], sides[::4] = np.round(corners[::3]), 1
    corners[::7] = size + rng.uniform(0, 12, corners[::7].shape)
    images = np.repeat(np.arange(batch), count)[:, None]
    return np.concatenate([images, corners, corners + sides], axis=1).astype(np.float32)


@pytest.mark.parametrize("scale", [1 / 16, 1 / 8])
@pytest.mark.parametrize("batch", [1, 3])
def test_aligned_roi_align_also_at_borders(batch, scale):
    symbol = sym.contrib.ROIAlign(v("x"), v("rois"), (4, 4), scale, sample_ratio=2, aligned=True)
    maps = np.random.default_rng(0).normal(size=(batch, 3, 4, 4)).astype(np.float32)
    shapes = {"x": (B, 3, 4, 4), "rois": (B, 5)}
    compare(symbol, shapes, batch=batch, feeds={"x": maps, "rois": rois(batch)})


@pytest.mark.parametrize("batch", [1, 3])
def test_roi_pooling_also_at_borders(batch):
    symbol = sym.ROIPooling(v("x"), v("rois"), pooled_size=(3, 3), spatial_scale=1 / 8)
    maps = np.random.default_rng(0).normal(size=(batch, 3, 8, 8)).astype(np.float32)
    shapes = {"x": (B, 3, 8, 8), "rois": (B, 5)}
    compare(symbol, shapes, batch=batch, feeds={"x": maps, "rois": rois(batch)})


@pytest.mark.parametrize("form", ["corner", "center"])
@pytest.mark.parametrize("stds", [{}, {"std0": 0.1, "std1": 0.2, "std2": 0.3, "std3": 0.4}])
@pytest.mark.parametrize("most", [{}, {"clip": 1.0}])
def test_box_decode(form, stds, most):
    rng = np.random.default_rng(0)
    anchors = np.sort(rng.uniform(0, 50, (1, 9, 2, 2)), axis=2).reshape(1, 9, 4).astype(np.float32)
    offsets = rng.normal(size=(3, 9, 4)).astype(np.float32) * 2
    symbol = sym.contrib.box_decode(v("x"), v("anchors"), format=form, **stds, **most)
    shapes = {"x": (B, 9, 4), "anchors": (1, 9, 4)}
    compare(symbol, shapes, batch=3, feeds={"x": offsets, "anchors": anchors}, tolerance=2e-5)


def boxes(batch, count, seed=0):
    """(batch, count, 4) that overlap each other, some the same."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 40, (batch, count, 2))
    made = np.concatenate([corners, corners + rng.uniform(5, 30, corners.shape)], axis=2)
    made[:, ::5] = made[:, 1::5][:, : made[:, ::5].shape[1]]
    return made.astype(np.float32)


def proposals(batch, count, seed=0):
    """Rows (batch, count, 5) as the proposal network has them: score, corners; a score is often met, some are -1."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, (batch, count, 1)).astype(np.float32) / 10
    rows = np.concatenate([scores, boxes(batch, count, seed)], axis=2).astype(np.float32)
    rows[:, 3::6] = -1
    return rows


def decoded(batch, count, classes=3, seed=0):
    """Rows (batch, count, 6) as the head has them: class, score, corners."""
    rng = np.random.default_rng(seed)
    ids = np.tile(np.arange(count) % classes, (batch, 1))[:, :, None]
    scores = rng.integers(0, 30, (batch, count, 1)) / 100
    return np.concatenate([ids, scores, boxes(batch, count, seed)], axis=2).astype(np.float32)


PROPOSALS = {"overlap_thresh": 0.6, "coord_start": 1, "score_index": 0, "id_index": -1, "force_suppress": True}
HEAD = {"overlap_thresh": 0.3, "coord_start": 2, "score_index": 1, "id_index": 0, "valid_thresh": 0.05}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("topk", [-1, 10, 200])
def test_suppression_of_proposals(batch, topk):
    rows = proposals(batch, 60)
    symbol = sym.contrib.box_nms(v("x"), topk=topk, **PROPOSALS)
    compare(symbol, {"x": (B, 60, 5)}, batch=batch, feeds={"x": rows})


@pytest.mark.parametrize("kept", [1, 8, 25, 60])
def test_suppression_that_stops_where_nobody_reads_on_gives_the_same(kept):
    symbol = sym.slice_axis(sym.contrib.box_nms(v("x"), topk=20, **PROPOSALS), axis=1, begin=0, end=kept)
    model = compare(symbol, {"x": (B, 60, 5)}, batch=2, feeds={"x": proposals(2, 60)})
    (suppression,) = (node for node in model.graph.node if node.op_type == "NonMaxSuppression")
    (most,) = (one for one in model.graph.initializer if one.name == suppression.input[2])
    assert int(np.frombuffer(most.raw_data, np.int64)[0]) == min(kept, 20)


def test_suppression_that_others_read_to_the_end_does_not_stop():
    found = sym.contrib.box_nms(v("x"), topk=20, **PROPOSALS)
    symbol = sym.concat(
        sym.slice_axis(found, axis=1, begin=0, end=3), sym.slice_axis(found, axis=1, begin=2, end=None), dim=1
    )
    compare(symbol, {"x": (B, 60, 5)}, batch=2, feeds={"x": proposals(2, 60)})


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("forced", [False, True])
def test_suppression_by_class(batch, forced):
    rows = decoded(batch, 60)
    symbol = sym.contrib.box_nms(v("x"), force_suppress=forced, **HEAD)
    compare(symbol, {"x": (B, 60, 6)}, batch=batch, feeds={"x": rows})


def test_boxes_of_other_classes_are_left_alone():
    """The same box three times: of one class the likelier one stays, of another class it stays beside it."""
    rows = np.array(
        [[[0, 0.5, 0, 0, 9, 9], [0, 0.9, 0, 0, 9, 9], [2, 0.4, 0, 0, 9, 9], [1, 0.01, 0, 0, 9, 9]]], np.float32
    )
    symbol = sym.contrib.box_nms(v("x"), **HEAD)
    model = convert(symbol, {}, inputs={"x": (None, 4, 6)}, outputs=["out"], name="test")
    found = run(model, {"x": rows})["out"][0]
    assert found[:, 0].tolist() == [0, 2, -1, -1] and np.allclose(found[:, 1], [0.9, 0.4, -1, -1])


@pytest.mark.parametrize("rows", ["none", "rejected", "one image"])
def test_images_without_a_candidate_have_empty_rows(rows):
    array = decoded(2, 12)
    if rows == "none":
        array[...] = -1
    elif rows == "rejected":
        array[..., 1] = 0.01
    else:
        array[0, :, 1] = 0
    compare(sym.contrib.box_nms(v("x"), **HEAD), {"x": (B, 12, 6)}, batch=2, feeds={"x": array})


def test_rows_of_no_class_are_no_candidates():
    rows = decoded(2, 30)
    rows[:, ::4, 0] = -1
    compare(sym.contrib.box_nms(v("x"), **HEAD), {"x": (B, 30, 6)}, batch=2, feeds={"x": rows})


def test_boxes_without_area_are_kept():
    rows = proposals(1, 12)
    rows[..., 3:] = rows[..., 1:3]
    compare(sym.contrib.box_nms(v("x"), **PROPOSALS), {"x": (B, 12, 5)}, batch=1, feeds={"x": rows})
    assert mx.nd.contrib.box_nms(mx.nd.array(rows), **PROPOSALS).asnumpy()[..., 0].max() > 0
