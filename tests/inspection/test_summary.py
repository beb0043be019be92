"""Counts, sizes and histograms of prepared data against data whose every box is known."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gluon_liver.commands import main
from gluon_liver.data.open import open_dataset
from gluon_liver.inspection.check.run import check
from gluon_liver.inspection.summary.counts import spread_of
from gluon_liver.inspection.summary.intensities import LOW, STEP, Histogram, pixels_of
from gluon_liver.inspection.summary.picture import picture
from gluon_liver.inspection.summary.run import summarize
from gluon_liver.inspection.summary.text import aligned, summary_lines, table1
from gluon_liver.inspection.view.page import make_page
from gluon_liver.inspection.view.source import open_source
from tests.conftest import change_json


@pytest.fixture(scope="module")
def ct_summary(phase_data):
    return summarize(phase_data)


def test_numbered_lesions_are_counted_by_their_numbers(tiny_data, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    labels = json.loads((data / "labels.json").read_text())
    for one in labels["annotations"]:  # the two boxes of a study are one lesion, of one class
        one.update(lesion=1, category_id=2)
    (data / "labels.json").write_text(json.dumps(labels))
    summary = summarize(open_dataset(data), pixels=False)
    assert summary["splits"]["train"]["classes"]["hemangioma"]["lesions"] == 3
    assert summary["lesion_slices"]["all"]["max"] == 2 and summary["lesion_height_mm"]["all"]["max"] == 10


def test_mri_has_no_hu_and_no_liver(tiny_data, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    change_json(data / "dataset.json", modality="MRI")
    for path in (data / "studies").glob("*/study.json"):
        study = json.loads(path.read_text())
        study["source"]["modality"] = "MRI"
        path.write_text(json.dumps(study))
    summary = summarize(open_dataset(data))
    assert summary["intensities"]["unit"] == "grey value" and summary["modality"] == "MRI"
    assert not any("aorta" in line for line in summary_lines(summary))
    assert summary["intensities"]["phases"]["arterial"]["liver"]["pixels"] == 0
    assert "HU" not in "\n".join(summary_lines(summary))
    assert picture(summary)
    assert [one.what[:20] for one in check(data) if one.check == "pixels"] == ["pixels are no HU: va"]
    shown = open_source(data, "case-0000000000")
    body = make_page(shown).html.partition("<body>")[2].partition('<script id="data"')[0]
    assert shown.kind == "MRI" and "grey value" in body and "HU" not in body


def test_table1_of_known_boxes(ct_summary):
    # patient n has a box on slice 0 of class n % 3 and one on slice 1 of class (n + 1) % 3; patient 3 is the test
    assert table1(ct_summary)[1:] == [
        ["", *["No. Patients", "No. Lesions", "Slices"] * 2],
        ["cyst", "2", "2", "2", "1", "1", "1"],
        ["hemangioma", "2", "2", "2", "1", "1", "1"],
        ["hcc", "2", "2", "2", "0", "0", "0"],
        ["all", "3", "6", "6", "1", "2", "2"],
    ]
    train = ct_summary["splits"]["train"]
    assert (train["patients"], train["patients_without_box"]) == (3, 0)
    assert (train["images"], train["images_background"], train["boxes"], train["studies"]) == (9, 3, 6, 3)


def test_sizes_spacing_and_phases(ct_summary):
    assert ct_summary["lesion_mm"]["hcc"] == dict(n=2, min=20, p25=20, median=20, p75=20, max=20)
    assert ct_summary["lesion_height_mm"]["all"]["median"] == 5 and ct_summary["lesion_slices"]["all"]["max"] == 1
    assert ct_summary["spacing_mm"]["between_slices"]["median"] == 5 and ct_summary["matrix"] == {"64x64": 4}
    each = ct_summary["phases"]["each"]
    assert {phase: one["studies"] for phase, one in each.items()} == dict(non_contrast=4, arterial=4, delayed=3)
    assert ct_summary["phases"]["together"]["non_contrast + arterial"] == 1


def test_histograms_count_the_pixels_of_boxes_and_of_present_phases_alone(ct_summary):
    phases = ct_summary["intensities"]["phases"]
    assert phases["arterial"]["boxes"]["cyst"]["pixels"] == 3 * 20 * 18
    assert phases["delayed"]["boxes"]["cyst"]["pixels"] == 2 * 20 * 18  # the last study lacks it
    assert phases["delayed"]["whole"]["pixels"] == 3 * 3 * 64 * 64
    # squares of the first study's classes on their HU: 10, 150, 110
    assert [phases["arterial"]["boxes"][name]["median"] for name in ("cyst", "hemangioma", "hcc")] == [10, 150, 110]


def test_histogram_bins_and_percentiles():
    histogram = Histogram()
    histogram.add(np.array([-5000, -1024, 0, 0, 9, 10.4, 3000]))
    found = histogram.to_json()
    counts = {LOW + STEP * at: count for at, count in enumerate(found["counts"]) if count}
    assert counts == {-1024: 2, -4: 2, 6: 2, 1526: 1}
    assert found["median"] == 0 and found["pixels"] == 7


def test_pixels_of_boxes_at_the_border():
    assert pixels_of(np.array([-3, 2.4, 5.6, 2.5]), (10, 10)) == (slice(2, 3), slice(0, 6))


def test_spread_of_nothing_and_of_some():
    assert spread_of([]) == {"n": 0}
    assert spread_of([4, 1, 3, 2, 5]) == dict(n=5, min=1, p25=2, median=3, p75=4, max=5)


def test_columns_line_up():
    lines = aligned([["", "A long title", "", "B", ""], ["", "x", "y", "x", "y"], ["name", "1", "2", "3", "4"]])
    assert lines[1].index("y") == lines[2].index("2")
    assert lines[2].split() == ["name", "1", "2", "3", "4"]
    assert "A long title" in lines[0]


def test_patients_of_no_split_are_counted_apart(tiny_data, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    splits = json.loads((data / "splits.json").read_text())
    splits["train"] = splits["train"][1:]
    (data / "splits.json").write_text(json.dumps(splits))
    found = summarize(open_dataset(data), pixels=False)["splits"]
    assert [found[name]["patients"] for name in ("train", "test", "unassigned")] == [2, 1, 1]


def test_ultrasound_counts_scenes_frames_and_pixels(us_data):
    summary, dataset = summarize(us_data), us_data
    assert sum(one["images"] for one in summary["splits"].values()) == len(dataset.labels)
    assert summary["box_px"]["all"]["n"] == sum(len(label.boxes) for label in dataset.labels)
    sides = [max(box[2] - box[0], box[3] - box[1]) for label in dataset.labels for box in label.boxes]
    assert summary["box_px"]["all"]["max"] == pytest.approx(max(sides), abs=0.01)
    assert table1(summary)[1][1:4] == ["Scenes", "Boxes", "Frames"]
    assert "px" in "\n".join(summary_lines(summary))


def test_picture_has_a_panel_a_phase(ct_summary):
    image = Image.open(io.BytesIO(picture(ct_summary)))
    assert image.size[0] == 1320
    without = {key: value for key, value in ct_summary.items() if key != "intensities"}
    assert Image.open(io.BytesIO(picture(without))).size[1] < image.size[1]


def test_command_prints_and_writes(tiny_data, tmp_path, capsys):
    assert main(["data", "summary", str(tiny_data), "--out", str(tmp_path / "out"), "--no-pixels"]) == 0
    said = capsys.readouterr().out
    assert "Training Set" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["summary.json", "summary.png", "summary.txt"]
    assert (tmp_path / "out" / "summary.txt").read_text() in said + "\n"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["kind"] == "ct"
    assert main(["data", "summary", str(tiny_data), "--out", str(tmp_path / "out")]) == 2
    assert main(["data", "summary", str(tmp_path)]) == 2
