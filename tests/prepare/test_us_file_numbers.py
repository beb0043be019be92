"""Frames of folders: the numbers in the names of their files, and label files that count in another way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import AnnotationError
from gluon_liver.prepare.us import import_us
from tests.readers.us_writer import grey_frames, write_labels, write_video


def folder(path, numbers, name="frame_{:04d}.png"):
    """Pictures whose grey level is their number."""
    path.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(path / name.format(number)), np.full((48, 64, 3), number, np.uint8))


def entries(video, frames, **more):
    return [{"video": video, "scene": 1, **({"frame": frame} if frame is not None else {}), **more} for frame in frames]


def imported(tmp_path, images, **options):
    """(dataset, notes of the report, {case: {frame: grey level}})."""
    labels = write_labels(tmp_path / "labels.json", images)
    options = {"whole_frame": True, "fractions": (1, 0, 0), **options}
    report = import_us(tmp_path / "in", tmp_path / "data", labels=labels, overwrite=True, **options)
    dataset = USDataset.open(tmp_path / "data")
    levels = [
        {
            label.frame: int(dataset.frames(info.case)[label.row, 0, 0, 0])
            for label in dataset.labels
            if label.case == info.case
        }
        for info in dataset.cases
    ]
    return dataset, " ".join(report["notes"]), levels


def test_frames_are_the_numbers_of_the_files_and_gaps_are_gaps(tmp_path):
    folder(tmp_path / "in" / "v", (12, 18, 24, 36))
    dataset, notes, levels = imported(tmp_path, entries("v", (12, 18, 24, 36)), step=6)
    assert levels == [{12: 12, 18: 18, 24: 24, 36: 36}]
    assert [dataset.previous_frame(label) for label in dataset.labels] == [12, 12, 18, 36]
    assert dataset.pairs(dataset.labels) == (2, 1, 1)
    assert "1 of 4 labelled frames: the frame 6 before is in their scene and no picture of its folder" in notes
    dataset, notes, _ = imported(tmp_path, entries("v", (12, 18, 24, 36)))
    assert dataset.pairs(dataset.labels) == (0, 1, 3) and "mostly 6 apart" in notes and "--step 6" in notes


@pytest.mark.parametrize(
    "numbers, frames, expected, said",
    [
        (range(1, 7), (3, 6), (3, 6), ""),  # 6 is no place
        (range(1, 7), (0, 5), (1, 6), "count pictures from 0 in their order, not by the numbers"),
        (range(1, 7), (2, 3), (2, 3), "and were read as numbers: where they are places counted from 0"),
        ((12, 18, 24), (0, 2), (12, 24), "3 files numbered 12 to 24, of which 10 are not there"),
        (range(6), (2, 3), (2, 3), ""),
    ],
)
def test_labels_by_number_or_by_place(tmp_path, numbers, frames, expected, said):
    folder(tmp_path / "in" / "v", numbers)
    _, notes, levels = imported(tmp_path, entries("v", frames))
    assert levels == [{number: number for number in expected}]
    assert (said in notes) if said else "folder(s)" not in notes


def test_what_is_unclear_is_read_as_the_others_are(tmp_path):
    folder(tmp_path / "in" / "v", range(1, 7))
    folder(tmp_path / "in" / "w", range(11, 17))
    _, notes, levels = imported(tmp_path, entries("v", (2, 3)) + entries("w", (0, 2)))
    assert sorted(map(sorted, levels)) == [[3, 4], [11, 13]] and all(
        number == of for one in levels for number, of in one.items()
    )
    assert "read as places, as others do that fit in one way alone: where they are the numbers" in notes
    _, notes, levels = imported(tmp_path, entries("v", (2, 3)) + entries("w", (11,)))
    assert sorted(map(sorted, levels)) == [[2, 3], [11]] and "read as numbers" in notes
    folder(tmp_path / "in" / "x", range(21, 27))  # the others disagree
    _, notes, levels = imported(tmp_path, entries("v", (2, 3)) + entries("w", (0, 2)) + entries("x", (26,)))
    assert sorted(map(sorted, levels)) == [[2, 3], [11, 13], [26]] and "read as numbers" in notes


@pytest.mark.parametrize(
    "numbers, frames, hint",
    [
        (range(6), (1, 6), "6 files numbered 0 to 5; the labels fit where they are one off: subtract 1 from each"),
        ((12, 18), (11, 17), "add 1 to each 'frame'"),
        ((12, 18), (12, 15), "2 files numbered 12 to 18, of which 5 are not there"),
    ],
)
def test_frames_that_are_not_there_are_refused(tmp_path, numbers, frames, hint):
    folder(tmp_path / "in" / "v", numbers)
    with pytest.raises(AnnotationError, match=hint):
        imported(tmp_path, entries("v", frames))
    assert not (tmp_path / "data").exists()


def test_a_video_whose_labels_count_from_1_is_told(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "v.avi", grey_frames(range(6)))
    with pytest.raises(AnnotationError, match="has 6 frames, counted from 0.*may count from 1: subtract 1"):
        imported(tmp_path, entries("v", range(1, 7)))
    with pytest.raises(AnnotationError, match="has 6 frames, counted from 0") as caught:
        imported(tmp_path, entries("v", range(0, 7)))
    assert "count from 1" not in str(caught.value)


def test_pictures_are_named_beside_their_folder(tmp_path):
    folder(tmp_path / "in" / "v", (12, 18, 24))
    folder(tmp_path / "in" / "w", (12, 18), "{:03d}.jpg")
    images = [{"video": "v", "file_name": f"frames/frame_{number:04d}.jpg", "scene": "a"} for number in (24, 12)]
    images += [{"video": "w", "file_name": "018.jpg", "frame": 1, "scene": 2}]
    dataset, notes, levels = imported(tmp_path, images, step=12)
    assert sorted(map(sorted, levels)) == [[12, 24], [18]] and all(
        number == pytest.approx(of, abs=2) for one in levels for number, of in one.items()
    )
    assert dataset.pairs(dataset.labels) == (1, 2, 0) and "folder(s)" not in notes
    for wrong, message in (
        ({"file_name": "frame_0013.png"}, "file_name is none of the pictures of its recording"),
        ({"file_name": "frame_0018.png", "frame": 2}, "'frame' is 2; its file_name is that of picture 18 .place 1,"),
        ({"file_name": "frame_0012.png"}, "same frame"),
        ({"file_name": "notes.txt"}, "frame is missing"),
    ):
        with pytest.raises(AnnotationError, match=message):
            imported(tmp_path, [*images, {"video": "v", "scene": "a", **wrong}])
    write_video(tmp_path / "in" / "x.avi", grey_frames(range(6)))
    with pytest.raises(AnnotationError, match="frame is missing, and its recording is no folder"):
        imported(tmp_path, [*images, {"video": "x", "scene": 1, "file_name": "frame_0001.png"}])


def test_a_mapping_file_makes_frames_of_pictures(tmp_path, capsys):
    folder(tmp_path / "in" / "v", (12, 18, 24))
    images = [{"file_name": f"v/frame_{number:04d}.png"} for number in (12, 18, 24)]
    dataset, notes, _ = imported(tmp_path, images)
    assert len(dataset.cases) == 3 and "3 picture(s) of 1 folder(s) have numbers in their names" in notes
    rows = "".join(f"v/frame_{number:04d}.png,v,left\n" for number in (12, 18, 24))
    (tmp_path / "map.csv").write_text("file_name,video,scene\n" + rows)
    arguments = f"import us {tmp_path}/in --labels {tmp_path}/labels.json --map {tmp_path}/map.csv --step 6"
    assert (
        main([*arguments.split(), "--whole-frame", "--out", f"{tmp_path}/new", *"--split-fractions 1 0 0".split()]) == 0
    )
    dataset = USDataset.open(tmp_path / "new")
    assert [dataset.previous_frame(label) for label in dataset.labels] == [12, 12, 18]
    assert "2 frame(s) have one" in capsys.readouterr().out


def test_a_number_of_a_single_picture_is_told_as_a_mistake(tmp_path):
    folder(tmp_path / "in" / "v", (12, 18))
    with pytest.raises(AnnotationError, match="'video' names a single image: name its folder"):
        imported(tmp_path, [{"video": "v/frame_0012.png", "frame": 12, "scene": 1}])


def test_recordings_with_numbers_in_their_names_are_no_pictures(tmp_path):
    (tmp_path / "in").mkdir()
    for number in (1, 2):
        write_video(tmp_path / "in" / f"scan_{number}.avi", grey_frames(range(6 * number, 6 * number + 6)))
    _, notes, _ = imported(tmp_path, entries("scan_1", (0, 1)) + entries("scan_2", (0, 1)))
    assert "have numbers in their names" not in notes


def test_a_picture_that_is_not_there_is_not_replaced_by_another(tmp_path):
    folder(tmp_path / "in" / "v", (3, 4, 5, 8))
    lost = entries("v", (3,), file_name="frame_0007.png")
    with pytest.raises(AnnotationError, match="image 2: file_name is none of the pictures of its recording, though"):
        imported(tmp_path, [*entries("v", (None,), file_name="frame_0005.png"), *lost])
    _, notes, levels = imported(tmp_path, lost)
    assert levels == [{3: 3}] and "file_name of 1 image(s) is none of the pictures of their folder" in notes


def test_a_picture_of_another_form_is_told(tmp_path):
    folder(tmp_path / "in" / "v", (12, 13, 14))
    folder(tmp_path / "in" / "v", (99,), "average.png")
    imported(tmp_path, entries("v", (0, 1)))
    assert "(1 of 4 have another form than the rest: move" in (tmp_path / "data" / "import-report.json").read_text()
    with pytest.raises(AnnotationError, match="4 files, whose names do not number them: frames are 0 to 3 in their"):
        imported(tmp_path, entries("v", (12, 13)))
