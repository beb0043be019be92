"""Boxes of label files: crowds, masks, turned ones, those at the border, too small or there twice."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from pycocotools import mask as rle

from gluon_liver.errors import AnnotationError

from .conftest import BASE, boxes_of, changed

MASK = rle.encode(
    np.asfortranarray([[5 < x < 12 and 7 <= y < 20 for x in range(64)] for y in range(32)], dtype="uint8")
)


def test_crowds(read):
    runs = {"size": [32, 64], "counts": [6 * 32 + 7, *[13, 19] * 5, 13, 12 + 32 * 52]}
    tree = changed(iscrowd=1, segmentation=runs, bbox=[6, 7, 6, 13])
    with pytest.raises(AnnotationError, match="annotation 1: iscrowd is 1.*--crowd as-lesion"):
        read(tree)
    source = read(tree, crowd="as-lesion")
    assert boxes_of(source)[0] == [[6, 7, 12, 20]] and "1 mask(s) marked as a crowd" in source.changes.lines()[0]
    for none in (0, "0", False, None, 0.0):
        assert boxes_of(read(changed(iscrowd=none)))[0] == [[10, 12, 40, 28]]
    with pytest.raises(AnnotationError, match="--crowd is 'all'"):
        read(tree, crowd="all")


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [32, 64], "counts": [6 * 32 + 7, *[13, 19] * 5, 13, 12 + 32 * 52]},
        {"size": [32, 64], "counts": MASK["counts"].decode()},
        [[6, 7, 12, 7, 12, 20], [8.0, 9.0, 7, 10, 9, 9]],
        [6, 7, 12, 20],
    ],
)
@pytest.mark.parametrize("bbox", [None, [], [0, 0, 0, 0], [1, float("nan"), 2, 3]])
def test_a_box_that_is_absent_comes_from_polygon_or_mask(read, segmentation, bbox):
    source = read(changed(bbox=bbox, segmentation=segmentation))
    assert boxes_of(source)[0] == [[6, 7, 12, 20]]
    assert source.changes.lines() == ["1 box(es) were absent and were taken from their polygon or mask"]


@pytest.mark.parametrize(
    "segmentation",
    [[], None, "x", {"size": [64, 32], "counts": [2048]}, {"size": [32, 64], "counts": [5, 6]}, [["a", 1]], [[1, 2, 3]]]
    + [{"size": [32, 64], "counts": text} for text in ("\x7f", "zz", "", "é", MASK["counts"].decode()[:-1])],
)
def test_what_gives_no_box_is_a_fault(read, segmentation):
    with pytest.raises(AnnotationError, match="annotation 1: bbox: expected a list of 4|annotation 1: bbox is missing"):
        read(changed(bbox=[], segmentation=segmentation))


def test_turned_boxes(read):
    source = read(changed(bbox=[20, 10, 20, 10], attributes={"occluded": False, "rotation": 90.0}))
    assert boxes_of(source)[0] == [[25, 5, 35, 25]] and "1 box(es) were turned" in source.changes.lines()[0]
    assert not read(changed(attributes={"occluded": True, "rotation": 0.0})).changes.lines()


def test_turned_boxes_are_cut_at_the_border(read):
    source = read(changed(bbox=[0, 2, 20, 4], attributes={"rotation": 30}))
    assert boxes_of(source)[0] == [pytest.approx([0.3397, 0, 19.6603, 10.7321])]
    assert "1 upright box(es) around turned ones reached beyond their image" in "".join(source.changes.lines())
    with pytest.raises(AnnotationError, match="leaves image 4"):
        read(changed(bbox=[-11, 2, 20, 4], attributes={"rotation": 30}))


def test_boxes_at_the_border(read):
    source = read(changed(bbox=[-0.33, 5.0, 20.0, 20.0]))
    assert (
        boxes_of(source)[0] == [pytest.approx([0, 5, 19.67, 25])]
        and "1 box(es) were up to a pixel outside" in source.changes.lines()[0]
    )
    assert boxes_of(read(changed(bbox=[45, 5, 20, 27.5])))[0] == [[45, 5, 64, 32]]
    assert not read(changed(bbox=[44, 5, 20.005, 27])).changes.lines()
    with pytest.raises(AnnotationError, match="annotation 1: bbox .* leaves image 4 of 64x32"):
        read(changed(bbox=[45, 5, 20.1, 27]))


@pytest.mark.parametrize(
    "bbox", [[40, 4, 1e-5, 24], [40, 4, 0, 0], [40, 4, 5, 0.99], [-0.5, 4, 1.2, 5], [63.5, 1, 1, 9]]
)
def test_what_cannot_be_trained_on_leaves_its_image_out(read, bbox):
    source = read(changed(bbox=bbox))
    assert source.images[0].left_out == "a box is below a pixel" and source.images[0].count == 1
    assert "a box is below a pixel: image 4" in source.changes.lines()[-1]
    assert not source.images[1].left_out


@pytest.mark.parametrize(
    "boxes, why",
    [
        ([[0.2, 0.3, 0.25, 0.5], [0, 0, 1, 1]], "no number of any bbox is above 1: these seem to be fractions"),
        ([[40, 10, 60, 30], [2, 3, 20, 24]], "1 of 2 boxes leave their image, .* read as x1, y1, x2, y2 all of them"),
    ],
)
def test_boxes_in_another_form_are_told(read, boxes, why):
    tree = copy.deepcopy(BASE)
    tree["annotations"] = [{"id": n, "image_id": 4, "category_id": 3, "bbox": box} for n, box in enumerate(boxes)]
    with pytest.raises(AnnotationError, match=why):
        read(tree)


def test_boxes_that_are_there_twice_are_joined(read):
    tree = copy.deepcopy(BASE)
    for number, (category, bbox) in enumerate(
        [(3, [10.3, 12, 30, 16]), (3, [11, 12, 30, 16]), (1, [10, 12, 30, 16])], 2
    ):
        tree["annotations"].append({"id": number, "image_id": 4, "category_id": category, "bbox": bbox})
    source = read(tree)
    assert source.images[0].boxes[:, 0].tolist() == [10, 11, 10]
    assert source.changes.counts["joined"] == 1 and source.changes.counts["disagreeing"] == 1
