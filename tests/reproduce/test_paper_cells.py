"""What `reproduce --paper` says of its figures beside the printed ones, and its pictures."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gluon_liver.files.atomic import write_json
from gluon_liver.report.comparison.scored import ScoredRun
from gluon_liver.report.figures.us_drawing import US_COLOURS
from gluon_liver.report.tables.network_tables import PRINTED, our_layers
from gluon_liver.reproduce.paper import us_pictures, us_text
from gluon_liver.reproduce.paper.cells import (
    AGREES,
    CANNOT_TELL,
    DIFFERS,
    NO_WIDTH,
    PaperCell,
    Value,
    judge,
    judge_exactly,
    over_seeds,
)
from gluon_liver.reproduce.paper.us import _average_precision, judge_precision
from gluon_liver.structures.detections import CocoDetection
from gluon_liver.structures.image_result import ImageResult
from tests.report.conftest import us_results


def test_what_may_be_said_of_a_printed_value():
    ours = Value(70.0, "70.0", (60.0, 80.0), "patients")
    assert [judge(printed, ours, "")[0] for printed in (60.0, 69.2, 80.0)] == [AGREES] * 3
    assert judge(59.9, ours, "") == (DIFFERS, judge(59.9, ours, "")[1]) and "below" in judge(59.9, ours, "")[1]
    assert "above" in judge(80.1, ours, "")[1]
    assert judge(70.0, ours, "phantoms") == (CANNOT_TELL, "phantoms")
    assert judge(1.0, Value(1.0, "1", (1.0, 1.0)), "") == (CANNOT_TELL, NO_WIDTH)
    assert judge(1.0, Value(1.0, "1", reason="one patient"), "") == (CANNOT_TELL, "one patient")
    assert judge(1.0, Value(None, "-"), "")[0] == CANNOT_TELL
    verdict, why = judge_precision(70.0, ours, "")
    assert verdict == AGREES and "the images that chose it, ours is of the test split" in why
    assert judge_precision(70.0, ours, "phantoms") == (CANNOT_TELL, "phantoms")
    assert judge_exactly("3", "3", "") == (AGREES, "the same") and judge_exactly("3", "4", "")[0] == DIFFERS
    assert judge_exactly("3", "3", "phantoms") == (CANNOT_TELL, "phantoms")


def test_seeds_have_a_mean_that_says_nothing_of_patients():
    def cell(seed, number):
        return PaperCell("Table 4", "R-50, HCCs", "70.96", f"run {seed}", Value(number, ""), AGREES, "", "", seed)

    (mean,) = over_seeds([cell(0, 1.0), cell(1, 2.0), cell(2, 3.0)])
    assert mean.value.number == 2.0 and mean.verdict == CANNOT_TELL and mean.seed is None
    # 4.303 is the quantile of t with two degrees of freedom, 1 the SD
    assert np.allclose(mean.value.interval, (2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), atol=1e-3)
    assert mean.command == "run 0; run 1; run 2"
    assert over_seeds([cell(0, 1.0)]) == [] and over_seeds([cell(0, 1.0), cell(1, None)]) == []


def test_average_precision_varies_over_patients():
    def run(found, ap50=0.5, ap75=0.5):
        box = np.array([[0, 0, 10, 10]], np.float32)
        images = [
            ImageResult(
                number, f"p{number}", box, np.zeros(1, np.int32), box + shift, np.array([0.9]), np.zeros(1, np.int32)
            )
            for number, shift in enumerate(found)
        ]
        results = {"classes": ["tumor", "vessel"], "summary": {"ap50": {"mean": ap50}, "ap75": {"mean": ap75}}}
        return ScoredRun(Path("run"), "run", 0, results, images, [("case", 0)] * len(found), {})

    value = _average_precision(run([0, 0, 40, 40]), "ap50")
    assert value.number == 0.5 and value.interval[0] < 0.5 < value.interval[1] and value.text == "0.500"
    assert _average_precision(run([0]), "ap50").reason.startswith("one patient only")
    # moved by two pixels: IoU 8 / 12, right at 0.5 and wrong at 0.75, so that only there patients differ
    moved = np.array([2, 0, 2, 0], np.float32)
    same, other = (_average_precision(run([moved, moved, 0, 0], ap50=1.0), key).interval for key in ("ap50", "ap75"))
    assert same[1] == 1.0 and other[0] < 0.3 and other[1] > 0.7
    half = _average_precision(run([moved, moved, 0, 0], ap50=0.5), "ap50").interval  # no patient differs at 0.5
    assert half[1] - half[0] < other[1] - other[0]


def test_printed_networks_are_those_of_the_paper():
    assert PRINTED[101]["Block3"] == ("1x1 256, 3x3 256, 1x1 1024, x12", "4x28x28")
    assert [size for _, _, size in our_layers(50)] == [one.size for one in PRINTED[50].values()]
    layers = {name: layers for name, layers, _ in our_layers(101)}
    assert layers["Block1"] == "1x1 64, 3x3 64, 1x1 256, x6, then 1x1 256" and layers["Conv1"] == "7x7x7 64"


def test_labelled_images_have_boxes_of_the_papers_colours(us_data, tmp_path):
    assert us_pictures.draw_labelled(us_data, tmp_path / "figure.png").startswith("4 training images")
    picture = cv2.imread(str(tmp_path / "figure.png"))[..., ::-1]
    top, below = np.array_split(picture, 2)
    seen = {us_data.classes[kind] for label in us_data.labels_of("train") for kind in label.labels}
    for colour in (US_COLOURS[name] for name in seen):
        assert (below == colour).all(axis=-1).sum() > 100 > 1 > (top == colour).all(axis=-1).sum()


def test_flow_is_drawn_at_the_size_of_the_frame(us_data, tmp_path):
    label = us_pictures.pair_of(us_data)
    assert label is not None and us_data.previous_frame(label) == label.frame - 1
    flow = np.full((30, 30, 2), (20.0, -10.0), np.float32)
    told = us_pictures.draw_flow(us_data, label, flow, tmp_path / "figure.png")
    assert "+20.00 pixels to the right, -10.00 down" in told
    picture = cv2.imread(str(tmp_path / "figure.png"))[..., ::-1]
    side = 5 * 64  # of a frame of 64 pixels, enlarged
    assert (picture == (131, 101, 111)).all(axis=-1).sum() == side**2


def test_what_the_model_gains_varies_over_scenes(tmp_path):
    # tumors of scenes 1, 2, 3: ours 0.5, 0.5, 1 and the other's 0.5, 0, 0.5
    members = [SimpleNamespace(folder=tmp_path / name) for name in ("ours", "plain")]
    for member, missed in zip(members, ({(0, 0), (3, 0)}, {(1, 0), (2, 0), (3, 0), (4, 0)})):
        member.folder.mkdir()
        write_json(member.folder / "results.json", us_results(missed))
    value = us_text._gain_sensitivity(*members)
    assert value.text == "+0.333" and value.number == pytest.approx(1 / 3)
    reach = 4.302653 * (1 / 12) ** 0.5 / 3**0.5
    np.testing.assert_allclose(value.interval, (1 / 3 - reach, 1 / 3 + reach), rtol=1e-6)
    assert judge(0.146, value, "")[0] == AGREES
    assert us_text._over_scenes(np.array([0.5])) is None


def test_counts_over_two_splits_need_both():
    splits = {"val": {"images": 19}, "test": {"images": 150, "classes": {"tumor": {"boxes": 142}}}}
    assert us_text._sum([us_text._count(splits[name], "images") for name in ("val", "test")]) == 169
    assert us_text._sum([us_text._count(splits.get(name, {}), "images") for name in ("train", "test")]) is None
    assert us_text._count(splits["test"], "tumor") == 142 and us_text._count(splits["val"], "tumor") is None


def test_scenes_in_which_nothing_reaches_the_papers_score_are_shown_at_a_lower_one(us_data, tmp_path):
    labels = us_data.labels_of("test")
    rows = [CocoDetection(label.image_id, 1, (10.0, 10.0, 30.0, 30.0), 0.256) for label in labels]
    weak = us_pictures.draw_scenes(us_data, [("ours", rows)], tmp_path / "weak.png")
    assert weak.endswith("; at 0.25, for nothing in them reaches the paper's 0.5")
    none = us_pictures.draw_scenes(us_data, [("ours", [])], tmp_path / "none.png")
    assert none.endswith("whatever was found")
    weak_picture, empty = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("weak", "none"))
    assert weak_picture.shape == empty.shape and (weak_picture != empty).any(axis=-1).sum() > 100
