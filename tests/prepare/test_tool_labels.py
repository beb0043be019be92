"""Label files of tools through both imports: names of files, mapping files, what is missing, what is left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.labels.source import LabelOptions
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.ct_report import report_lines
from gluon_liver.prepare.us import import_us
from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.us_writer import grey_frames, write_labels, write_us, write_video

HASH = "fc4622004ff72e58b546635774372fe2"


@pytest.fixture
def source(tmp_path):
    """Two patients of one arterial series of four slices, p1/art/000.dcm to p2/art/003.dcm."""
    for study, place in ((study, place) for study in (1, 2) for place in range(4)):
        pixels = np.full((16, 16), 10 * study + place, np.int16)
        common = dict(study=study, patient=f"P{study}", description="ARTERIAL", pixels=pixels)
        # the names rise to the feet, so their order is not that of the slices
        write(ct_dataset(instance=place, z=-2.0 * place, **common), tmp_path / "in" / f"p{study}/art/{place:03d}.dcm")
    return tmp_path / "in"


def labels(path, names, boxes=((1, 1, (2, 3, 4, 5)),), classes=("lesion",), **more):
    """A label file of images by their file names, or by other keys."""
    images = [name if isinstance(name, dict) else {"file_name": name} for name in names]
    return write_labels(path, images, boxes, width=16, height=16, classes=classes, **more)


def taken(out):
    """Of each labelled slice the grey value, which tells it, and the boxes."""
    dataset = CTDataset.open(out)
    phase = dataset.reference_index
    return sorted((int(dataset.study(one.case).hu[phase, one.slice, 0, 0]), len(one.boxes)) for one in dataset.labels)


@pytest.mark.parametrize(
    "names",
    [
        ["p1/art/002.dcm", "p2/art/001.dcm"],
        ["images/P1/art/002.png", "images/p2/ART/001.png"],
        [r"C:\x\p1\art\002.dcm.jpg", r"C:\x\p2\art\001.dcm.jpg"],
        ["p1%2Fart%2F002.png", "p2%2Fart%2F001.png"],
        ["/data/upload/1/ab12cd34-p1_art_002.png", "/data/upload/1/00000000-p2_art_001.png"],
        [f"p1_art_002_png.rf.{HASH}.jpg", f"p2-art-001_dcm.rf.{HASH}.jpg"],
        [f"{uid(1, 1, 3)}.png", f"images/{uid(2, 1, 2)}.dcm"],
        [{"sop_instance_uid": uid(1, 1, 3) + " \0"}, "p2/art/001.dcm"],
        [{"dicom": {"SOPInstanceUID": uid(1, 1, 3)}}, {"study": uid(2), "phase": " Arterial", "slice": "2"}],
    ],
)
def test_slices_by_their_files(tmp_path, source, names):
    report = import_ct(source, tmp_path / "data", labels=labels(tmp_path / "l.json", names))
    assert taken(tmp_path / "data") == [(12, 1), (21, 0)]
    assert CTDataset.open(tmp_path / "data").classes == ("lesion",)
    assert not any("last part" in note for note in report["notes"])


def test_names_that_could_be_several_files_are_refused_and_a_mapping_file_decides(tmp_path, source):
    given = labels(tmp_path / "l.json", ["002.png", "images/001.png"])
    with pytest.raises(AnnotationError) as caught:
        import_ct(source, tmp_path / "data", labels=given)
    text = str(caught.value)
    assert "image 1: key 'file_name' could be 2 files" in text and "image 2: key 'file_name' could be" in text
    assert "002" not in text and not (tmp_path / "data").exists()
    (tmp_path / "map.csv").write_text(
        f"file_name,path,sop_instance_uid\n002.png,p1/art/002.dcm,\nimages/001.png,,{uid(2, 1, 2)}\n"
    )
    import_ct(source, tmp_path / "data", labels=given, label_options=LabelOptions(map=tmp_path / "map.csv"))
    assert taken(tmp_path / "data") == [(12, 1), (21, 0)]


def test_folders_that_say_nothing_are_told(tmp_path, source):
    given = labels(tmp_path / "l.json", ["images/002.png", "images/001.png"])
    report = import_ct(source / "p1", tmp_path / "data", labels=given)
    assert taken(tmp_path / "data") == [(11, 0), (12, 1)]
    assert any(
        note.startswith("2 image(s) were found by the last part of their file names") for note in report["notes"]
    )


def test_names_reach_above_the_imported_folder(tmp_path, source, monkeypatch):
    given = labels(tmp_path / "l.json", ["p1/art/002.png", "p2/art/001.png"])
    monkeypatch.chdir(source / "p1")
    report = import_ct(".", tmp_path / "data", labels=given, label_options=LabelOptions(allow_missing=True))
    assert taken(tmp_path / "data") == [(12, 1)] and report["labels"]["not_taken"][0]["images"] == 1


def test_a_part_of_what_was_labelled(tmp_path, source):
    names = [
        "p1/art/000.png",
        "p1/art/001.png",
        "p9/art/000.png",
        {"sop_instance_uid": "1.2"},
        {"study": "1.2", "phase": "arterial", "slice": 0},
    ]
    given = labels(tmp_path / "l.json", names, [(3, 1, (1, 2, 3, 4)), (1, 1, (1, 2, 3, 4))])
    with pytest.raises(AnnotationError) as caught:
        import_ct(source, tmp_path / "data", labels=given)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 faults in the labels:" and "--allow-missing goes on without 3 image(s)" in lines[-1]
    assert "image 3: key 'file_name' names no image" in lines[1] and "key 'study' names no study" in lines[3]
    report = import_ct(source, tmp_path / "data", labels=given, label_options=LabelOptions(allow_missing=True))
    assert taken(tmp_path / "data") == [(10, 1), (11, 0)]
    assert report["labels"]["not_taken"] == [{"reason": "it names no image of the folder", "images": 3, "boxes": 1}]
    given = labels(tmp_path / "l.json", ["p9/art/000.png"])
    with pytest.raises(AnnotationError, match="none of the 1 images"):
        import_ct(
            source / "p1",
            tmp_path / "new",
            labels=labels(tmp_path / "l.json", ["p9/art/100.png"]),
            label_options=LabelOptions(allow_missing=True),
        )


def test_what_is_too_small_is_neither_lesion_nor_background(tmp_path, source):
    given = labels(
        tmp_path / "l.json",
        ["p1/art/000.png", "p2/art/000.png"],
        [(1, 1, (2, 3, 0.2, 5)), (2, 1, (2, 3, 4, 5))],
        exhaustive=True,
    )
    report = import_ct(source, tmp_path / "data", labels=given)
    assert taken(tmp_path / "data") == [(11, 0), (12, 0), (13, 0), (20, 1), (21, 0), (22, 0), (23, 0)]
    assert {"reason": "a box is below a pixel", "images": 1, "boxes": 1} in report["labels"]["not_taken"]
    assert any("a box is below a pixel: image 1" in line for line in report_lines(report))


def test_faults_of_slices_are_told_at_once_and_files_that_hold_none(tmp_path, source):
    (source / "p1" / "readme.txt").write_text("x")
    images = [{"file_name": "p1/art/000.png", "width": 17}, {"file_name": "p1/art/001.png", "width": 32, "height": 32}]
    images += [{"file_name": name} for name in ("p1/art/002.png", "p1/art/002.jpg", "p1/readme.txt")]
    with pytest.raises(AnnotationError) as caught:
        import_ct(source, tmp_path / "data", labels=labels(tmp_path / "l.json", images, ()))
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and "image 1: 'width' and 'height' are 17 and 16" in lines[1]
    assert "without resizing, or multiply boxes and sizes by 0.5" in lines[2]
    assert "image 4 is the same slice as image 3" in lines[3]
    report = import_ct(source, tmp_path / "data", labels=labels(tmp_path / "l.json", [images[2], images[4]]))
    assert report["labels"]["not_taken"][0]["reason"] == "its file holds no slice that can be taken"


def test_commands_take_several_files_and_options(tmp_path, source, capsys):
    one = labels(tmp_path / "a.json", ["p1/art/000.png"], classes=("Tumour",))
    two = labels(tmp_path / "b.json", ["p2/art/000.png"], classes=("tumor",))
    (tmp_path / "m.yaml").write_text("classes: {lesion: [tumor, tumour]}")
    args = f"import ct {source} --out {tmp_path / 'data'} --labels {one} {two}"
    assert main(args.split()) == 2
    assert "a.json has boxes of 'Tumour', which" in capsys.readouterr().err
    assert main(f"{args} --classes {tmp_path / 'm.yaml'}".split()) == 0
    assert taken(tmp_path / "data") == [(10, 1), (20, 1)]
    assert "2 lesion" in capsys.readouterr().out
    assert main(f"import ct {source} --out {tmp_path / 'x'} --classes {tmp_path / 'm.yaml'}".split()) == 2
    assert "--classes is for label files" in capsys.readouterr().err
    assert main(f"import ct {source} --out {tmp_path / 'x'} --labels {one} {one}".split()) == 2
    assert main(f"import ct --out {tmp_path / 'x'} --labels {one} {source}".split()) == 0
    assert main(f"import ct --out {tmp_path / 'y'} --labels {one} {two}".split()) == 2
    assert "FOLDER is missing" in capsys.readouterr().err
    empty = labels(tmp_path / "n.json", [], ())
    assert main(f"import ct {source} --out {tmp_path / 'y'} --labels {empty}".split()) == 0
    assert "note: the label files list no image" in capsys.readouterr().out


@pytest.fixture
def recordings(tmp_path):
    """A video, a DICOM recording and a DICOM still."""
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "sweep a.avi", grey_frames(range(0, 200, 20)))
    write_us(tmp_path / "in" / "loop.dcm", grey_frames(range(6)), number=1, patient="A", region=(8, 4, 55, 43))
    write_us(tmp_path / "in" / "still.dcm", grey_frames([50]), number=2, patient="B", region=(8, 4, 55, 43))
    return tmp_path / "in"


def test_frames_by_tool_names_and_by_a_mapping_file(tmp_path, recordings):
    names = [
        {"video": "sweep a", "frame": "2", "scene": 1.0, "patient": 7.0},
        {"file_name": "still.png"},
    ]
    names += [{"file_name": f"frame_{number}.png"} for number in (1, 2)]
    given = write_labels(
        tmp_path / "l.json", names, [(1, 1, (20, 20, 9, 9)), (3, 1, (20, 20, 9, 9))], classes=("cyst",)
    )
    (tmp_path / "map.csv").write_text(
        "file_name;video;frame;scene;patient\nframe_1.png;loop;3;left;\nframe_2.png;loop;4;left;\n"
    )
    options = dict(labels=given, region=(16, 16, 48, 48), fractions=(1, 0, 0))
    with pytest.raises(AnnotationError, match="image 3: key 'file_name' names no recording(.|\n)*image 4"):
        import_us(recordings, tmp_path / "data", **options)
    report = import_us(recordings, tmp_path / "data", label_options=LabelOptions(map=tmp_path / "map.csv"), **options)
    assert sorted(one["frames"] for one in report["taken"]) == [1, 1, 2]
    assert report["labels"]["boxes_by_class"] == {"cyst": 2} and USDataset.open(tmp_path / "data").classes == ("cyst",)


def test_faults_of_frames_are_told_at_once(tmp_path, recordings):
    images = [
        {"file_name": "loop.png"},
        {"video": "loop", "frame": 9, "scene": 1},
        {"video": "x", "frame": 0, "scene": 1},
    ]
    given = write_labels(tmp_path / "l.json", images)
    with pytest.raises(AnnotationError) as caught:
        import_us(recordings, tmp_path / "data", labels=given, fractions=(1, 0, 0))
    text = str(caught.value)
    assert (
        "image 1: frame is missing, and its recording is not a single image" in text and "image 3: key 'video'" in text
    )
    assert "(--map FILE, columns file_name, video, frame, scene)" in text
    images = [
        {"video": "loop", "frame": 9, "scene": 1},
        {"file_name": "still.png", "width": 9},
        {"video": "x", "frame": 0, "scene": 1},
    ]
    given, some = write_labels(tmp_path / "l.json", images), LabelOptions(allow_missing=True)
    with pytest.raises(AnnotationError, match="image 1: key 'frame' is 9(.|\n)*image 2: 'width' and 'height' are 9"):
        import_us(recordings, tmp_path / "data", labels=given, label_options=some, fractions=(1, 0, 0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "l.json"]
    given = write_labels(tmp_path / "l.json", [{"video": "loop", "frame": 1, "scene": 1}, images[2]])
    report = import_us(recordings, tmp_path / "data", labels=given, label_options=some, fractions=(1, 0, 0))
    assert report["labels"]["not_taken"] == [{"reason": "it names no recording of the input", "images": 1, "boxes": 0}]
    with pytest.raises(InputError, match="no image can be taken\n1 name no recording"):
        given = write_labels(tmp_path / "l.json", images[2:])
        import_us(recordings, tmp_path / "x", labels=given, label_options=some, fractions=(1, 0, 0))


def test_frames_with_boxes_too_small_are_left_out(tmp_path, recordings):
    images = [{"video": "loop", "frame": frame, "scene": 1} for frame in range(4)]
    # below a pixel; less than a pixel inside the picture, from x = 8 on; outside of it
    boxes = [(1, 1, (20, 20, 0.5, 20)), (2, 1, (0, 20, 8.5, 20)), (3, 1, (0, 20, 8, 20)), (4, 1, (20, 20, 9, 9))]
    report = import_us(
        recordings, tmp_path / "data", labels=write_labels(tmp_path / "l.json", images, boxes), fractions=(1, 0, 0)
    )
    kept = USDataset.open(tmp_path / "data").labels
    assert [(one.frame, len(one.boxes)) for one in kept] == [(2, 0), (3, 1)]
    assert {one["reason"]: one["images"] for one in report["labels"]["not_taken"]} == {
        "a box is below a pixel": 1,
        "less than a pixel of a box is inside the picture": 1,
    }
    given = write_labels(tmp_path / "l.json", images[:1], boxes[:1])
    with pytest.raises(AnnotationError, match="a box is below a pixel: image 1"):
        import_us(recordings, tmp_path / "x", labels=given, fractions=(1, 0, 0))
    images = [{"video": "loop", "frame": 0, "scene": 1}, {"file_name": "still.png"}]
    given = write_labels(tmp_path / "l.json", images, [(1, 1, (0, 20, 8.5, 20))])
    report = import_us(recordings, tmp_path / "x", labels=given, fractions=(1, 0, 0))
    assert [one["images"] for one in report["quarantined"]] == [1] and len(report["labels"]["not_taken"]) == 1


def test_nothing_in_the_report_names_a_file(tmp_path, source):
    names = [
        {"file_name": "images/p1/art/000.png", "id": "Miller_0"},
        {"file_name": "images/p2/art/003.png", "id": "Miller_1"},
    ]
    given = labels(tmp_path / "l.json", names, [("Miller_1", 1, (1, 2, 3, 4))])
    import_ct(source, tmp_path / "data", labels=given)
    assert taken(tmp_path / "data") == [(10, 0), (23, 1)]
    for name in ("import-report.json", "labels.json", "dataset.json"):
        text = (tmp_path / "data" / name).read_text()
        assert "Miller" not in text and "p1" not in text and "l.json" not in text
    assert "messages count their entries from 1" in json.dumps(
        json.loads((tmp_path / "data" / "import-report.json").read_text())["notes"]
    )


def test_numbers_of_lesions_go_into_the_data_and_must_be_of_one_class(source, tmp_path):
    path = labels(
        tmp_path / "l.json", ["p1/art/002.dcm", "p1/art/001.dcm"], [(1, 1, (2, 3, 4, 5)), (2, 1, (2, 3, 4, 5))]
    )
    tree = json.loads(path.read_text())
    for one in tree["annotations"]:
        one["lesion"] = 9
    path.write_text(json.dumps(tree))
    import_ct(source, tmp_path / "data", labels=path)
    assert [label.lesions.tolist() for label in CTDataset.open(tmp_path / "data").labels] == [[9], [9]]
    tree["categories"].append({"id": 2, "name": "cyst"})
    tree["annotations"][1]["category_id"] = 2
    path.write_text(json.dumps(tree))
    with pytest.raises(AnnotationError, match="the label files: lesion 9 of study .* is (lesion|cyst) on slice 1"):
        import_ct(source, tmp_path / "other", labels=path)
    assert not (tmp_path / "other").exists()
