"""The whole ultrasound import: frames in the crop, boxes moved, scenes, splits, and nothing that names a patient."""

from __future__ import annotations

import dataclasses
import os
import stat

import cv2
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.inputs import DataConfig
from gluon_liver.config.schema import Config
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_loader import USLoader
from gluon_liver.errors import AnnotationError, DatasetError, InputError, SplitError
from gluon_liver.labels.us import SourceLabel
from gluon_liver.prepare.us import import_us
from gluon_liver.prepare.us_frames import crop_boxes
from gluon_liver.prepare.us_recordings import match_recordings
from gluon_liver.prepare.us_report import report_lines
from tests.conftest import change_json
from tests.readers.us_writer import grey_frames, write_labels, write_us, write_video

SECRET = "Miller_Anna"


def images_of(video, frames, scene=1, **more):
    return [{"video": video, "frame": frame, "scene": scene, **more} for frame in frames]


def dicom_folder(folder, patients=3, frames=6):
    """One recording a patient, frame i of patient p all 40 p + i; the picture is columns 8..55, rows 4..43."""
    for patient in range(patients):
        pixels = grey_frames(range(40 * patient, 40 * patient + frames))
        path = folder / f"{SECRET}{patient}.dcm"
        write_us(path, pixels, number=patient + 1, patient=f"{SECRET}-{patient}", region=(8, 4, 55, 43))
    return folder


def test_boxes_move_with_the_crop():
    boxes = np.array([[10, 10, 20, 20], [0, 0, 12, 12], [0, 0, 8, 8], [50, 20, 64, 24], [8.5, 0, 12, 4.5]], np.float32)
    moved, inside, clipped = crop_boxes(boxes, (8, 4, 56, 44))
    assert inside.tolist() == [True, True, False, True, False] and clipped == 2
    assert moved.tolist() == [[2, 6, 12, 16], [0, 0, 4, 8], [42, 16, 48, 20]]
    assert crop_boxes(np.zeros((0, 4), np.float32), (0, 0, 8, 8))[2] == 0


def test_dicom_recordings(tmp_path):
    folder = dicom_folder(tmp_path / "in")
    images = images_of(f"{SECRET}0.dcm", (1, 2, 4), "Anna left") + images_of(f"{SECRET}0", (5,), "Anna right")
    images += images_of(f"{SECRET}1", (0, 1)) + images_of(f"{SECRET}2", (3,))
    boxes = [(1, 1, (10, 10, 10, 10)), (1, 2, (0, 0, 12, 12)), (2, 2, (0, 0, 8, 8)), (5, 2, (8, 4, 48, 40))]
    labels = write_labels(tmp_path / "labels.json", images, boxes)
    report = import_us(folder, tmp_path / "data", labels=labels, fractions=(0.34, 0.33, 0.33), salt="long enough")
    dataset = USDataset.open(tmp_path / "data")
    assert dataset.classes == ("tumor", "vessel") and not dataset.phantom and dataset.split_by == "patient"
    case = next(info.case for info in dataset.cases if info.frames == 5)
    frames = dataset.frames(case)  # frame 3 has no label and is the one before frame 4
    assert frames.shape == (5, 40, 48, 3) and frames[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    mine = [label for label in dataset.labels if label.case == case]
    places = [(one.scene, one.frame, one.row, dataset.previous_row(one)) for one in mine]
    assert places == [(1, 1, 0, 0), (1, 2, 1, 0), (1, 4, 3, 2), (2, 5, 4, 4)]
    assert mine[0].boxes.tolist() == [[2, 6, 12, 16], [0, 0, 4, 8]] and mine[0].labels.tolist() == [0, 1]
    assert len(mine[1].boxes) == 0
    assert report["labels"]["clipped"] == 1 and report["labels"]["outside"] == 1
    assert report["labels"]["boxes_by_class"] == {"tumor": 1, "vessel": 2}
    assert report["scenes"] == {"count": 4, "with_gaps": 1, "frames_without_previous": 4}
    assert sorted(len(dataset.splits.of(name)) for name in ("train", "val", "test")) == [1, 1, 1]
    parts = [label.image_id for name in ("train", "val", "test") for label in dataset.labels_of(name)]
    assert sorted(parts) == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_that_is_shared_names_a_patient(tmp_path, capsys):
    folder = dicom_folder(tmp_path / "in")
    (folder / f"{SECRET}2.dcm").write_bytes((folder / f"{SECRET}2.dcm").read_bytes()[:-500])
    images = [image for p in range(3) for image in images_of(f"{SECRET}{p}", (0, 1), f"{SECRET} scene")]
    labels = write_labels(tmp_path / "labels.json", images)
    data = tmp_path / "data"
    assert main(f"import us {folder} --labels {labels} --out {data} --split-fractions 0.5 0 0.5".split()) == 0
    screen = "".join(capsys.readouterr())
    assert "quarantined: file 0003 of 0003" in screen and "cut short" in screen and SECRET not in screen
    for name in ("dataset.json", "labels.json", "splits.json", "import-report.json"):
        assert SECRET not in (data / name).read_text() and "Secret" not in (data / name).read_text()
    assert SECRET not in "".join(os.listdir(data / "studies")) and len(os.listdir(data / "studies")) == 2
    assert all(SECRET in (data / "private" / name).read_text() for name in ("key.csv", "scenes.csv"))
    assert stat.S_IMODE(os.stat(data / "private").st_mode) == 0o700


def test_same_salt_same_ids_and_a_fingerprint_without_salt(tmp_path):
    folder = dicom_folder(tmp_path / "in", patients=2)
    labels = write_labels(tmp_path / "l.json", images_of(f"{SECRET}0", (0, 1)) + images_of(f"{SECRET}1", (0,)))
    for name, salt in (("a", "one salt"), ("b", "one salt"), ("c", "another salt")):
        import_us(folder, tmp_path / name, labels=labels, fractions=(0.5, 0, 0.5), salt=salt)
    for name in ("dataset.json", "labels.json", "splits.json", "import-report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    a, c = (USDataset.open(tmp_path / name) for name in "ac")
    assert a.fingerprint == c.fingerprint and {x.case for x in a.cases}.isdisjoint(x.case for x in c.cases)


def test_videos_and_folders_of_frames(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.avi", grey_frames(range(0, 200, 20)))
    (tmp_path / "in" / "b").mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / "in" / "b" / f"f{number}.png"), np.full((48, 64, 3), 10 * number, np.uint8))
    images = images_of("a", (9, 3), patient="x") + images_of("b", (10, 2), patient="x")
    labels = write_labels(tmp_path / "labels.json", images, [(3, 1, (20, 20, 10, 10))], phantom=True)
    report = import_us(tmp_path / "in", tmp_path / "data", labels=labels, region=(16, 16, 48, 48), fractions=(1, 0, 0))
    dataset = USDataset.open(tmp_path / "data")
    assert dataset.phantom and len({info.patient for info in dataset.cases}) == 1
    levels = sorted(dataset.frames(info.case)[:, 16, 16, 0].tolist() for info in dataset.cases)
    # labelled are 2 and 10, 3 and 9; the ones before 10 and 9 have no labels
    assert levels[0] == [20, 90, 100] and levels[1] == pytest.approx([60, 160, 180], abs=4)
    assert [label.boxes.tolist() for label in dataset.labels if len(label.boxes)] == [[[4, 4, 14, 14]]]
    assert {one["region"] for one in report["taken"]} == {"as given"}


def test_splits_by_scene_and_image(tmp_path):
    folder = dicom_folder(tmp_path / "in", patients=1)
    images = images_of(f"{SECRET}0", (0, 1, 2), "a") + images_of(f"{SECRET}0", (3, 4, 5), "b")
    labels = write_labels(tmp_path / "labels.json", images)
    with pytest.raises(SplitError, match="--split-by scene"):
        import_us(folder, tmp_path / "data", labels=labels)
    report = import_us(folder, tmp_path / "scene", labels=labels, split_by="scene", fractions=(0.5, 0, 0.5))
    dataset = USDataset.open(tmp_path / "scene")
    train, test = ({label.frame for label in dataset.labels_of(name)} for name in ("train", "test"))
    assert sorted([sorted(train), sorted(test)]) == [[0, 1, 2], [3, 4, 5]]
    assert "not patients" in report["notes"][-1]
    report = import_us(folder, tmp_path / "image", labels=labels, split_by="image", test_images=2, seed=3)
    dataset = USDataset.open(tmp_path / "image")
    assert [len(dataset.labels_of(name)) for name in ("train", "val", "test")] == [4, 0, 2]
    assert report["split_by"] == "image" and "as in the paper" in report["notes"][-1]
    for options in ({"test_images": 6, "split_by": "image"}, {"test_images": 2}, {"split_by": "lesion"}):
        with pytest.raises(InputError):
            import_us(folder, tmp_path / "new", labels=labels, **options)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "image, message",
    [
        ({"video": "other", "frame": 0, "scene": 1}, "names no recording of the 1 given"),
        ({"video": f"{SECRET}0", "frame": 6, "scene": 1}, "has 6 frames, counted from 0"),
        ({"video": f"{SECRET}0", "frame": 0, "scene": 1, "width": 60}, "'width' and 'height' are 60 and 48"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, image, message):
    labels = write_labels(tmp_path / "labels.json", [image])
    with pytest.raises(AnnotationError, match=message) as caught:
        import_us(dicom_folder(tmp_path / "in", 1), tmp_path / "data", labels=labels, fractions=(1, 0, 0))
    assert SECRET not in str(caught.value) and sorted(os.listdir(tmp_path)) == ["in", "labels.json"]


def test_copies_and_ambiguous_names_are_refused(tmp_path):
    folder = dicom_folder(tmp_path / "in", 1)
    (folder / "b.dcm").write_bytes((folder / f"{SECRET}0.dcm").read_bytes())
    labels = write_labels(tmp_path / "l.json", images_of(f"{SECRET}0", (0,)) + images_of("b", (1,)))
    with pytest.raises(AnnotationError, match="is a copy of"):
        import_us(folder, tmp_path / "data", labels=labels, fractions=(1, 0, 0))
    (folder / "b.avi").write_bytes(b"")
    with pytest.raises(AnnotationError, match="names 2 recordings"):
        import_us(folder, tmp_path / "data", labels=labels, fractions=(1, 0, 0))


def named(recordings, names):
    """How a label file's names are matched to recordings of these names."""
    images = [
        SourceLabel(number, name, number, "1", "", 64, 48, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
        for number, name in enumerate(names)
    ]
    return {
        name: [one.image_id for one in found]
        for name, found in match_recordings(images, {name: f"/{name}" for name in recordings}, "l.json").items()
    }


def test_names_are_compared_in_one_form():
    apart, composed = "Caf\u0065\u0301/A.mp4", "Caf\u00e9/A.mp4"
    assert named([apart, "b.dcm"], [composed, "b", "cafe\u0301\\a.MP4", "./B"]) == {apart: [0, 2], "b.dcm": [1, 3]}
    # each by itself where both are there
    assert named([apart, composed], [composed, apart]) == {composed: [0], apart: [1]}
    assert named(["A.mp4", "a.mp4"], ["a.mp4"]) == {"a.mp4": [0]}
    for names, wanted, message in (
        (["A.mp4", "a.mp4"], "A.MP4", "names 2 recordings of the 2 given"),
        (
            ["patient-one.mp4", "other.avi"],
            "patient_one",
            "names no recording.*file 0001 in the order of their paths is almost",
        ),
        (["patient-one.mp4"], "zzz", "names no recording of the 1 given; it must"),
    ):
        with pytest.raises(AnnotationError, match=message):
            named(names, [wanted])


def test_one_patient_of_the_labels_under_two_patient_ids_is_told(tmp_path):
    folder = dicom_folder(tmp_path / "in")
    images = [one for number in range(3) for one in images_of(f"{SECRET}{number}", (0,), patient="ab"[number // 2])]
    labels = write_labels(tmp_path / "labels.json", images)
    report = import_us(folder, tmp_path / "data", labels=labels, fractions=(0.34, 0.33, 0.33))
    assert "1 patient(s) of the label file are several by their PatientIDs" in " ".join(report["notes"])


def test_stills_are_recordings_of_one_frame_with_their_patients(tmp_path):
    (tmp_path / "in").mkdir()
    for number, size in enumerate(((48, 64), (40, 50), (48, 64)), 1):
        pixels = np.random.default_rng(number).integers(0, 255, size).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), pixels)
    (tmp_path / "in" / "._1.png").write_bytes(b"of a file system without forks")
    images = [{"file_name": f"{number}.png", "patient": f"p{number % 2}"} for number in (1, 3)]
    images.append({"video": "2", "patient": "p3", "frame": 0, "scene": "a", "width": 50, "height": 40})
    labels = write_labels(tmp_path / "labels.json", images, [(1, 1, (4, 4, 20, 20))])
    options = dict(labels=labels, whole_frame=True, salt="long enough")
    report = import_us(tmp_path / "in", tmp_path / "data", fractions=(0.5, 0, 0.5), **options)
    dataset = USDataset.open(tmp_path / "data")
    assert [(one["kind"], one["frames"]) for one in report["taken"]] == [("image", 1)] * 3
    assert len({one.patient for one in dataset.cases}) == 2 and len({one.case for one in dataset.cases}) == 3
    assert report["files"]["found"] == 3 and not any("named by no label" in note for note in report["notes"])
    # an image counts once: by itself, or as a frame of its folder
    write_labels(labels, images[:1] + images_of("in", (2,)))
    with pytest.raises(AnnotationError, match="image 1 names a picture by itself and image 2 its folder"):
        import_us(tmp_path / "in", tmp_path / "new", fractions=(1, 0, 0), **options)
    write_labels(labels, images[:1])
    report = import_us(tmp_path / "in", tmp_path / "one", fractions=(1, 0, 0), **options)
    assert "2 file(s) are named by no label and were not read" in report["notes"]


def test_a_recording_without_region_is_quarantined_or_the_end_and_its_codec_is_noted(tmp_path):
    (tmp_path / "in").mkdir()
    video = write_video(tmp_path / "in" / "a.mp4", grey_frames([1, 2]), "mp4v")
    options = dict(labels=write_labels(tmp_path / "labels.json", images_of("a", (0,))), fractions=(1, 0, 0))
    with pytest.raises(InputError, match="no recording was taken(.|\n)*--whole-frame"):
        import_us(tmp_path / "in", tmp_path / "data", **options)
    report = import_us(video, tmp_path / "d", whole_frame=True, **options)
    assert report["taken"][0]["region"] == "whole frame" and "patient names too" in str(report["taken"][0]["notes"])
    assert any("1 recording(s): a change of the frame size" in line for line in report_lines(report))


@pytest.fixture
def data(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3)).astype(np.uint8)
    write_us(tmp_path / "in" / "a.dcm", pixels, region=(0, 0, 63, 31))
    labels = write_labels(tmp_path / "l.json", images_of("a", (0, 1, 2)), [(2, 2, (8, 4, 16, 8))])
    import_us(tmp_path / "in", tmp_path / "data", labels=labels, fractions=(1, 0, 0))
    return tmp_path / "data"


def test_frames_come_with_the_one_before(data):
    dataset = USDataset.open(data)
    config = Config(model="us-flow", data=DataConfig(size=32))
    loader, labels = USLoader(dataset, config), dataset.labels_of("train")
    frames = dataset.frames(dataset.cases[0].case)
    sample = loader.labelled(labels[1])
    assert sample.image.shape == (2, 3, 32, 32) and sample.image.dtype == np.uint8 and sample.scale == 0.5
    for place, row in enumerate((0, 1)):
        expected = frames[row].reshape(16, 2, 32, 2, 3).mean((1, 3)).transpose(2, 0, 1)
        assert np.abs(sample.image[place, :, :16] - expected).max() < 0.51
    assert not sample.image[:, :, 16:].any()
    assert sample.boxes.tolist() == [[4, 2, 12, 6]] and sample.labels.tolist() == [1]
    first = loader.labelled(labels[0])
    assert np.array_equal(first.image[0], first.image[1])
    alone = USLoader(dataset, dataclasses.replace(config, model="us-faster-rcnn")).labelled(labels[1])
    assert np.array_equal(alone.image, sample.image[1:])


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("kind", "ct", "kind 'ct'"),
        ("classes", ["cyst", "mean"], "classes is .*rename .mean."),
        ("split_by", "x", "split_by"),
        ("studies", [{}], "case"),
    ],
)
def test_a_damaged_description_is_refused(data, key, value, message):
    change_json(data / "dataset.json", **{key: value})
    with pytest.raises(DatasetError, match=message):
        USDataset.open(data)


def test_files_that_do_not_fit_are_refused(data):
    case = os.listdir(data / "studies")[0]
    dataset = USDataset.open(data)
    np.save(data / "studies" / case / "frames.npy", np.zeros((3, 5, 5, 3), np.uint8))
    with pytest.raises(DatasetError, match="dataset.json says uint8"):
        dataset.frames(case)
    with pytest.raises(DatasetError, match="no case"):
        dataset.frames("case-x")
    change_json(data / "splits.json", test=["patient-x"])
    with pytest.raises(SplitError, match="no patient of the data: patient-x"):
        USDataset.open(data)
    with pytest.raises(DatasetError, match="import us"):
        USDataset.open(data / "nowhere")
