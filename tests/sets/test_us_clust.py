"""CLUST: boxes of a stated size about its points, its own splits, and what is wrong with its files."""

from __future__ import annotations

import pytest

from gluon_liver.errors import AnnotationError, InputError, SplitError
from gluon_liver.prepare.us import USOptions
from gluon_liver.prepare.us_report import report_lines
from gluon_liver.sets.us.import_set import find_set, import_us_set, plan_lines
from gluon_liver.sets.us.layout import Given

from .test_us_sets import TRAIN, boxes_of, imported
from .us_clust_set import SPACING, write_clust


def test_clust_puts_boxes_of_a_stated_size_about_its_points(tmp_path):
    truth = write_clust(tmp_path / "in")
    report, found, dataset = imported(tmp_path, "clust", Given(box_mm=8))
    wide, high = 8 / SPACING[0] / 2, 8 / SPACING[1] / 2
    assert {(name.split("/")[2], frame) for name, frame in found} == truth.keys()
    for (name, frame), boxes in found.items():
        points = truth[name.split("/")[2], frame]
        wanted = [("landmark", x - 0.5 - wide, y - 0.5 - high, x - 0.5 + wide, y - 0.5 + high) for x, y in points]
        for box, (kind, *corners) in zip(boxes, sorted(wanted)):
            assert box[0] == kind and box[1:] == pytest.approx(corners, abs=1e-5)
    # two sequences of one volunteer are one patient
    assert len({info.patient for info in dataset.cases}) == 2 and dataset.classes == ("landmark",)
    text = "\n".join(report_lines(report))
    assert "boxes of 8 mm a side were put about them, which the set does not have" in text
    # frames 1, 6, 11 are annotated; 5 and 10 are stored as the frames before
    assert {info.unlabelled for info in dataset.cases} == {(5, 10)}
    pairs = sorted((one.frame, dataset.previous_frame(one)) for one in dataset.labels_of("train"))
    assert pairs == sorted([(1, 1), (6, 5), (11, 10)] * 3)


def test_clust_keeps_its_own_splits(tmp_path):
    write_clust(tmp_path / "in", ("CIL-01", "CIL-02"), ("ICR-01", "ICR-02"))
    report, found, dataset = imported(tmp_path, "clust", Given(box_pixels=10), USOptions())
    assert {name: len(dataset.labels_of(name)) for name in ("train", "val", "test")} == {
        "train": 6,
        "val": 0,
        "test": 2,
    }
    assert "the splits are the set's own" in report["notes"]
    given = Given(box_pixels=10)
    with pytest.raises(InputError, match="splits of its own, which are kept: leave --split-fractions"):
        import_us_set("clust", tmp_path / "in", tmp_path / "other", given, TRAIN)
    lines = plan_lines("clust", tmp_path / "in", given, USOptions())
    assert "the set's own splits: 2 test, 2 train" in lines or "the set's own splits: 2 train, 2 test" in lines
    write_clust(tmp_path / "in", ("ETH-01-1",), ("ETH-01-2",))  # one volunteer on both sides
    with pytest.raises(SplitError, match="patients are in more than one split"):
        import_us_set("clust", tmp_path / "in", tmp_path / "other", given, USOptions())


def test_clust_leaves_out_frames_that_are_not_wholly_annotated(tmp_path):
    write_clust(tmp_path / "in", ("CIL-01",))
    root = tmp_path / "in" / "TrainingSet" / "2D" / "CIL-01"
    text = (root / "Annotation" / "CIL-01_2.txt").read_text().splitlines()
    (root / "Annotation" / "CIL-01_2.txt").write_text("\n".join(text[:2]) + "\n99, 1.0, 2.0\n")
    report, found, _ = imported(tmp_path, "clust", Given(box_pixels=10))
    assert sorted(frame for _, frame in found) == [1, 6]
    reasons = {one["reason"] for one in report["labels"]["not_taken"]}
    assert reasons == {"its frame is not there", "some landmarks of the sequence are not annotated in it"}
    # a point at the edge: its box is cut, and that is said
    (root / "Annotation" / "CIL-01_1.txt").write_text("1 1.0 2.0\n6 20 20\n")
    (root / "Annotation" / "CIL-01_2.txt").write_text("1 30 30\n6 30 40\n")
    report = import_us_set("clust", tmp_path / "in", tmp_path / "cut", Given(box_pixels=10), TRAIN)
    assert "1 box(es) about landmarks reach beyond the picture and were cut there" in report["notes"]
    boxes, _ = boxes_of(tmp_path / "cut")
    assert next(iter(boxes.values()))[0] == ("landmark", 0, 0, 5.5, 6.5)


@pytest.mark.parametrize(
    "line, message",
    [
        ("1 2", "line 1: expected a frame, x and y"),
        ("1.5 2 3", "expected a frame"),
        ("1 2 nan", "expected a frame"),
        ("1 2 3\n1 2 4", "line 2: frame 1 is there again with another point"),
    ],
)
def test_clust_names_what_is_wrong_with_a_file(tmp_path, line, message):
    write_clust(tmp_path / "in", ("CIL-01",))
    (tmp_path / "in" / "TrainingSet" / "2D" / "CIL-01" / "Annotation" / "CIL-01_1.txt").write_text(line)
    with pytest.raises(AnnotationError, match=message):
        find_set("clust", tmp_path / "in", Given(box_pixels=9))


def test_clust_needs_a_size_and_a_resolution(tmp_path):
    write_clust(tmp_path / "in", ("CIL-01",))
    with pytest.raises(InputError, match="with --box-mm or --box-pixels"):
        find_set("clust", tmp_path / "in")
    with pytest.raises(InputError, match="side of a box is -1"):
        find_set("clust", tmp_path / "in", Given(box_mm=-1))
    for text, message in (
        ("scan,res_x\nCIL-01,1", "expected the columns"),
        ("scan,res_x,res_y\nCIL-01,0,1", "cannot be"),
    ):
        (tmp_path / "in" / "resolution.csv").write_text(text)
        with pytest.raises(AnnotationError, match=message):
            find_set("clust", tmp_path / "in", Given(box_mm=9))
    (tmp_path / "in" / "resolution.csv").unlink()
    with pytest.raises(InputError, match="CIL-01: no resolution.csv .* or give --box-pixels"):
        find_set("clust", tmp_path / "in", Given(box_mm=9))
