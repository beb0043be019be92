from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gluon_liver.errors import InputError
from gluon_liver.metrics.sensitivity import PairedTest, SceneCount, mean_and_sd, paired_t_test, scene_counts

from .images import BOX, ELSE, FAR, image

CLASSES = ("tumor", "vessel")
HALF, LESS = (0, 0, 10, 5), (0, 0, 10, 4.9)  # IoU 0.5 with BOX, and less


def counts_of(images, scenes, **options):
    found = scene_counts(images, scenes=scenes, classes=CLASSES, **options)
    return {name: [(row.scene, row.found, row.n) for row in rows] for name, rows in found.items()}


def test_counts_by_hand():
    images = [
        image(4, gt=[(0, BOX), (1, FAR)], found=[(0, 0.9, BOX), (0, 0.8, BOX), (1, 0.6, FAR)]),  # a duplicate
        image(2, gt=[(0, BOX), (1, FAR), (1, ELSE)], found=[(1, 0.9, BOX), (1, 0.5, ELSE)]),  # a wrong label on BOX
        image(7, gt=[(1, FAR)], found=[(0, 0.9, FAR)]),
        image(8, found=[(0, 0.9, BOX)]),
    ]
    scenes = {4: "s/2", 2: "s/2", 7: "s/1", 8: "s/3"}
    # no tumor in s/1, nothing at all in s/3
    assert counts_of(images, scenes) == {"tumor": [("s/2", 1, 2)], "vessel": [("s/1", 0, 1), ("s/2", 2, 3)]}
    assert counts_of(images[::-1], scenes) == counts_of(images, scenes)
    stricter = counts_of(images, scenes, score_threshold=0.7)
    assert stricter == {"tumor": [("s/2", 1, 2)], "vessel": [("s/1", 0, 1), ("s/2", 0, 3)]}


@pytest.mark.parametrize(
    "box, score, options, found",
    [
        (HALF, 0.5, {}, 1),  # both thresholds are inclusive
        (LESS, 0.9, {}, 0),
        (LESS, 0.9, {"iou_threshold": 0.45}, 1),
        (BOX, 0.49, {}, 0),
        (BOX, 0.49, {"score_threshold": 0.3}, 1),
    ],
)
def test_thresholds(box, score, options, found):
    for boxes in (1, 2):  # a detection finds one of them
        images = [image(1, gt=[(0, BOX)] * boxes, found=[(0, score, box)])]
        assert counts_of(images, {1: "s"}, **options)["tumor"] == [("s", found, boxes)]


def test_scenes_are_those_of_the_results():
    images = [image(number, gt=[(0, BOX)]) for number in range(8)]
    with pytest.raises(InputError, match="8 images have no scene: 0, 1, 2, 3, 4 and 3 more"):
        counts_of(images, {})
    with pytest.raises(InputError, match="1 images belong to a scene and have no result: 9"):
        counts_of(images, dict.fromkeys([*range(8), 9], "s"))
    with pytest.raises(InputError, match="image 3: the scene must be a non-empty text, found ''"):
        counts_of(images, {**dict.fromkeys(range(8), "s"), 3: ""})


def test_mean_and_sample_sd():
    rows = [SceneCount("a", 1, 2), SceneCount("b", 3, 3), SceneCount("c", 0, 40)]
    mean, sd = mean_and_sd(rows)  # 0.5, 1, 0: every scene weighs the same
    assert mean == pytest.approx(0.5) and sd == pytest.approx(math.sqrt((0 + 0.25 + 0.25) / 2))
    assert mean_and_sd(rows[:1]) == (0.5, None)
    assert mean_and_sd([]) == (None, None)


def named(values):
    return {f"s{number}": value for number, value in enumerate(values)}


def test_paired_t_test_by_hand():
    # differences 0.2, 0, 0.5, -0.1: mean 0.15, sum of squares about it 0.21, variance 0.07
    test = paired_t_test(named([0.8, 0.6, 1.0, 0.4]), named([0.6, 0.6, 0.5, 0.5]))
    t = 0.15 / math.sqrt(0.07 / 4)
    x = t / math.sqrt(3)  # Student's t with 3 degrees of freedom has this closed form
    p = 1 - 2 / math.pi * (x / (1 + x * x) + math.atan(x))
    assert (test.n, test.reason) == (4, None)
    assert test.difference == pytest.approx(0.15) and test.t == pytest.approx(t) and test.p == pytest.approx(p)
    assert test.t == pytest.approx(1.133893) and test.p == pytest.approx(0.339254, abs=1e-6)


def test_paired_t_test_is_scipys_and_has_a_direction():
    rng = np.random.default_rng(0)
    a, b = rng.random(30), rng.random(30)
    test, back = paired_t_test(named(a), named(b)), paired_t_test(named(b), named(a))
    expected = stats.ttest_rel(a, b)
    assert (test.t, test.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert back.t == pytest.approx(-test.t) and back.p == pytest.approx(test.p)
    shuffled = dict(sorted(named(b).items(), key=lambda item: item[1]))
    assert paired_t_test(named(a), shuffled) == test  # paired by name, not by order


def test_the_papers_p_values_are_one_sided():
    for t, one_sided, two_sided in ((2.921, "0.003", "0.007"), (0.559, "0.290", "0.580")):
        p = float(stats.t.sf(t, 29))  # 30 scenes
        assert (f"{p:.3f}", f"{2 * p:.3f}") == (one_sided, two_sided)


def test_undefined_tests_say_why():
    for a, b, difference, reason in (
        ([], [], None, "no scene has a box of this label"),
        ([0.75], [0.5], 0.25, "one scene only: a t-test needs two or more"),
        ([0.1, 0.7], [0.1, 0.7], 0.0, "the two runs are equal in every scene"),
    ):
        assert paired_t_test(named(a), named(b)) == PairedTest(len(a), difference, None, None, reason)


def test_a_constant_difference_has_no_variance():
    # 0.6 - 0.4, 0.8 - 0.6 and 1 - 0.8 differ in the last bits: divided by that variance, t would be huge
    a, b = [0.6, 0.8, 1.0], [0.4, 0.6, 0.8]
    assert np.std(np.subtract(a, b)) > 0
    test = paired_t_test(named(a), named(b))
    assert test.difference == pytest.approx(0.2) and (test.t, test.p) == (None, None)
    assert test.reason == "the difference is +0.200 in every scene: its variance is zero"
    assert "-0.200" in paired_t_test(named(b), named(a)).reason


def test_a_small_difference_is_not_taken_for_none():
    assert paired_t_test(named([1 / 400, 0.5]), named([1 / 401, 0.5])).t == pytest.approx(1.0)


def test_unequal_scenes_are_named():
    with pytest.raises(InputError, match="first run lacks x, y; the second run lacks s1"):
        paired_t_test(named([0, 0]), {"s0": 0.0, "y": 0.5, "x": 1.0})
    with pytest.raises(InputError, match="second run lacks s0, s1, s2, s3, s4 and 2 more"):
        paired_t_test(named([0] * 7), {})


def test_values_that_are_no_numbers():
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="not a finite number"):
            paired_t_test(named([0.1, value]), named([0.1, 0.2]))
