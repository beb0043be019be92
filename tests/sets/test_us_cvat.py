"""CVAT XML: tracks between keyframes as CVAT has them, images, and files that say what no label tool would."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.errors import AnnotationError
from gluon_liver.sets.us import cvat
from gluon_liver.sets.us.cvat_tracks import Mark, frames_of
from gluon_liver.sets.us.import_set import find_set, import_us_set
from gluon_liver.sets.us.layout import Given
from tests.readers.us_writer import grey_frames, write_video

from .test_us_sets import TRAIN, WHOLE, boxes_of
from .us_cvat_set import SIZE, box, images_xml, track, video_xml
from .us_picture import picture, write_picture

FIRST, SECOND = (10, 8, 30, 28), (20, 12, 44, 36)


def imported(folder, xml, given=WHOLE, options=TRAIN, frames=20):
    (folder / "in").mkdir(exist_ok=True)
    write_video(folder / "in" / "scan.avi", grey_frames(range(0, 10 * frames, 10)))
    (folder / "in" / "annotations.xml").write_text(xml)
    report = import_us_set("cvat", folder / "in", folder / "data", given, options)
    found, dataset = boxes_of(folder / "data")
    return report, {frame: some for (_, frame), some in found.items()}, dataset


def test_boxes_go_linearly_from_keyframe_to_keyframe(tmp_path):
    shapes = [
        box(2, FIRST),
        box(6, SECOND, occluded=1),
        box(8, SECOND, outside=1),
        box(12, FIRST),
        box(14, FIRST, outside=1),
    ]
    report, found, dataset = imported(tmp_path, video_xml([track(0, "tumor", shapes)]))
    # the frame after outside and those up to the next keyframe are background; so is the last one
    assert sorted(found) == list(range(2, 15))
    assert [len(found[frame]) for frame in range(2, 15)] == [1] * 6 + [0] * 4 + [1, 1, 0]
    for frame in range(2, 7):
        wanted = np.array(FIRST) + (np.array(SECOND) - FIRST) * (frame - 2) / 4
        assert found[frame][0][1:] == pytest.approx(wanted, abs=1e-5)
    assert found[7] == [("tumor", *SECOND)] and found[12] == found[13] == [("tumor", *FIRST)]
    text = "\n".join(report["notes"])
    assert "5 box(es) between keyframes are not in the files and were interpolated, linearly as CVAT does" in text
    assert "1 box(es) are marked as occluded" in text
    assert "7 frame(s) of which no track says whether it is there" in text
    assert dataset.classes == ("tumor",) and len(dataset.cases) == 1


def test_every_frame_in_the_file_is_taken_as_it_is(tmp_path):
    rows = [box(frame, (10 + 0.5 * frame, 8, 30, 28), keyframe=int(frame in (0, 4))) for frame in range(5)]
    rows.append(box(5, (12, 8, 30, 28), outside=1))
    other = [box(3, SECOND), box(4, SECOND, outside=1)]
    xml = video_xml([track(0, "tumor", rows), track(1, "vessel", other)])
    report, found, _ = imported(tmp_path, xml)
    assert {frame: [one[:2] for one in some] for frame, some in found.items()} == {
        **{frame: [("tumor", 10 + 0.5 * frame)] for frame in (0, 1, 2, 4)},
        3: [("tumor", 11.5), ("vessel", 20)],
        5: [],
    }
    text = "\n".join(report["notes"])
    assert "3 box(es) are CVAT's own between keyframes (keyframe=0)" in text and "were interpolated" not in text


def test_what_is_not_ended_stays_to_the_end_of_the_task(tmp_path):
    report, found, _ = imported(tmp_path, video_xml([track(0, "tumor", [box(16, FIRST)])]))
    assert found == {frame: [("tumor", *FIRST)] for frame in range(16, 20)}
    assert "3 box(es) between keyframes" in "\n".join(report["notes"])


def test_a_task_of_every_third_frame(tmp_path):
    rows = [box(3, FIRST), box(9, SECOND), box(12, SECOND, outside=1)]
    report, found, dataset = imported(tmp_path, video_xml([track(0, "tumor", rows)], frames=6, start=3, step=3))
    assert sorted(found) == [3, 6, 9, 12]
    assert found[6] == [("tumor", *(np.add(FIRST, SECOND) / 2))]
    assert {info.unlabelled for info in dataset.cases} == {(5, 8, 11)}  # --step 1 is of the video
    assert "2 frame(s) of which no track" in "\n".join(report["notes"])


def test_turned_boxes_and_other_shapes(tmp_path):
    rows = [box(0, (20, 20, 40, 30), rotation=350), box(2, (20, 20, 40, 30), rotation=10), box(3, FIRST, outside=1)]
    _, found, _ = imported(tmp_path, video_xml([track(0, "tumor", rows)]))
    # the shorter way: frame 1 is not turned
    assert found[1] == [("tumor", 20, 20, 40, 30)]
    wide = 20 * np.cos(np.radians(10)) + 10 * np.sin(np.radians(10))
    assert found[0][0][3] - found[0][0][1] == pytest.approx(wide, abs=1e-4)
    rows = [
        '<polygon frame="0" outside="0" occluded="0" points="5.5,6;20,9;12,30.25"/>',
        '<mask frame="2" outside="0" occluded="0" left="3" top="4" width="10" height="12" rle="1,2"/>',
        '<ellipse frame="3" outside="1" occluded="0" cx="20" cy="20" rx="5" ry="4"/>',
        '<points frame="3" outside="0" occluded="0" points="1,1"/>',
    ]
    again = import_us_set_of(tmp_path, video_xml([track(0, "tumor", rows)]))
    assert again[1] == {0: [("tumor", 5.5, 6, 20, 30.25)], 2: [("tumor", 3, 4, 13, 16)], 3: []}
    reasons = {one["reason"] for one in again[0]["labels"]["not_taken"]}
    assert reasons == {"an outline between keyframes is not in the file"}
    assert "1 shape(s) are points, lines, cuboids or skeletons, and no boxes" in again[0]["notes"]


def import_us_set_of(folder, xml, given=WHOLE):
    (folder / "in" / "annotations.xml").write_text(xml)
    report = import_us_set("cvat", folder / "in", folder / "more", given, TRAIN)
    found, _ = boxes_of(folder / "more")
    return report, {frame: some for (_, frame), some in found.items()}


def test_tracks_over_a_folder_of_pictures_count_them_in_order(tmp_path):
    for number in (4, 8, 12, 16):
        write_picture(tmp_path / "in" / "scan" / f"f_{number:03d}.png", picture(SIZE, seed=number))
    xml = video_xml([track(0, "tumor", [box(1, FIRST), box(3, SECOND)])], source="scan.zip", frames=4)
    (tmp_path / "in" / "scan.xml").write_text(xml)
    import_us_set("cvat", tmp_path / "in", tmp_path / "data", WHOLE, TRAIN)
    found, _ = boxes_of(tmp_path / "data")
    assert {frame: len(some) for (_, frame), some in found.items()} == {8: 1, 12: 1, 16: 1}
    far = video_xml([track(0, "tumor", [box(1, FIRST), box(4, SECOND)])], source="scan", frames=5)
    (tmp_path / "in" / "scan.xml").write_text(far)
    with pytest.raises(AnnotationError, match="frame 4 is labelled, counted from 0; its folder has 4"):
        find_set("cvat", tmp_path / "in")


def test_images_of_a_task(tmp_path):
    shapes = f'<box label="tumor" occluded="1" xtl="{FIRST[0]}" ytl="{FIRST[1]}" xbr="{FIRST[2]}" ybr="{FIRST[3]}"/>'
    shapes += '<ellipse label="vessel" occluded="0" cx="40" cy="20" rx="5" ry="4"/><tag label="seen"/>'
    for name in ("a_1.png", "a_2.png"):
        write_picture(tmp_path / "in" / "p" / name, picture(SIZE, seed=len(name) + int(name[2])))
    (tmp_path / "in" / "annotations.xml").write_text(images_xml([("p/a_1.png", shapes), ("p/a_2.png", "")]))
    for place, given in enumerate((WHOLE, Given(whole_frame=True, by_folder=True))):
        import_us_set("cvat", tmp_path / "in", tmp_path / f"data{place}", given, TRAIN)
        found, dataset = boxes_of(tmp_path / f"data{place}")
        assert sorted(found.values()) == [[], [("tumor", *FIRST), ("vessel", 35, 16, 45, 24)]]
        assert len(dataset.cases) == 2 - place
    (tmp_path / "in" / "annotations.xml").write_text(images_xml([("p/b.png", shapes)]))
    with pytest.raises(AnnotationError, match="image 0: its name means no picture below the folder"):
        find_set("cvat", tmp_path / "in")


BOMB = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]>\n<annotations>&c;</annotations>'
ONE = track(0, "tumor", [box(0, FIRST)])


@pytest.mark.parametrize(
    "xml, message",
    [
        (BOMB, "line 2: a document type .* is refused"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "a document type .* is refused"),
        ("<annotations>" + "<a>" * 100 + "</a>" * 100 + "</annotations>", "nested more than 64 deep"),
        ("<annotations><a></annotations>", "it is not XML: mismatched tag"),
        ('<?xml version="1.0" encoding="latin-77"?><annotations/>', "it is not XML: unknown encoding"),
        ("", "it is not XML: no element found"),
        ("<annotation><folder/></annotation>", "is <annotation>, not <annotations> of CVAT"),
        ("<annotations/>", "neither image nor track"),
        (f"<annotations>{ONE}</annotations>", "its meta part tells no task: export as 'CVAT for video 1.1'"),
        (f"<annotations><meta><project/></meta>{ONE}</annotations>", "export each task by itself, not the project"),
        (re.sub("<original_size>.*</original_size>", "", video_xml([ONE])), "no original_size"),
        (video_xml([ONE], size=(0, 48)), "a width and a height from 1"),
        (video_xml([track(0, "", [box(0, FIRST)])]), "track 0 has no label"),
        (video_xml([track(0, "tumor", [box(0, FIRST), box(0, FIRST)])]), "track 0: frame 0 is there twice"),
        (video_xml([track(0, "tumor", [box(20, FIRST)])]), "a frame is behind 19, the last one of the task"),
        (video_xml([ONE], frames=10**9), "the last frame of its task is 999999999; it must be from 0 to 999999"),
        (re.sub("<size>.*|<stop.*", "", video_xml([track(0, "a", [box(2 * 10**9, FIRST)])])), "needs frame, a whole"),
        (video_xml([track(0, "tumor", [box(-1, FIRST)])]), "box needs frame, a whole number"),
        (video_xml([track(0, "tumor", [box(1, (1, 2, float("nan"), 4))])]), "frame 1: box needs xbr, a number"),
        (video_xml([track(0, "tumor", ['<polygon frame="1" points="1,2;3"/>'])]), "points of a polygon must be"),
        (video_xml([ONE], size=(99, 48)), "'width' and 'height' .*are 99 and 48"),
        (video_xml([track(0, "tumor", [box(1, (1, 2, 90, 4))])]), "leaves image 1"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path, xml, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        imported(tmp_path, xml)
    assert "annotations.xml" not in str(caught.value) and not (tmp_path / "data").exists()


def test_a_recording_is_found_by_its_name_or_where_it_is_the_only_one(tmp_path):
    _, found, _ = imported(tmp_path, video_xml([ONE], source="other.mp4"))
    assert len(found) == 20
    write_video(tmp_path / "in" / "second.avi", grey_frames(range(3)))
    with pytest.raises(AnnotationError, match="names none of the 2 video.s. and 0 folder.s."):
        find_set("cvat", tmp_path / "in")
    (tmp_path / "in" / "annotations.xml").write_text(video_xml([ONE], source="/data/x/SCAN.avi"))
    assert find_set("cvat", tmp_path / "in", WHOLE).labels.images[0].video == "scan.avi"


def test_a_track_of_its_own():
    marks = [Mark(4, FIRST), Mark(0, SECOND, outside=True), Mark(8, SECOND, is_box=False)]
    seen = frames_of(marks, 2, None, "track 1")
    assert seen.absent == {0, 2} and seen.unknown == {6} and seen.interpolated == 0
    assert seen.boxes == {4: (FIRST, 0.0), 8: (SECOND, 0.0)}
    assert frames_of([], 1, 9, "x").boxes == {}


def test_the_command(tmp_path, capsys):
    imported(tmp_path, video_xml([ONE]))
    command = f"import us {tmp_path}/in --layout cvat --whole-frame --out {tmp_path}/new --split-fractions 1 0 0"
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert "19 box(es) between keyframes are not in the files" in out and "labels: 20 frame(s) with 20 box(es)" in out


def test_more_boxes_than_memory_has_room_for_are_refused(tmp_path, monkeypatch):
    assert cvat.MAX_BOXES == 5_000_000
    monkeypatch.setattr(cvat, "MAX_BOXES", 500)
    xml = video_xml([track(number, "tumor", [box(0, FIRST)]) for number in range(6)], frames=100)
    with pytest.raises(AnnotationError, match="track 5: .* 500 boxes"):
        imported(tmp_path, xml)
