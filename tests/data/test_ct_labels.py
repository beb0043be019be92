from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from gluon_liver.data.coco import save_labels
from gluon_liver.data.ct_labels import CLASSES, CTLabel, load_labels
from gluon_liver.errors import AnnotationError

GOOD = {
    "images": [
        {"id": place + 2, "study": "case-a", "phase": "arterial", "slice": place, "width": 64, "height": 32}
        for place in (2, 3)
    ],
    "annotations": [{"id": 1, "image_id": 4, "category_id": 30, "bbox": [10, 20, 5.5, 12]}],
    "categories": [{"id": 30, "name": "HCC"}, {"id": 10, "name": "cyst"}],
}


def load(record, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(record))
    return load_labels(str(path))


def test_boxes_become_corners_and_categories_go_by_name(tmp_path):
    labels = load(GOOD, tmp_path)
    first, background = labels
    assert first.boxes.tolist() == [[10, 20, 15.5, 32]] and first.labels.tolist() == [2]
    assert (first.boxes.dtype, first.labels.dtype) == (np.float32, np.int32)
    assert background.boxes.shape == (0, 4) and (background.case, background.slice) == ("case-a", 3)


def test_what_is_saved_comes_back(tmp_path):
    boxes = np.array([[0, 0, 1.25, 2], [3.3, 4, 64, 32]], np.float32)
    image = CTLabel(7, "case-b", 0, 64, 32, boxes, np.array([0, 2], np.int32), "delayed")
    path = str(tmp_path / "out.json")
    save_labels([image], CLASSES, path)
    (back,) = load_labels(path)
    assert back.boxes == pytest.approx(boxes, abs=1e-4) and back.labels.tolist() == [0, 2]
    coco = json.loads(open(path).read())
    assert [category["name"] for category in coco["categories"]] == list(CLASSES)
    assert coco["annotations"][1]["category_id"] == 3 and coco["annotations"][0]["area"] == pytest.approx(2.5)


def test_numbers_of_lesions_come_back_and_are_left_out_where_there_are_none(tmp_path):
    boxes = np.array([[0, 0, 1, 2], [3, 4, 64, 32]], np.float32)
    kinds = np.array([0, 2], np.int32)
    numbered = CTLabel(7, "case-b", 0, 64, 32, boxes, kinds, "delayed", np.array([0, 5], np.int32))
    plain = CTLabel(8, "case-b", 1, 64, 32, boxes, kinds, "delayed")
    path = str(tmp_path / "out.json")
    save_labels([numbered, plain], CLASSES, path)
    assert [one.get("lesion") for one in json.loads(open(path).read())["annotations"]] == [None, 5, None, None]
    back = load_labels(path)
    assert [one.lesions.tolist() for one in back] == [[0, 5], []] and back[0].lesions.dtype == np.int32
    assert [one.lesion_of(1) for one in back] == [5, 0]
    assert back[0].with_boxes(boxes[:1], kinds[:1]).lesions.tolist() == []


@pytest.mark.parametrize("number", [0, "5", 2.0, True, 2**31, 2**32])
def test_the_number_of_a_lesion_is_a_whole_one(tmp_path, number):
    record = copy.deepcopy(GOOD)
    record["annotations"][0]["lesion"] = number
    with pytest.raises(AnnotationError, match="annotation 1: lesion"):
        load(record, tmp_path)


def test_a_lesion_is_of_one_class_within_its_study(tmp_path):
    record = copy.deepcopy(GOOD)
    record["annotations"][0]["lesion"] = 4
    other = {"id": 2, "image_id": 5, "category_id": 10, "bbox": [1, 2, 5, 6], "lesion": 4}
    record["annotations"].append(other)
    record["images"][0]["id"], record["images"][1]["id"] = 4, 5
    with pytest.raises(AnnotationError, match="lesion 4 of study case-a is hcc on slice 2 and cyst on slice 3"):
        load(record, tmp_path)
    record["images"][1]["study"] = "case-b"
    assert len(load(record, tmp_path)) == 2


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("images",), {}, "images: expected a list, found"),
        (("images", 0, "id"), "4", "image 4: id: expected int"),
        (("images", 1, "id"), 4, "image 4: the id is used twice"),
        (("images", 0, "width"), 0, "image 4: width is 0"),
        (("images", 0, "slice"), -1, "image 4: slice is -1"),
        (("images", 0, "slice"), 2.5, "image 4: slice: expected int, found 2.5"),
        (("images", 0, "slice"), True, "image 4: slice: expected int, found True"),
        (("images", 1, "slice"), 2, "image 5 is the same slice as image 4"),
        (("images", 0, "study"), 3, "image 4: study: expected str"),
        (("annotations", 0, "image_id"), 6, "annotation 1: image_id names image 6"),
        (("annotations", 0, "category_id"), 3, "annotation 1: category_id is 3"),
        (("annotations", 0, "iscrowd"), 1, "annotation 1: iscrowd is 1"),
        (("annotations", 0, "bbox"), [1, 2, 3], "annotation 1: bbox: expected a list of 4"),
        (("annotations", 0, "bbox"), [1, 2, 3, float("nan")], "annotation 1: bbox: expected float, found"),
        (("annotations", 0, "bbox"), [1, 2, 3, 10**400], "annotation 1: bbox: expected float, found"),
        (("annotations", 0, "bbox"), [1, 2, 0, 3], r"annotation 1: bbox is \(1.0, 2.0, 0.0, 3.0\): .* above 0"),
        (("annotations", 0, "bbox"), [1, 2, 3, -1], r"annotation 1: bbox is \(1.0, 2.0, 3.0, -1.0\): .* above 0"),
        (("annotations", 0, "bbox"), [60, 2, 5, 3], "annotation 1: bbox .* leaves image 4 of 64x32"),
        (("annotations", 0, "bbox"), [-1, 2, 5, 3], "annotation 1: bbox .* leaves"),
        (("categories", 0, "name"), "metastasis", "category 30: name is 'metastasis'"),
        (("categories", 1, "id"), 30, "category 30: the id is used twice"),
    ],
)
def test_wrong_entries_are_named_with_their_key(tmp_path, place, value, message):
    record = copy.deepcopy(GOOD)
    target = record
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    with pytest.raises(AnnotationError, match=message):
        load(record, tmp_path)


def test_a_box_may_leave_the_image_by_rounding_only(tmp_path):
    record = copy.deepcopy(GOOD)
    record["annotations"][0]["bbox"] = [60, 20, 4.000001, 12]
    assert load(record, tmp_path)[0].boxes.tolist() == [[60, 20, 64, 32]]


def test_broken_files(tmp_path):
    with pytest.raises(AnnotationError, match="cannot be read"):
        load_labels(str(tmp_path / "absent.json"))
    with pytest.raises(AnnotationError, match="expected keys, found"):
        load([], tmp_path)
