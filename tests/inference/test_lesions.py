"""Boxes joined across slices, by hand."""

import numpy as np

from gluon_liver.inference.lesions import SliceBox, describe_lesion, join_slices
from gluon_liver.structures.geometry import Geometry

CLASSES = ("cyst", "hemangioma", "hcc")
AXES = (1, 0, 0), (0, 1, 0), (0, 0, 1)
GEOMETRY = Geometry(origin=(-100.0, -90.0, 50.0), spacing=(5.0, 1.0, 0.8), direction=AXES, size=(20, 100, 100))


def box(index, corners, label=0, score=0.9):
    return SliceBox(index, np.array(corners, np.float32), CLASSES[label], score)


def slices_of(lesions):
    return sorted([item.slice for item in lesion] for lesion in lesions)


def test_overlapping_boxes_of_neighbouring_slices_are_one_lesion():
    boxes = [box(3, [0, 0, 10, 10]), box(4, [1, 1, 11, 11]), box(5, [2, 2, 12, 12]), box(4, [50, 50, 60, 60])]
    assert slices_of(join_slices(boxes)) == [[3, 4, 5], [4]]


def test_one_empty_slice_is_bridged_and_two_are_not():
    assert slices_of(join_slices([box(3, [0, 0, 10, 10]), box(5, [0, 0, 10, 10])])) == [[3, 5]]
    assert slices_of(join_slices([box(3, [0, 0, 10, 10]), box(6, [0, 0, 10, 10])])) == [[3], [6]]


def test_the_better_of_two_boxes_on_one_thing_is_kept():
    lesions = join_slices([box(3, [0, 0, 10, 10], 0, 0.4), box(3, [1, 0, 11, 10], 2, 0.8)])
    assert [[(item.class_name, item.score) for item in lesion] for lesion in lesions] == [[("hcc", 0.8)]]


def test_each_lesion_takes_one_box_a_slice():
    boxes = [box(3, [0, 0, 10, 10]), box(4, [0, 0, 10, 8]), box(4, [0, 6, 10, 16])]
    assert slices_of(join_slices(boxes)) == [[3, 4], [4]]


def test_nothing_in_nothing_out():
    assert join_slices([]) == []


def test_size_place_and_class():
    lesion = [box(3, [10, 20, 30, 40], 2, 0.5), box(4, [10, 20, 40, 40], 2, 0.6), box(5, [10, 20, 30, 40], 1, 0.9)]
    described = describe_lesion(lesion, geometry=GEOMETRY, classes=CLASSES).to_json()
    assert described["class"] == "hcc" and described["score"] == 0.6  # 1.1 against 0.9
    assert described["size_mm"] == {"in_plane": 24.0, "through_plane": 15.0}  # 30 px of 0.8 mm; 3 slices of 5 mm
    # x: -100 + (25 - 0.5) * 0.8; y: -90 + (30 - 0.5) * 1.0; z: 50 + 4 * 5
    assert described["centre_lps_mm"] == [-80.4, -60.5, 70.0]
    assert (described["first_slice"], described["last_slice"]) == (3, 5)
