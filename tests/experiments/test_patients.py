import dataclasses

import numpy as np
import pytest

from experiments.patients import contradictions, figure_of, other_patients, over_patients

from .test_verdict import record

ONES = np.ones((1, 3), np.int64)
CYST = {
    "boxes": [1, 0, 2],
    "found": [1, 0, 1],
    "detections": [2, 1, 1],
    "top1_slices": [2, 0, 2],
    "top1_right": [1, 0, 2],
}
HCC = {
    "boxes": [0, 2, 0],
    "found": [0, 1, 0],
    "detections": [0, 1, 1],
    "top1_slices": [0, 4, 0],
    "top1_right": [0, 1, 0],
}
# by hand: of cysts the detections of patients 0 (hit), 1 (none), 2 (hit), 0 (none), with three lesions
RANKED = {"cyst": [1, 2, 5, 0], "hcc": [3, 4]}


@pytest.fixture
def run():
    classes = {"cyst": {**CYST, "ranked": RANKED["cyst"]}, "hcc": {**HCC, "ranked": RANKED["hcc"]}}
    return dataclasses.replace(record("on", "new", 1, 0.5), counts={"patients": ["a", "b", "c"], **classes})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("recall.cyst", 2 / 3),
        ("recall.all", 3 / 5),
        ("precision.all", 3 / 6),
        ("top1.cyst", 3 / 4),
        ("top1.cyst + top1.hcc", (3 / 4 + 1 / 4) / 2),
        # COCO's 101 points: precision 1 up to a recall of 1/3, then 2/3 up to 2/3
        ("ap50.cyst", (34 * 1 + 33 * 2 / 3) / 101),
        ("ap50.mean", ((34 * 1 + 33 * 2 / 3) / 101 + 51 / 101) / 2),
    ],
)
def test_endpoints_are_what_the_counts_say(run, path, value):
    assert figure_of(run, path).at(ONES)[0] == pytest.approx(value)


def test_an_endpoint_that_the_counts_contradict_is_named(run):
    # by hand: recall 3/5, the mean AP50 (34 + 22 + 51) / 202; a change within rounding or below score 0.05 is none
    paths = ["recall.all", "ap50.mean", "ap75.mean"]
    for recall, ap50, names in ((0.6, 0.53, []), (0.1, 0.53, ["recall.all"]), (0.6, 0.05, ["ap50.mean"])):
        one = dataclasses.replace(run, results={"recall.all": recall, "ap50.mean": ap50, "ap75.mean": 0.9})
        assert [line.split()[1] for line in contradictions(one, paths)] == names
    undefined = dataclasses.replace(run, results={"recall.all": None})
    assert contradictions(undefined, ["recall.all"]) == []
    scenes = {"scenes": ["a", "b"], "tumor": {"n": [2, 4], "found": [1, 3]}}
    for mean, count in ((0.625, 0), (0.626, 1)):
        one = dataclasses.replace(run, counts=scenes, results={"sensitivity.tumor.mean": mean})
        assert len(contradictions(one, ["sensitivity.tumor.mean"])) == count


def test_a_run_that_was_scored_on_other_patients_or_boxes_is_named(run):
    same = dataclasses.replace(run, seed=2, counts={**run.counts, "cyst": {**run.counts["cyst"], "found": [0, 0, 0]}})
    elsewhere = dataclasses.replace(run, condition="off", counts={**run.counts, "patients": ["x", "y", "z"]})
    assert other_patients([run, same, elsewhere]) == []
    for counts in ({"patients": ["a", "b", "x"]}, {"hcc": {**run.counts["hcc"], "boxes": [0, 2, 1]}}):
        other = dataclasses.replace(run, seed=3, counts={**run.counts, **counts})
        assert other_patients([run, same, other]) == [
            "tiny/on/new/3: scored on other patients or boxes than tiny/on/new/1"
        ]
    scenes = dataclasses.replace(run, counts={"scenes": ["a"], "tumor": {"n": [2], "found": [1]}})
    fewer = dataclasses.replace(scenes, seed=2, counts={"scenes": ["a"], "tumor": {"n": [3], "found": [1]}})
    assert len(other_patients([scenes, fewer])) == 1


def test_sensitivity_is_the_mean_over_scenes_that_have_the_class(run):
    counts = {"scenes": ["a", "b", "c"], "tumor": {"n": [2, 0, 4], "found": [1, 0, 3]}}
    figure = figure_of(dataclasses.replace(run, counts=counts), "sensitivity.tumor.mean")
    assert figure.at(ONES)[0] == pytest.approx((1 / 2 + 3 / 4) / 2)


@pytest.mark.parametrize("path", ["ap.mean", "lesions.by_size.0.sensitivity", "top1.cyst + ap75.mean", "recall.other"])
def test_what_the_counts_do_not_make_has_no_interval_over_patients(run, path):
    assert figure_of(run, path) is None and over_patients([run] * 2, [run] * 2, path) is None


def test_one_seed_tells_nothing_of_other_trainings(run):
    assert over_patients([run], [run], "recall.all") is None and over_patients([run] * 2, [run] * 2, "recall.all")


def test_the_interval_over_patients_holds_the_difference(run):
    better = dataclasses.replace(run, counts={**run.counts, "cyst": {**run.counts["cyst"], "found": [1, 0, 2]}})
    compared = over_patients([better, better], [run, run], "recall.cyst")
    assert compared.difference == pytest.approx(1 / 3) and compared.low < 1 / 3 < compared.high
    assert over_patients([], [], "recall.cyst") is None
