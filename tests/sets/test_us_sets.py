"""Ultrasound sets in, by their layouts: boxes are those that they were made from, and the report says what was done."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.prepare.us import USOptions
from gluon_liver.prepare.us_report import report_lines
from gluon_liver.sets.us.import_set import find_set, import_us_set
from gluon_liver.sets.us.layout import Given
from gluon_liver.sets.us.registry import US_LAYOUTS
from tests.conftest import us_config

from .us_aul_set import write_aul
from .us_clust_set import write_clust
from .us_labelme_set import SIZE, shape, write_json, write_labelme
from .us_picture import picture, write_picture
from .us_vos_set import write_mask, write_vos

TRAIN = USOptions(fractions=(1, 0, 0))
NOTHING, WHOLE = Given(), Given(whole_frame=True)


def boxes_of(folder):
    """(recording as the set calls it, frame) -> sorted [(class, x1, y1, x2, y2)] of prepared data; the dataset."""
    dataset = USDataset.open(folder)
    with open(folder / "private" / "key.csv", newline="") as stream:
        recording = {row["case"]: row["recording"] for row in csv.DictReader(stream)}
    found = {}
    for label in dataset.labels:
        some = [(dataset.classes[index], *box) for index, box in zip(label.labels, label.boxes.tolist())]
        found[recording[label.case], label.frame] = sorted(some)
    return found, dataset


def imported(folder, name, given=NOTHING, options=TRAIN):
    report = import_us_set(name, folder / "in", folder / "data", given, options)
    found, dataset = boxes_of(folder / "data")
    return report, found, dataset


@pytest.mark.parametrize("nested", [True, False])
def test_aul_gives_the_boxes_around_its_outlines(tmp_path, nested):
    truth = write_aul(tmp_path / "in", nested=nested)
    report, found, dataset = imported(tmp_path, "aul")
    assert {name: boxes for (name, _), boxes in found.items()} == truth
    assert dataset.classes == ("benign", "malignant") and report["labels"]["background"] == 3
    text = "\n".join(report_lines(report))
    assert "6 box(es) were absent and were taken from their polygon" in text and "each picture counts as one" in text
    assert "note: the pictures of this set are taken whole" in text and "on no real ones" in text
    assert "files: 33 found" in text and "name its folder" not in text and "us-flow would pair each with itself" in text
    assert "the salt 'aul', which is public" in text and "who guesses it" not in text
    again = import_us_set("aul", tmp_path / "in", tmp_path / "again", options=TRAIN)
    assert [one["case"] for one in again["taken"]] == [one["case"] for one in report["taken"]]


def test_aul_leaves_out_a_lesion_without_an_outline(tmp_path):
    write_aul(tmp_path / "in", nested=False)
    (tmp_path / "in" / "Benign" / "segmentation" / "mass" / "1.json").unlink()
    (tmp_path / "in" / "Normal" / "segmentation" / "mass").mkdir()
    (tmp_path / "in" / "Normal" / "segmentation" / "mass" / "7.json").write_text("[[1, 1], [9, 9], [9, 1]]")
    (tmp_path / "in" / "Malignant" / "image" / "4.jpg").write_bytes(b"no picture")
    mac = tmp_path / "in" / "__MACOSX" / "Benign" / "image"
    mac.mkdir(parents=True)
    (mac / "._2.jpg").write_bytes(b"Finder")
    report, found, _ = imported(tmp_path, "aul")
    assert len(found) == 6
    assert {one["reason"]: one["images"] for one in report["labels"]["not_taken"]} == {
        "its lesion has no outline (segmentation/mass)": 1,
        "it is among the normal ones and has a mass": 1,
        "its picture cannot be read": 1,
    }
    assert "Benign/image/1.jpg" in (tmp_path / "data" / "private" / "left-out.csv").read_text()
    assert "Benign" not in json.dumps(report)


def test_a_picture_that_a_public_set_has_twice_is_taken_once(tmp_path):
    write_aul(tmp_path / "in", nested=False)
    images = tmp_path / "in" / "Benign" / "image"
    (images / "2.jpg").write_bytes((images / "1.jpg").read_bytes())
    report, found, dataset = imported(tmp_path, "aul")
    assert len(found) == 8 and found["Benign/image/1.jpg", 0] and dataset.frames(dataset.cases[0].case).any()
    assert "is a copy of file 0001 of 0009, which was taken" in report["quarantined"][0]["reason"]


def test_aul_takes_several_outlines_of_a_file(tmp_path):
    write_aul(tmp_path / "in", nested=False)
    two = [[[4, 4], [12, 4], [8, 10]], [[30, 30], [44, 31], [40, 40]]]
    path = tmp_path / "in" / "Benign" / "segmentation" / "mass" / "1.json"
    path.write_text(json.dumps(two))
    _, found, _ = imported(tmp_path, "aul")
    assert found["Benign/image/1.jpg", 0] == [("benign", 4, 4, 12, 10), ("benign", 30, 30, 44, 40)]
    for wrong in ({}, [], [1, 2], [[1, 2, 3]], [[1, "2"]], [[True, 1]]):
        path.write_text(json.dumps(wrong))
        with pytest.raises(AnnotationError, match="1.json: expected an outline, a list of points"):
            find_set("aul", tmp_path / "in")


def test_labelme_gives_boxes_of_all_its_shapes(tmp_path):
    truth = write_labelme(tmp_path / "in")
    report, found, dataset = imported(tmp_path, "labelme", WHOLE)
    assert {name: boxes for (name, _), boxes in found.items()} == {name: sorted(some) for name, some in truth.items()}
    text = "\n".join(report_lines(report))
    assert "2 shape(s) are points or lines, and no boxes" in text and "2 shape(s) of one label and group" in text
    assert "where they are frames of a recording, give --by-folder" in text and "files: 8 found" in text
    assert "whole frames were taken: text burned into them stays" in text and "public" not in text
    with pytest.raises(InputError, match="give the box with --region .* or take everything with --whole-frame"):
        import_us_set("labelme", tmp_path / "in", tmp_path / "other", options=TRAIN)


def test_labelme_by_folder_gives_frames_of_a_recording(tmp_path):
    truth = write_labelme(tmp_path / "in")
    _, found, dataset = imported(tmp_path, "labelme", Given(whole_frame=True, by_folder=True))
    assert {f"{name}/scan_{frame:03d}.png": some for (name, frame), some in found.items()} == {
        name: sorted(some) for name, some in truth.items()
    }
    assert [dataset.previous_frame(one) for one in dataset.labels] == [0, 0, 1, 2]


def test_labelme_classes_by_a_map_and_a_region(tmp_path):
    write_labelme(tmp_path / "in")
    (tmp_path / "in" / "other.json").write_text("{}")
    (tmp_path / "map.yaml").write_text("classes: {lesion: [tumor]}\nignore: [vessel]\n")
    arguments = f"import us {tmp_path}/in --layout labelme --region 8 6 40 44 --classes {tmp_path}/map.yaml"
    assert main(f"{arguments} --out {tmp_path}/data --split-fractions 1 0 0".split()) == 0
    found, dataset = boxes_of(tmp_path / "data")
    assert dataset.classes == ("lesion",) and dataset.frames(dataset.cases[0].case).shape[1:3] == (38, 32)
    assert found["images/scan_000.png", 0] == [("lesion", 0, 24, 20, 38), ("lesion", 2, 2, 22, 22.5)]


@pytest.mark.parametrize(
    "shapes, more, message",
    [
        ([shape("tumor", [[1, 2], [3, float("nan")]])], {}, "shape 0: points must be"),
        ([shape("tumor", [[1, 2], ["3", 4]])], {}, "shape 0: points must be"),
        ([shape("tumor", [[1, 2]], "circle")], {}, "shape_type 'circle' of 1 point"),
        ([shape("tumor", [[1, 2], [3, 4], [5, 6]], "cuboid")], {}, "shape_type 'cuboid' of 3 point"),
        ([shape(7, [[1, 2], [3, 4]])], {}, "shape 0 has no label"),
        ("tumor", {}, "shapes must be a list"),
        ([shape("tumor", [[1, 2], [10**400, 3]])], {}, "shape 0: points must be"),
        ([], {"imageWidth": 10**30}, "must be whole numbers from 1 to 4096"),
        ([], {"imageWidth": "64"}, "imageWidth and imageHeight must be whole numbers"),
        ([], {"imageWidth": 63}, "'width' and 'height' are 63 and 48"),
        ([], {"imagePath": "../../../../etc/hosts.png"}, "its picture .imagePath. is not below the folder"),
        ([], {"imagePath": "gone.png", "imageData": "aGVsbG8="}, "imageData. is not read"),
        ([], {"imagePath": 3}, "imagePath must be a text"),
        ([shape("tumor", [[1, 2], [90, 30]], "rectangle")], {}, "leaves image 1"),
    ],
)
def test_labelme_names_what_is_wrong(tmp_path, shapes, more, message):
    write_picture(tmp_path / "in" / "a.png", picture(SIZE))
    write_json(tmp_path / "in" / "b.json", shapes, "a.png", **more)
    with pytest.raises(AnnotationError, match=message) as caught:
        import_us_set("labelme", tmp_path / "in", tmp_path / "data", WHOLE, TRAIN)
    assert "b.json" not in str(caught.value) and not (tmp_path / "data").exists()


def test_vos_gives_a_box_around_each_object(tmp_path):
    truth = write_vos(tmp_path / "in")
    report, found, dataset = imported(tmp_path, "vos", WHOLE)
    names = {1: "tumor", 2: "vessel"}
    assert {(name.split("/")[1], frame): some for (name, frame), some in found.items()} == {
        key: sorted((names[number], *corners) for number, corners in some.items()) for key, some in truth.items()
    }
    assert "6 mask(s) have pixels of 255, which say nothing and are no object" in report["notes"]
    # every fifth frame is there
    assert "labelled frames are mostly 5 apart" in "\n".join(report["notes"])
    import_us_set("vos", tmp_path / "in", tmp_path / "five", WHOLE, USOptions(fractions=(1, 0, 0), step=5))
    assert USDataset.open(tmp_path / "five").pairs(USDataset.open(tmp_path / "five").labels)[0] == 4


def test_vos_without_categories_and_with_splits(tmp_path):
    truth = write_vos(tmp_path / "in" / "train", ("a", "b"), meta=False, palette=False)
    truth.update(write_vos(tmp_path / "in" / "valid", ("c",), meta=False))
    report, found, dataset = imported(tmp_path, "vos", WHOLE, USOptions())
    assert dataset.classes == ("object",) and len(found) == len(truth)
    assert [len(dataset.labels_of(name)) for name in ("train", "val", "test")] == [6, 3, 0]


@pytest.mark.parametrize("listed, parts", [("b", [3, 3, 0]), ("", None)])
def test_vos_splits_by_lists(tmp_path, listed, parts):
    write_vos(tmp_path / "in", ("a", "b"), meta=False)
    lists = tmp_path / "in" / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text(f"{listed}\n")
    report, _, dataset = imported(tmp_path, "vos", WHOLE, TRAIN if parts is None else USOptions())
    if parts is None:
        assert "1 video(s) are in none of the set's splits, which are therefore not used" in report["notes"]
    else:
        assert [len(dataset.labels_of(name)) for name in ("train", "val", "test")] == parts


def test_vos_refuses_what_is_no_mask_of_its_frame(tmp_path):
    write_vos(tmp_path / "in", ("a",))
    mask = tmp_path / "in" / "Annotations" / "a" / "00000.png"
    write_mask(mask, np.full((48, 64), 9, np.uint8))
    with pytest.raises(
        AnnotationError, match="video 1 of 1 by name, mask 1: object 9 is none of its video in meta.json"
    ):
        find_set("vos", tmp_path / "in")
    meta = tmp_path / "in" / "meta.json"
    text = meta.read_text()
    for wrong, message in (("[]", "has no objects of it"), ('{"videos": {"a": {"objects": {"x": 1}}}}', "must be ids")):
        meta.write_text(wrong)
        with pytest.raises(AnnotationError, match=message):
            find_set("vos", tmp_path / "in")
    meta.write_text(text)
    write_mask(mask, np.zeros((40, 64), np.uint8))
    with pytest.raises(AnnotationError, match="has 64x40 pixels, its frame 64x48"):
        find_set("vos", tmp_path / "in")
    write_picture(mask, picture(SIZE))
    with pytest.raises(AnnotationError, match="is in colour"):
        find_set("vos", tmp_path / "in")
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(AnnotationError, match="video 1 of 1 by name, mask 1 cannot be read"):
        find_set("vos", tmp_path / "in")
    mask.unlink()
    (tmp_path / "in" / "JPEGImages" / "a" / "00005.jpg").unlink()
    found = find_set("vos", tmp_path / "in", WHOLE)
    assert [reason for _, reason in found.left_out] == ["its frame is not in JPEGImages"]


@pytest.mark.parametrize("name", [name for name in US_LAYOUTS if name != "b-mode-and-ceus-liver"])
def test_a_folder_of_something_else_is_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Benign.zip").write_bytes(b"PK\x03\x04")
    given = Given(box_pixels=9) if name == "clust" else Given()
    with pytest.raises(InputError, match=r"none of its 1 file\(s\) is .*; 1 file\(s\) are archives: unpack them first"):
        find_set(name, tmp_path / "in", given)
    with pytest.raises(InputError, match="there is no such folder"):
        find_set(name, tmp_path / "nowhere", given)


def test_options_of_other_layouts_are_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="--by-folder is not for --layout aul"):
        find_set("aul", tmp_path, Given(by_folder=True))
    with pytest.raises(InputError, match="there is none of that name for ultrasound; known are aul, clust"):
        find_set("lits", tmp_path)
    labels = tmp_path / "x.json"
    labels.write_text("{}")
    for arguments, message in (
        (f"--dry-run --labels {labels} --out d", "--dry-run is for --layout NAME"),
        ("--out d", "--labels FILE for COCO JSON, or --layout NAME"),
        ("--layout aul", "--out DATA"),
        (f"--layout aul --labels {labels} --out d", "--labels is not for --layout aul"),
    ):
        assert main(["import", "us", str(tmp_path), *arguments.split()]) == 2
        assert message in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_taken_and_writes_nothing(tmp_path, capsys):
    write_aul(tmp_path / "in")
    before = sorted(tmp_path.rglob("*"))
    assert main(f"import us {tmp_path}/in --layout aul --dry-run".split()) == 0
    out = capsys.readouterr().out
    assert "would take: 9 recording(s) of 9" in out and "6 box(es) (3 benign, 3 malignant), 3 of them background" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_single_pictures_train_the_one_and_sequences_the_other(tmp_path, us_flow):
    from gluon_liver.training.inputs import TrainingInputs
    from gluon_liver.training.train import train

    write_aul(tmp_path / "in", pictures=2)
    _, _, dataset = imported(tmp_path, "aul")
    run = train(us_config("us-faster-rcnn"), dataset, tmp_path / "run", steps=1, progress=False)
    assert run.config.model == "us-faster-rcnn"
    notes = "\n".join(TrainingInputs(us_config("us-flow"), dataset).notes)
    assert "us-flow sees one frame alone of 6 of 6 training images" in notes
    write_clust(tmp_path / "video", ("CIL-01",))
    import_us_set("clust", tmp_path / "video", tmp_path / "sequences", Given(box_pixels=12), TRAIN)
    sequences = USDataset.open(tmp_path / "sequences")
    run = train(us_config("us-flow"), sequences, tmp_path / "flow-run", steps=1, progress=False, flow=us_flow)
    assert run.config.model == "us-flow"
