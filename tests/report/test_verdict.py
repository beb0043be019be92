"""The answer of a comparison in words: what can be told from noise, and what cannot."""

from __future__ import annotations

import pytest

from gluon_liver.report.comparison.causes import compared_causes
from gluon_liver.report.comparison.verdict import answer_text, better_arm, leading, verdict


def entry(name="AP50", difference=0.1, p=0.01, p_holm=0.02, unit="share", **more):
    a = None if difference is None else 0.6 + difference
    made = dict(family="overall", name=name, a=a, b=0.6, difference=difference, low=None, high=None, unit=unit, p=p)
    return {**made, "p_holm": p_holm, "detectable": None, "patients": 12, "reason": None, **more}


def document(*figures, differ=(), identical=False, counts=(10, 5, 2, 1, 2), holds="patients", **more):
    n, both, a, b, neither = counts
    group = dict(name="all", n=n, both=both, a=a, b=b, neither=neither)
    run = dict(name="one", seed=0, checkpoint="step-1")
    return {
        "kind": "ct",
        "phantom": False,
        "images": 40,
        "a": [run],
        "b": [{**run, "name": "two"}],
        "holds": holds,
        "figures": list(figures),
        "lesions": {"groups": [group]},
        "settings": {"score_threshold": 0.5},
        "configuration": {"differ": [{"key": key} for key in differ], "vary": [], "unread": []},
        "differing": {"identical": identical},
        **more,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (entry(), "told"),
        (entry(p_holm=0.06), "hint"),
        (entry(p=0.06, p_holm=0.3), "noise"),
        (entry(difference=0.0, p=None), "equal"),
        (entry(p=None, reason="one patient only"), "unknown"),
        (entry(difference=None, p=None), "unknown"),
    ],
)
def test_what_can_be_told(given, expected):
    assert verdict(given) == expected


def test_the_answer_names_the_better_one_and_by_how_much():
    better = entry(low=0.02, high=0.18)
    text = answer_text(document(better, entry("recall", p=0.5, p_holm=0.9), entry("FROC"), differ=["network.depth"]))
    assert "A (one) has a higher AP50 than B (two): 70.0 % against 60.0 %" in text
    assert "A - B +10.0 percentage points, 95 % interval +2.0 to +18.0" in text
    assert "more than noise over 12 patients (P 0.010; 0.020 after Holm's correction)" in text
    assert "differ by more than noise: FROC (better in A)" in text
    assert "Of 10 lesions both find 5, A alone 2 and B alone 1" in text and "phantom" not in text
    text = answer_text(document(entry(difference=-0.1, p=0.2, p_holm=0.4, detectable=0.25)))
    assert "B (two) has a higher AP50 than A (one): 60.0 % against 50.0 %" in text
    assert "cannot be told from noise (P 0.200 over 12 patients): a true difference of 25.0 points" in text
    assert "it may be noise" in answer_text(document(entry(p_holm=0.2)))


def test_what_lies_between_them_is_named():
    differing = {"differ": [], "vary": [], "unread": []}
    assert "others of the same configurations would differ too" in answer_text(document(entry(), differ=["row"]))
    assert "the seed of training alone: what lies between them is the luck" in answer_text(
        document(entry(), differ=["train.seed"])
    )
    other = document(entry(), b=[dict(name="one", seed=0, checkpoint="step-2")])
    assert "do not differ; A was read at step-1, B at step-2" in answer_text(other)
    assert "Their configurations do not differ." in answer_text(document(entry(), configuration=differing))
    same = answer_text(document(entry(difference=0.0, p=None), identical=True))
    assert same.startswith("A and B give the very same detections in all 40 slices: there is nothing to tell")
    nothing = answer_text(document(entry(difference=0.0, p=1.0), counts=(5, 0, 0, 0, 5), phantom=True))
    assert nothing.startswith("Neither finds any of 5 lesions at score 0.5") and "phantoms" in nothing
    several = answer_text(document(entry(), holds="patients and trainings"))
    assert "over patients and over 1 and 1 trainings" in several


def test_ap50_leads_or_lesions_or_what_there_is():
    names = ["top-1", "lesion sensitivity", "AP50"]
    assert leading(document(*map(entry, names)))["name"] == "AP50"
    assert leading(document(*map(entry, names[:2])))["name"] == "lesion sensitivity"
    assert leading(document(entry("top-1")))["name"] == "top-1"
    assert leading(document(entry("AP50", difference=None), entry("top-1")))["name"] == "top-1"


def test_fewer_false_positives_are_better():
    assert better_arm(entry("false positives a patient", difference=-0.5, unit="rate")) == "A"
    assert better_arm(entry(difference=-0.5)) == "B"


def test_causes_are_counted_side_by_side():
    def found(**objects):
        return {"errors": {"score_threshold": 0.5, "iou": 0.5, "detections": {"right": 5}, "objects": objects}}

    compared = compared_causes([found(found=4, missed=1)], [found(found=5), found(found=2, missed=3)], "abc")
    assert compared["missing"] is None
    assert compared["rows"] == [
        {"of": "detections", "cause": "right", "a": 5, "b": 5},
        {"of": "objects", "cause": "found", "a": 4, "b": 3.5},
        {"of": "objects", "cause": "missed", "a": 1, "b": 1.5},
    ]
    older = compared_causes([found(found=1)], [{}], ["new", "old"])
    assert older["rows"] == [] and "evaluated old; evaluate again" in older["missing"]
    other = found(found=1)
    other["errors"]["iou"] = 0.3
    assert "other thresholds" in compared_causes([found(found=1)], [other], "ab")["missing"]
