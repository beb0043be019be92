from __future__ import annotations

import functools
import json
import math
import operator

import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics.us_summary import check_us_summary, sensitivities, us_summary

from .images import image

CLASSES = ("tumor", "vessel")
A, B = (0, 0, 10, 10), (50, 50, 60, 60)
SCENES = {1: "case/scene-001", 2: "case/scene-001", 3: "case/scene-002", 4: "case/scene-003"}


@pytest.fixture
def by_hand():
    return [
        image(1, "p", gt=[(0, A), (1, B)], found=[(0, 0.9, A), (1, 0.8, B)]),
        image(2, "p", gt=[(0, A)], found=[(0, 0.4, A)]),  # found, but below the score
        image(3, "q", gt=[(0, A)], found=[(0, 0.7, A)]),
        image(4, "q", found=[(1, 0.9, B)]),  # background
    ]


@pytest.fixture
def summary(by_hand):
    return us_summary(by_hand, scenes=SCENES, classes=CLASSES)


def test_summary_by_hand(summary):
    assert [summary[key] for key in ("images", "patients", "annotated_images")] == [4, 2, 3]
    assert summary["boxes"] == {"tumor": 3, "vessel": 1}
    assert summary["scenes"] == [{"scene": f"case/scene-00{i + 1}", "images": n} for i, n in enumerate((2, 1, 1))]
    tumor, vessel = summary["sensitivity"]["tumor"], summary["sensitivity"]["vessel"]
    assert tumor["scenes"] == [
        {"scene": "case/scene-001", "found": 1, "n": 2, "sensitivity": 0.5},
        {"scene": "case/scene-002", "found": 1, "n": 1, "sensitivity": 1.0},
    ]
    assert (tumor["mean"], tumor["n"]) == (0.75, 2) and tumor["sd"] == pytest.approx(math.sqrt(0.125))
    assert (vessel["mean"], vessel["sd"], vessel["n"]) == (1.0, None, 1)
    assert sensitivities(summary, "tumor") == {"case/scene-001": 0.5, "case/scene-002": 1.0}
    # every box lies exactly; the vessel in the background scores higher than the true one: precision 1/2
    for key in ("ap", "ap50", "ap75"):
        assert summary[key] == {"tumor": pytest.approx(1), "vessel": pytest.approx(0.5), "mean": pytest.approx(0.75)}
    assert summary["settings"]["score_threshold"] == summary["settings"]["iou_threshold"] == 0.5
    check_us_summary(json.loads(json.dumps(summary, allow_nan=False)))


def test_boxes_by_size():
    wide = (0, 0, 40, 5)
    images = [
        image(1, "p", gt=[(0, A), (1, B)], found=[(0, 0.9, A)]),
        image(2, "q", gt=[(0, A), (0, wide)], found=[(0, 0.4, A), (0, 0.8, wide)]),
    ]
    rows = us_summary(images, scenes={1: "s", 2: "t"}, classes=CLASSES)["by_size"]
    assert [(row["from_px"], row["to_px"]) for row in rows] == [(0, 32), (32, 96), (96, None)]
    found = [[(row["sensitivity"][name]["value"], row["sensitivity"][name]["n"]) for name in CLASSES] for row in rows]
    assert found == [[(0.5, 2), (0.0, 1)], [(1.0, 1), (None, 0)], [(None, 0), (None, 0)]]
    assert rows[0]["sensitivity"]["tumor"]["low"] < 0.1 and rows[1]["sensitivity"]["tumor"]["low"] is None


def test_average_precision_by_overlap():
    # IoU 0.8: found at 0.50, 0.55 ... 0.80, seven of ten overlaps
    images = [image(1, gt=[(0, A)], found=[(0, 0.9, (0, 0, 10, 8))])]
    summary = us_summary(images, scenes={1: "s"}, classes=CLASSES)
    assert [summary[key]["tumor"] for key in ("ap", "ap50", "ap75")] == pytest.approx([0.7, 1, 1])
    assert summary["ap"]["vessel"] is None and summary["ap"]["mean"] == pytest.approx(0.7)
    assert summary["sensitivity"]["vessel"] == {"mean": None, "sd": None, "n": 0, "scenes": []}
    check_us_summary(summary)


def test_score_threshold_moves_sensitivity_only(by_hand, summary):
    low = us_summary(by_hand, scenes=SCENES, classes=CLASSES, score_threshold=0.3)
    assert low["sensitivity"]["tumor"]["mean"] == 1.0
    assert all(low[key] == summary[key] for key in ("ap", "ap50", "ap75", "truth"))


def test_truth_is_the_annotation_and_nothing_else(by_hand, summary):
    def truth(images, scenes=SCENES):
        return us_summary(images, scenes=scenes, classes=CLASSES)["truth"]

    assert truth([by_hand[1], by_hand[0], *by_hand[2:]]) == summary["truth"]
    assert truth([*by_hand[:3], image(4, "q")]) == summary["truth"]
    assert truth([*by_hand[:3], image(4, "q", gt=[(0, A)])]) != summary["truth"]
    assert truth([*by_hand[:2], image(3, "q", gt=[(0, (0, 0, 10, 11))]), by_hand[3]]) != summary["truth"]
    assert truth([*by_hand[:2], image(3, "q", gt=[(1, A)]), by_hand[3]]) != summary["truth"]
    assert truth(by_hand, {**SCENES, 2: "case/scene-002"}) != summary["truth"]


def test_input_that_contradicts_itself(by_hand):
    with pytest.raises(InputError, match="1 images have no scene: 4"):
        us_summary(by_hand, scenes={1: "a", 2: "a", 3: "a"}, classes=CLASSES)
    with pytest.raises(InputError, match="occurs twice"):
        us_summary([*by_hand, by_hand[0]], scenes=SCENES, classes=CLASSES)
    for classes in ((), ("tumor", "mean"), ("tumor", "tumor")):
        with pytest.raises(InputError, match="classes are"):
            us_summary(by_hand, scenes=SCENES, classes=classes)


# (path to an entry, its new value or KeyError for none); the message names the first one or two of the path
TOP = [("truth", 3), ("images", KeyError), ("scenes 2", {}), ("scenes 2", 3)]
NAMED = [("settings sd", KeyError), ("settings iou_threshold", "half"), ("sensitivity vessel", KeyError)]
NAMED += [("ap75 mean", KeyError), ("ap tumor", "0.5"), ("ap50 vessel", float("nan")), ("sensitivity vessel sd", 0.1)]
NAMED += [("sensitivity tumor n", 5), ("sensitivity tumor sd", None), ("sensitivity tumor mean", KeyError)]
SCENE = [("scene", "case/scene-009"), ("scene", "case/scene-002"), ("found", 3), ("n", 1)]  # 1: not as many as boxes
NAMED += [(f"sensitivity tumor scenes 0 {key}", value) for key, value in SCENE]


@pytest.mark.parametrize("path, value", TOP + NAMED)
def test_a_damaged_summary_is_named(summary, path, value):
    *parents, last = [int(key) if key.isdecimal() else key for key in path.split()]
    entry = functools.reduce(operator.getitem, parents, summary)
    entry[last] = value
    if value is KeyError:
        del entry[last]
    named = ".".join(path.split()[: 1 if (path, value) in TOP else 2])
    with pytest.raises(InputError, match=f"no valid {named};"):
        check_us_summary(summary)
    with pytest.raises(InputError, match="a list"):
        check_us_summary([])
