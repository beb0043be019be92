"""Each cause by hand, at its thresholds, and all of them against loops over random images."""

import numpy as np
import pytest

from gluon_liver.metrics.errors.causes import DETECTION_CAUSES, OBJECT_CAUSES, judge
from gluon_liver.metrics.errors.summary import judge_all
from gluon_liver.metrics.errors.where import Where
from gluon_liver.metrics.matching import match_image
from tests.metrics.images import BOX, ELSE, FAR, image, random_results

HALF, TENTH, LESS = (0, 0, 10, 5), (0, 0, 10, 1), (0, 0, 10, 0.99)  # IoU 0.5, 0.1 and 0.099 with BOX
THIRD = (0, 5, 10, 15)  # IoU 1/3, and half of it in BOX


def causes(gt, found, beside=None, **thresholds):
    """The causes of detections and of objects of one image."""
    judged = judge(image(1, gt=gt, found=found), beside=beside, **thresholds)
    return [one.cause for one in judged.detections], [one.cause for one in judged.objects]


@pytest.mark.parametrize(
    "found, detections, objects",
    [
        ([(0, 0.9, BOX)], ["right"], ["found"]),
        ([(0, 0.5, HALF)], ["right"], ["found"]),
        ([(1, 0.9, BOX)], ["wrong class"], ["wrong class"]),
        ([(1, 0.9, HALF)], ["wrong class"], ["wrong class"]),
        ([(0, 0.9, THIRD)], ["badly placed"], ["badly placed"]),
        ([(0, 0.9, TENTH)], ["badly placed"], ["badly placed"]),
        ([(0, 0.9, LESS)], ["background"], ["missed"]),
        ([(0, 0.9, BOX), (0, 0.8, BOX)], ["right", "duplicate"], ["found"]),
        ([(0, 0.8, BOX), (0, 0.9, HALF)], ["duplicate", "right"], ["found"]),
        ([(0, 0.9, BOX), (0, 0.8, THIRD)], ["right", "badly placed"], ["found"]),
        ([(0, 0.9, BOX), (1, 0.8, BOX)], ["right", "wrong class"], ["found"]),
        ([(1, 0.9, THIRD)], ["wrong class, badly placed"], ["wrong class, badly placed"]),
        ([(1, 0.9, TENTH)], ["wrong class, badly placed"], ["wrong class, badly placed"]),
        ([(1, 0.9, LESS)], ["background"], ["missed"]),
        ([(0, 0.499, BOX)], [], ["low score"]),
        ([(0, 0.499, THIRD)], [], ["missed"]),
        ([(1, 0.499, BOX)], [], ["missed"]),
        ([(0, 0.4, BOX), (1, 0.9, THIRD)], ["wrong class, badly placed"], ["low score"]),
        ([(0, 0.4, BOX), (0, 0.9, THIRD)], ["badly placed"], ["badly placed"]),
        ([(0, 0.9, FAR)], ["background"], ["missed"]),
        ([], [], ["missed"]),
    ],
)
def test_one_cyst(found, detections, objects):
    assert causes([(0, BOX)], found) == (detections, objects)


def test_a_detection_on_two_objects_has_the_first_cause_that_holds():
    beside = (0, 3, 10, 13)  # IoU 7/13 with BOX
    # of another class and, too little, of its own
    assert causes([(0, BOX), (1, THIRD)], [(1, 0.9, BOX)])[0] == ["wrong class"]
    # of its own, found already, and of another one
    assert causes([(0, BOX), (1, beside)], [(0, 0.9, BOX), (0, 0.8, BOX)])[0] == ["right", "wrong class"]
    # a box of its own is no reason for another object: nothing belongs to that
    assert causes([(0, BOX), (0, beside)], [(0, 0.9, BOX)]) == (["right"], ["found", "missed"])


def test_an_image_without_objects_has_background_alone():
    assert causes([], [(0, 0.9, BOX), (1, 0.5, FAR), (1, 0.4, FAR)]) == (["background"] * 2, [])


def test_thresholds_of_score_and_overlap_are_those_asked_for():
    assert causes([(0, BOX)], [(0, 0.3, THIRD)], score_threshold=0.3, iou_threshold=1 / 3) == (["right"], ["found"])
    assert causes([(0, BOX)], [(0, 0.3, BOX)], score_threshold=0.31)[1] == ["low score"]


@pytest.mark.parametrize(
    "box, label, cause",
    [
        (BOX, 0, "neighbour slice"),
        (BOX, 1, "neighbour slice"),  # whatever it is called
        ((0, 5, 10, 15), 0, "neighbour slice"),  # IoU 1/3
        ((0, 6, 10, 16), 0, "background"),  # IoU 1/4, 0.4 of it in the lesion
        ((2, 2, 6, 6), 0, "neighbour slice"),  # IoU 0.16, and all of it in the lesion
        (FAR, 0, "background"),
    ],
)
def test_what_lies_on_a_lesion_of_the_next_slice(box, label, cause):
    lesion = image(2, gt=[(0, BOX)])
    assert causes([], [(label, 0.9, box)], beside=[lesion])[0] == [cause]
    assert causes([], [(label, 0.9, box)], beside=[])[0] == causes([], [(label, 0.9, box)])[0] == ["background"]


def test_a_lesion_here_goes_before_one_of_the_next_slice():
    lesion = image(2, gt=[(0, BOX)])
    assert causes([(0, BOX)], [(1, 0.9, BOX)], beside=[lesion])[0] == ["wrong class"]
    assert causes([(1, BOX)], [(0, 0.9, TENTH)], beside=[lesion])[0] == ["wrong class, badly placed"]


def test_neighbours_are_the_slices_of_the_same_study_one_above_and_below():
    spacing = (5.0, 1.0, 1.0)
    here, other = image(1, found=[(0, 0.9, BOX)]), image(2, gt=[(0, BOX)])
    for where, cause in (
        (Where("a", 4, spacing), "neighbour slice"),
        (Where("a", 6, spacing), "neighbour slice"),
        (Where("a", 3, spacing), "background"),
        (Where("a", 7, spacing), "background"),
        (Where("b", 4, spacing), "background"),
    ):
        (one,) = judge_all([here, other], [Where("a", 5, spacing), where])[0].detections
        assert one.cause == cause, where
    (one,) = judge_all([here, other], [Where("a", 5), Where("a", 4)])[0].detections
    assert one.cause == "background"  # frames are no neighbours


def test_verdicts_say_what_they_rest_on():
    found = [(0, 0.9, BOX), (1, 0.8, HALF), (0, 0.7, FAR), (0, 0.6, ELSE), (1, 0.3, ELSE)]
    judged = judge(image(1, gt=[(0, BOX), (1, ELSE)], found=found))
    right, wrong, nothing, other = judged.detections
    assert (right.row, right.score, right.iou, right.other) == (0, 0.9, 1.0, 0)
    assert (wrong.row, wrong.cause, wrong.score, wrong.iou, wrong.other) == (1, "wrong class", 0.8, 0.5, 0)
    assert (nothing.iou, nothing.other) == (0.0, None) and other.other == 1
    found_one, missed = judged.objects
    assert (found_one.row, found_one.score, found_one.iou, found_one.other) == (0, 0.9, 1.0, 0)
    assert (missed.row, missed.cause, missed.score, missed.other) == (1, "wrong class", 0.6, 0)
    (beside,) = judge(image(1, found=[(0, 0.9, HALF)]), beside=[image(2, gt=[(2, BOX)])]).detections
    assert (beside.iou, beside.other) == (0.5, 2)
    assert judge(image(1, found=[(0, 0.9, BOX)])).detections[0].iou is None


def iou(a, b):
    sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1)]
    common = max(0.0, sides[0]) * max(0.0, sides[1])
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union else 0.0


def reference(result, least):
    """The causes of an image's detections from the score ``least`` on, by loops over boxes and objects."""
    taken, seen = set(), []
    for row in sorted(range(len(result.scores)), key=lambda row: -result.scores[row]):
        own, other = {}, {}
        for place, (box, label) in enumerate(zip(result.gt_boxes.tolist(), result.gt_labels)):
            (own if label == result.labels[row] else other)[place] = iou(result.boxes[row].tolist(), box)
        free = {place: value for place, value in own.items() if place not in taken and value >= 0.5}
        if free:
            taken.add(max(free, key=lambda place: (free[place], place)))
            cause = "right"
        elif max(other.values(), default=0) >= 0.5:
            cause = "wrong class"
        elif max(own.values(), default=0) >= 0.5:
            cause = "duplicate"
        elif max(own.values(), default=0) >= 0.1:
            cause = "badly placed"
        elif max(other.values(), default=0) >= 0.1:
            cause = "wrong class, badly placed"
        else:
            cause = "background"
        if result.scores[row] >= least:
            seen.append((row, cause))
    return dict(seen)


def test_causes_are_those_of_loops_over_boxes():
    seen, objects = set(), set()
    for seed in range(8):
        least = (0.2, 0.5)[seed % 2]  # scores of what lies on nothing are below 0.5
        for result in random_results(seed, images=30, most_gt=5, most_found=12):
            judged = judge(result, score_threshold=least)
            assert {one.row: one.cause for one in judged.detections} == reference(result, least)
            assert [one.row for one in judged.objects] == list(range(len(result.gt_boxes)))
            scores, matched = zip(*(match_image(result, label, 0.5)[:2] for label in range(3)))
            hits = int((np.concatenate(matched) & (np.concatenate(scores) >= least)).sum())
            assert hits == sum(one.cause == "right" for one in judged.detections)
            assert hits == sum(one.cause == "found" for one in judged.objects)
            seen |= {one.cause for one in judged.detections}
            objects |= {one.cause for one in judged.objects}
    assert seen == set(DETECTION_CAUSES) - {"neighbour slice"} and objects == set(OBJECT_CAUSES)


def test_the_order_of_detections_changes_no_cause():
    rng = np.random.default_rng(0)
    for result in random_results(3, steps=1000):
        order = rng.permutation(len(result.scores))
        gt = list(zip(result.gt_labels, result.gt_boxes))
        found = [(result.labels[row], result.scores[row], result.boxes[row]) for row in order]
        mixed, plain = judge(image(1, gt=gt, found=found)), judge(result)
        assert {order[one.row]: one.cause for one in mixed.detections} == {
            one.row: one.cause for one in plain.detections
        }
        assert [one.cause for one in mixed.objects] == [one.cause for one in plain.objects]
