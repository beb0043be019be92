"""DeepLesion's layout on files as it has them: every slice, box and number is what was written."""

import cv2
import numpy as np
import pytest

from gluon_liver.errors import InputError, VolumeError
from gluon_liver.sets.deeplesion import INCOMPLETE, DeepLesion, read_slice
from gluon_liver.sets.registry import LAYOUTS

from .deeplesion_set import SmallSet, small_set


def found_in(folder):
    found = DeepLesion().find(folder)
    return {case.name: case for case in found.cases}, found


def test_slices_boxes_spacing_and_split_are_what_was_written(tmp_path):
    made = small_set(tmp_path)
    cases, found = found_in(tmp_path)
    assert set(cases) == set(made.cases) and LAYOUTS["deeplesion"] is DeepLesion
    for name, wanted in made.cases.items():
        case, stack = cases[name], cases[name].phases["CT"].open()
        assert np.array_equal(stack.read(), np.maximum(wanted.hu, -1024))
        assert (stack.geometry.spacing, stack.geometry.size) == (wanted.spacing, wanted.hu.shape)
        assert (case.split, case.patient) == (wanted.split, name[:6]) and not case.labels.exhaustive
        boxes = {z: [tuple(map(float, np.float32(one.box))) for one in some] for z, some in case.labels.slices.items()}
        assert boxes == wanted.boxes
        for z, some in boxes.items():  # what was drawn lies in the middle of its box
            assert stack.mapping.slices[z] == z
            for x1, y1, x2, y2 in some:
                spot = stack.read()[z, int(y1 + y2) // 2, int(x1 + x2) // 2]
                assert 20 <= spot <= 40
    reasons = [one.reason for one in found.left_out]
    assert sorted(reasons) == ["a lesion marked as possibly noisy"] * 2 + [
        "its folder of slices is not there: not downloaded"
    ]
    assert (
        found.notes[0].endswith("train 4 of 4, val 1 of 1, test 2 of 4; 8 of 11 lesions")
        and "unlabelled, no background" in found.notes[1]
    )


def test_a_box_is_of_pixels_from_1_both_ends_included_and_cut_off_at_the_border(tmp_path):
    made = SmallSet(tmp_path)
    (name,) = [made.add(1, "test")]
    made.rows[0]["Bounding_boxes"] = "-3.28972, 3, 10.5, 64.25"
    made.write_table()
    cases, found = found_in(tmp_path)
    assert [one.box for one in cases[name].labels.slices[4]] == [(0.0, 2.0, 10.5, 64.0)]
    assert found.notes[-1].endswith("cut off at its border: 1")


def test_what_is_missing_of_a_run_ends_it_and_what_has_no_key_slice_is_left_out(tmp_path):
    made = SmallSet(tmp_path)
    made.add(1, "train", first=40, slices=9)  # its key slice is 44
    made.add(2, "train", first=40, slices=9)
    made.write_table()
    (tmp_path / "Images_png/000001_01_01/042.png").unlink()
    (tmp_path / "Images_png/000002_01_01/044.png").unlink()
    cases, found = found_in(tmp_path)
    assert set(cases) == {"000001_01_01_043-048"}
    case = cases["000001_01_01_043-048"]
    assert set(case.labels.slices) == {4} and case.phases["CT"].open().geometry.size == (6, 64, 64)
    assert case.notes == (INCOMPLETE,) and case.phases["CT"].name == "Images_png/000001_01_01"
    assert [(one.path, one.reason) for one in found.left_out] == [
        ("000002_01_01_044.png", "its key slice is not there")
    ]


def test_archives_that_were_unpacked_each_by_itself_are_found(tmp_path):
    made = SmallSet(tmp_path)
    name = made.add(1, "train")
    made.write_table()
    (tmp_path / "Images_png").rename(tmp_path / "moved")
    (tmp_path / "Images_png_01").mkdir()
    (tmp_path / "moved").rename(tmp_path / "Images_png_01/Images_png")
    assert set(found_in(tmp_path)[0]) == {name}


@pytest.mark.parametrize("spacing", ["0.75, 0.75, -5", "0.75, 0.75, 0", "0.75, 0.75, NaN"])
def test_runs_without_a_spacing_are_left_out(tmp_path, spacing):
    made = SmallSet(tmp_path)
    made.add(1, "train")
    made.add(2, "train")
    made.rows[1]["Spacing_mm_px_"] = spacing
    made.write_table()
    cases, found = found_in(tmp_path)
    assert len(cases) == 1 and [one.reason for one in found.left_out] == ["the table gives no spacing above 0 for it"]


def test_rows_of_a_run_that_contradict_each_other_are_left_out(tmp_path):
    made = SmallSet(tmp_path)
    made.add(1, "train", lesions=2)
    made.add(2, "train")
    made.rows[1]["Spacing_mm_px_"] = "0.75, 0.75, 1"
    made.write_table()
    cases, found = found_in(tmp_path)
    assert len(cases) == 1 and {one.reason for one in found.left_out} == {
        "rows of the table contradict each other about its spacing, size or split"
    }


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("Bounding_boxes", "1, 2, 3", "line 2: Bounding_boxes is '1, 2, 3'; a list of 4 numbers is needed"),
        ("Bounding_boxes", "1, 2, x, 4", "a list of 4 numbers is needed"),
        ("Bounding_boxes", "30, 2, 10, 40", "no box of an image of 64x64"),
        ("Bounding_boxes", "nan, 2, 10, 40", "no box of an image of 64x64"),
        ("Image_size", "nan, 64", "no box of an image of 0x64"),
        ("Slice_range", "50, 60", "Slice_range is '50, 60', without the slice 44"),
        ("Slice_range", "nan, 60", "line 2: "),
        ("Train_Val_Test", "4", "Train_Val_Test is '4'; it is 1, 2 or 3"),
        ("Possibly_noisy", "", "Possibly_noisy is ''; it is 0 or 1"),
        ("File_name", "../../x.png", "File_name is '../../x.png'"),
    ],
)
def test_a_table_that_is_wrong_names_its_line(tmp_path, column, value, message):
    made = SmallSet(tmp_path)
    made.add(1, "train")
    made.rows[0][column] = value
    made.write_table()
    with pytest.raises(InputError) as error:
        found_in(tmp_path)
    assert message in str(error.value) and "DL_info.csv" in str(error.value)


def test_sources_that_are_none_say_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match="has no DL_info.csv"):
        found_in(tmp_path)
    SmallSet(tmp_path).write_table()
    with pytest.raises(InputError, match="no key slice of DL_info.csv is there"):
        found_in(tmp_path)
    (tmp_path / "DL_info.csv").write_text("File_name,Bounding_boxes\n")
    with pytest.raises(InputError, match="no column Possibly_noisy, Slice_range"):
        found_in(tmp_path)


def test_slices_that_are_none_of_the_set_are_refused(tmp_path):
    path, grey = tmp_path / "1.png", np.full((64, 64), 32768 - 2000, np.uint16)
    cv2.imwrite(str(path), grey)
    assert (read_slice(path, (64, 64)) == -1024).all()
    code = path.read_bytes()
    with pytest.raises(VolumeError, match="is 64x64, DL_info.csv says 512x512"):
        read_slice(path, (512, 512))
    for damaged in (code[: len(code) // 2], code[:40]):
        path.write_bytes(damaged)
        with pytest.raises(VolumeError, match="damaged or cut short"):
            read_slice(path, (64, 64))
    for nothing in (b"", b"not a picture at all, but long enough"):
        path.write_bytes(nothing)
        with pytest.raises(VolumeError, match="no PNG file"):
            read_slice(path, (64, 64))
    cv2.imwrite(str(path), grey.astype(np.uint8))
    with pytest.raises(VolumeError, match="8 bits a value"):
        read_slice(path, (64, 64))
    with pytest.raises(VolumeError, match="cannot be read"):
        read_slice(tmp_path / "none.png", (64, 64))
