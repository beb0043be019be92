"""Which images are shown of a comparison: the largest differences first, spread over patients and studies."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.report.comparison.differing import Difference, Outcome, chosen, difference, outcome
from gluon_liver.report.comparison.scored import ScoredRun

from .conftest import image_result

BOX, OTHER, FAR = (10, 10, 30, 30), (50, 50, 80, 80), (200, 200, 220, 220)


def made(truth, found):
    return outcome(image_result(1, "p", truth, found), score_threshold=0.5, iou_threshold=0.5)


def test_outcome_by_hand():
    truth = [(0, BOX), (1, OTHER), (0, FAR)]
    # a hit, a second one on the same object, a wrong class, and a right one below the threshold
    found = [(0, 0.9, BOX), (0, 0.8, (11, 10, 31, 30)), (0, 0.7, OTHER), (0, 0.2, FAR)]
    one = made(truth, found)
    assert one.scores.tolist() == [0.9, 0.0, 0.2] and one.found.tolist() == [True, False, False]
    assert one.right.tolist() == [True, False, False, True] and one.false == 2
    assert one.overlap.tolist() == pytest.approx([1.0, 380 / 420, 0.0, 1.0])
    empty = made([], [(1, 0.6, BOX)])
    assert (empty.false, empty.found.tolist(), empty.overlap.tolist()) == (1, [], [0.0])


HIT, MISS = made([(0, BOX)], [(0, 0.9, BOX)]), made([(0, BOX)], [])
FALSE = made([(0, BOX)], [(0, 0.9, BOX), (0, 0.8, FAR)])
LOW = made([(0, BOX)], [(0, 0.3, BOX)])


@pytest.mark.parametrize(
    ("a", "b", "group", "gain", "amount"),
    [
        ([HIT], [MISS], "a", 1, 1),
        ([MISS], [HIT], "b", -1, 1),
        ([HIT], [FALSE], "a", 1, 1),
        ([FALSE], [MISS], "mixed", 0, 2),  # one object more, and one false detection more
        ([LOW], [MISS], "scores", 0, 0),
        ([HIT], [HIT], "same", 0, 0),
        ([HIT, MISS], [MISS, MISS], "a", 0.5, 0.5),  # means over an arm's runs
        ([HIT, MISS], [MISS, HIT], "same", 0, 0),
    ],
)
def test_groups(a, b, group, gain, amount):
    found = difference(0, a, b)
    assert (found.group, found.gain, found.amount) == (group, gain, amount)


def run_of(*images):
    """images: (patient, case) each."""
    results = [image_result(number, patient, [], []) for number, (patient, _) in enumerate(images)]
    return ScoredRun(None, "run", 0, {}, results, [(case, 0) for _, case in images], {})


def test_what_is_shown_is_spread_over_patients_and_their_studies():
    # patient p has the three largest differences, two of them in one study
    run = run_of(("p", "one"), ("p", "one"), ("p", "two"), ("q", "three"), ("r", "four"))
    amounts = [9.0, 8.0, 7.0, 2.0, 3.0]
    differences = [Difference(row, 1.0, amount, 0.0) for row, amount in enumerate(amounts)]
    assert [one.row for one in chosen(differences, run, "a")] == [0, 4, 3, 2, 1]
    assert chosen(differences, run, "b") == []
    many = run_of(*[(f"p{number}", f"c{number}") for number in range(9)])
    assert len(chosen([Difference(row, 1.0, 1.0, 0.0) for row in range(9)], many, "a")) == 6


def test_scores_decide_between_equal_amounts():
    run = run_of(("p", "one"), ("q", "two"), ("r", "three"))
    differences = [Difference(row, 1.0, 1.0, score) for row, score in enumerate((0.1, 0.5, 0.3))]
    assert [one.row for one in chosen(differences, run, "a")] == [1, 2, 0]


def test_outcome_is_of_the_greedy_matching():
    # two detections of one object: the better one has it, whatever their order
    one = made([(0, BOX)], [(0, 0.6, BOX), (0, 0.95, (12, 10, 32, 30))])
    assert one.right.tolist() == [False, True] and one.scores.tolist() == [0.95]
    assert isinstance(one, Outcome) and np.array_equal(one.found, [True])
