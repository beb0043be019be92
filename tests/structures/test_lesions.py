"""Boxes joined across slices, by hand."""

import numpy as np
import pytest

from gluon_liver.structures.detections import Detections
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.lesions import (
    SliceBox,
    SliceLinks,
    class_and_score,
    describe_lesion,
    find_lesions,
    join_slices,
)

CLASSES = ("cyst", "hemangioma", "hcc")
AXES = (1, 0, 0), (0, 1, 0), (0, 0, 1)
GEOMETRY = Geometry(origin=(-100.0, -90.0, 50.0), spacing=(5.0, 1.0, 0.8), direction=AXES, size=(20, 100, 100))


def box(index, corners, label=0, score=0.9):
    return SliceBox(index, np.array(corners, np.float32), CLASSES[label], score)


@pytest.mark.parametrize(
    "boxes, slices",
    [
        # of neighbouring slices, where they overlap
        ([(3, [0, 0, 10, 10]), (4, [1, 1, 11, 11]), (5, [2, 2, 12, 12]), (4, [50, 50, 60, 60])], [[3, 4, 5], [4]]),
        ([(3, [0, 0, 10, 10]), (5, [0, 0, 10, 10])], [[3, 5]]),  # one empty slice is bridged
        ([(3, [0, 0, 10, 10]), (6, [0, 0, 10, 10])], [[3], [6]]),  # two are not
        ([(3, [0, 0, 10, 10]), (4, [0, 0, 10, 8]), (4, [0, 6, 10, 16])], [[3, 4], [4]]),  # one box a slice
        ([], []),
    ],
)
def test_boxes_are_joined_to_lesions(boxes, slices):
    lesions = join_slices([box(*one) for one in boxes], spacing=GEOMETRY.spacing)
    assert sorted([item.slice for item in lesion] for lesion in lesions) == slices


def test_the_better_of_two_boxes_on_one_thing_is_kept():
    lesions = join_slices([box(3, [0, 0, 10, 10], 0, 0.4), box(3, [1, 0, 11, 10], 2, 0.8)], spacing=GEOMETRY.spacing)
    assert [[(item.class_name, item.score) for item in lesion] for lesion in lesions] == [[("hcc", 0.8)]]


def test_size_place_and_class():
    lesion = [box(3, [10, 20, 30, 40], 2, 0.5), box(4, [10, 20, 40, 40], 2, 0.6), box(5, [10, 20, 30, 40], 1, 0.9)]
    described = describe_lesion(lesion, geometry=GEOMETRY, classes=CLASSES).to_json()
    assert described["class"] == "hcc" and described["score"] == 0.6  # 1.1 against 0.9
    assert described["size_mm"] == {"in_plane": 24.0, "through_plane": 15.0}  # 30 px of 0.8 mm; 3 slices of 5 mm
    # x: -100 + (25 - 0.5) * 0.8; y: -90 + (30 - 0.5) * 1.0; z: 50 + 4 * 5
    assert described["centre_lps_mm"] == [-80.4, -60.5, 70.0]
    assert (described["first_slice"], described["last_slice"]) == (3, 5)


def test_the_class_is_one_of_its_boxes_also_where_their_scores_are_0():
    assert class_and_score([box(3, [0, 0, 10, 10], 2, 0.0)], CLASSES) == ("hcc", 0.0)
    assert class_and_score([box(3, [0, 0, 9, 9], 2), box(4, [0, 0, 9, 9], 1)], CLASSES)[0] == "hemangioma"


def test_the_best_comes_first_and_scores_that_read_alike_stay_in_the_order_of_their_slices():
    slices = [
        Detections(np.array([[x, 0, x + 10, 10]], np.float32), np.array([score]), np.array([0]))
        for x, score in ((0, 0.90001), (20, 0.90004), (40, 0.95), (60, 0.4))
    ]
    lesions = find_lesions(slices, geometry=GEOMETRY, classes=CLASSES, score_threshold=0.5)
    assert [lesion.first_slice for lesion in lesions] == [2, 0, 1]


@pytest.mark.parametrize(
    "dz, gap, joined", [(5, 1, 1), (5, 2, 2), (8, 1, 1), (8, 2, 2), (1, 5, 1), (1, 6, 2), (2.5, 2, 1)]
)
def test_gaps_are_bridged_in_mm_and_one_slice_always(dz, gap, joined):
    boxes = [box(3, [0, 0, 10, 10]), box(4 + gap, [0, 0, 10, 10])]
    assert len(join_slices(boxes, spacing=(dz, 1.0, 1.0))) == joined


def test_unseen_slices_are_bridged_as_far_as_the_smaller_box_is_long():
    boxes = [box(0, [0, 0, 20, 12]), box(6, [0, 0, 16, 12])]
    for dz, dx, joined in ((3.0, 1.0, 1), (3.5, 1.0, 2), (3.5, 1.25, 1)):  # 5 slices against 16 pixels
        assert len(join_slices(boxes, spacing=(dz, 1.0, dx), seen=[0, 6])) == joined
    # of the five slices, two were looked at and are empty
    assert len(join_slices(boxes, spacing=(2.0, 1.0, 1.0), seen=[6, 0, 2, 3])) == 1
    assert len(join_slices(boxes, spacing=(3.0, 1.0, 1.0), seen=[6, 0, 2, 3])) == 2


@pytest.mark.parametrize("cap, joined", [([8, 8, 12, 12], 1), ([17, 8, 22, 13], 2), ([16, 8, 21, 13], 1)])
def test_the_end_of_a_round_lesion_lies_inside_the_next_box(cap, joined):
    """4x4 in 20x20 is an IoU of 0.04: the ends of spheres would be lesions of their own."""
    boxes = [box(3, cap), box(4, [0, 0, 20, 20])]
    assert len(join_slices(boxes, spacing=GEOMETRY.spacing)) == joined


def test_what_was_drawn_as_two_classes_is_two_lesions():
    boxes = [box(3, [0, 0, 10, 10], 0), box(4, [0, 0, 10, 10], 2), box(5, [0, 0, 10, 10], 0)]
    assert len(join_slices(boxes, spacing=(2.0, 1.0, 1.0), one_class=True)) == 2
    assert len(join_slices(boxes, spacing=(2.0, 1.0, 1.0))) == 1


def joined_by_hand(boxes, spacing, seen, one_class):
    """Of each slice in turn the pair of a box and a lesion that overlaps most, until no pair may be one thing."""
    lesions = []
    for index in sorted({one.slice for one in boxes}):
        here = [one for one in boxes if one.slice == index]
        near = {}
        for row, one in enumerate(here):
            for column, lesion in enumerate(lesions):
                last, (a, b) = lesion[-1], (one.box.astype(float), lesion[-1].box.astype(float))
                common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
                areas = [(some[2:] - some[:2]).prod() for some in (a, b)]
                iou = common / (sum(areas) - common)
                empty = sum(last.slice < other < index for other in seen)
                unseen = index - last.slice - 1 - empty
                sides = [max((some[2] - some[0]) * spacing[2], (some[3] - some[1]) * spacing[1]) for some in (a, b)]
                alike = common > 0 and (iou >= 0.3 or common >= 0.7 * min(areas))
                bridged = empty * spacing[0] <= max(5, spacing[0]) and unseen * spacing[0] <= min(sides)
                if alike and bridged and not (one_class and one.class_name != last.class_name):
                    near[row, column] = iou
        free = dict(enumerate(here))
        while near:
            row, column = max(near, key=lambda pair: (near[pair], -pair[0], -pair[1]))
            lesions[column].append(free.pop(row))
            near = {pair: iou for pair, iou in near.items() if pair[0] != row and pair[1] != column}
        lesions.extend([one] for one in free.values())
    return lesions


@pytest.mark.parametrize("seed", range(12))
def test_links_of_all_boxes_join_the_best_of_them_at_any_threshold(seed):
    draw = np.random.default_rng(seed)
    spacing, one_class = (float(draw.choice([1, 2.5, 4])), 1.0, 1.25), bool(seed % 3 == 0)
    seen = sorted(draw.choice(20, 9, replace=False).tolist()) if seed % 2 else list(range(9))
    corners = draw.integers(0, 12, (70, 2)) * 2.0  # on a grid, where many overlap alike
    boxes = [
        box(int(index), [*corner, *(corner + size)], int(label), score)
        for index, corner, size, label, score in zip(
            draw.choice(seen, 70),
            corners,
            draw.integers(2, 6, (70, 2)) * 2.0,
            draw.integers(0, 3, 70),
            np.linspace(1, 0, 70),
        )
    ]
    links = SliceLinks(boxes, spacing=spacing, seen=seen, one_class=one_class)
    several = 0
    for count in (0, 1, 20, 45, 70):
        found = links.joined(count)
        assert found == joined_by_hand(boxes[:count], spacing, seen, one_class)
        several += sum(len(lesion) > 1 for lesion in found)
    assert several > 5 and links.joined() == links.joined(70)
