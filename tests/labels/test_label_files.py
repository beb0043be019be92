"""Label files as tools and pandas write them."""

from __future__ import annotations

import copy
import json
import random

import pandas as pd
import pytest

from gluon_liver.errors import AnnotationError
from gluon_liver.labels.ct import load_label_file
from gluon_liver.labels.source import LabelOptions
from gluon_liver.labels.us import load_source_labels

from .conftest import BASE, boxes_of, changed, classes_tree


def test_several_files_agree_in_names_and_repeat_ids(read):
    other = copy.deepcopy(BASE)
    other["categories"] = [{"id": 9, "name": "HCC"}]
    other["annotations"][0].update(category_id=9, bbox=[0, 0, 2, 2])
    source = read(BASE, other)
    assert boxes_of(source) == [[[10, 12, 40, 28]], [], [[0, 0, 2, 2]], []]
    assert [image.labels.tolist() for image in source.images] == [[2], [], [2], []]
    one, two = classes_tree(["lesion"], ["lesion"]), classes_tree(["tumour", "lesion"], ["tumour", "lesion"])
    with pytest.raises(AnnotationError, match="b.json has boxes of 'tumour', which .*a.json does not list"):
        read(one, two)
    one["categories"].append({"id": 1, "name": "Tumour"})
    assert read(one, two).classes == ("lesion", "tumour")
    with pytest.raises(AnnotationError, match="a.json: annotation 1: bbox(.|\n)*b.json: annotation 1: bbox"):
        read(changed(bbox=[60, 2, 20, 4]), changed(bbox=[60, 2, 20, 4]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(tmp_path, encoding):
    tree = classes_tree(["Zyste (groß)"], ["Zyste (groß)"])
    (tmp_path / "a.json").write_text(json.dumps(tree, ensure_ascii=False), encoding=encoding)
    assert load_label_file(tmp_path / "a.json").classes == ("Zyste (groß)",)


def test_what_pandas_writes(read):
    images = pd.DataFrame(
        {"id": [4.0, 5.0], "width": ["64.0", 64], "height": [32.0, 31.9999999], "patient": ["a", None]}
    )
    boxes = pd.DataFrame(
        {"id": [1], "image_id": ["4"], "category_id": [3.0], "bbox": ["[np.float64(10.0), 12.5, np.int64(30), 16]"]}
    )
    boxes["iscrowd"] = float("nan")
    for turn in (lambda table: table.to_dict("records"), lambda table: table.to_dict("list")):
        source = read({"images": turn(images), "annotations": turn(boxes), "categories": BASE["categories"]})
        assert boxes_of(source) == [[[10, 12.5, 40, 28.5]], []]
        assert [(image.entry["id"], image.entry["height"]) for image in source.images] == [(4, 32), (5, 32)]
        assert "patient" not in source.images[1].entry
    columns = {key: json.loads(table.to_json()) for key, table in (("images", images), ("annotations", boxes))}
    assert boxes_of(read({**columns, "categories": BASE["categories"]})) == [[[10, 12.5, 40, 28.5]], []]


def test_numbers_of_lesions_are_taken_and_other_words_counted(read):
    tree = copy.deepcopy(BASE)
    boxes = [[1, 2, 8, 6], [1.2, 2, 8, 6], [20, 2, 8, 6], [40, 2, 8, 6], [40, 20, 8, 6]]
    kinds = {"image_id": 4, "category_id": 3}
    numbers = ["2", 2, 3.0, "benign", None]
    tree["annotations"] = [
        {"id": place, "bbox": box, "lesion": number, **kinds} for place, (box, number) in enumerate(zip(boxes, numbers))
    ]
    source = read(tree)
    # the second box is the first once more
    assert [image.lesions.tolist() for image in source.images] == [[2, 3, 0, 0], []]
    assert "1 box(es) have a lesion that is no whole number" in " ".join(source.changes.lines())


def test_ids_that_are_no_whole_numbers_are_counted_from_1(read):
    tree = copy.deepcopy(BASE)
    tree["images"][0]["id"], tree["images"][1]["id"] = "Miller_012", 5
    tree["annotations"] = [{"image_id": "Miller_012", "category_id": 3, "bbox": [1, 2, 3, 4]}]
    source = read(tree)
    assert [image.where.rpartition(": ")[2] for image in source.images] == ["image 1", "image 2"]
    assert boxes_of(source) == [[[1, 2, 4, 6]], []] and "2 table(s)" in source.changes.lines()[0]
    tree["annotations"].append({"image_id": "Miller_013", "category_id": 3, "bbox": [1, 2, 3, 4]})
    with pytest.raises(AnnotationError, match="annotation 2: image_id names no image that is listed") as caught:
        read(tree)
    assert "Miller" not in str(caught.value)
    tree["annotations"].pop()
    tree["images"][1]["id"] = "Miller_012"
    with pytest.raises(AnnotationError, match="image 1: the id is used twice"):
        read(tree)


def test_images_and_categories_are_named_by_their_names_too(read):
    assert boxes_of(read(changed(image_id="4.png", category_id="hcc"))) == [[[10, 12, 40, 28]], []]
    with pytest.raises(AnnotationError, match="image_id names no image that is listed(.|\n)*none that is listed; the"):
        read(changed(image_id="6.png", category_id="HCV"))


def test_ids_of_any_size_and_in_text(read):
    tree = changed(id=2**62 + 1, image_id=f"{2**53}", category_id="3.0")
    tree["images"][0]["id"] = 2**53
    assert boxes_of(read(tree)) == [[[10, 12, 40, 28]], []] and not read(tree).changes.lines()


def test_ids_from_0_and_roboflows_supercategory(read):
    tree = changed(id=0, image_id=0, category_id=1)
    tree["images"][0]["id"] = 0
    tree["categories"] = [{"id": 0, "name": "lesions", "supercategory": "none"}, {"id": 1, "name": "lesion"}]
    assert read(tree).classes == ("lesion",) and boxes_of(read(tree)) == [[[10, 12, 40, 28]], []]


def test_rows_without_class_and_box_are_none(read):
    tree = copy.deepcopy(BASE)
    tree["annotations"].append({"id": 2, "image_id": 5, "category_id": float("nan"), "bbox": None, "iscrowd": None})
    source = read(tree)
    assert boxes_of(source) == [[[10, 12, 40, 28]], []] and "1 row(s) of annotations" in source.changes.lines()[0]


def test_images_of_one_name_are_told_apart_by_their_paths(read):
    tree = copy.deepcopy(BASE)
    for image, patient in zip(tree["images"], "ab"):
        image.update(file_name="7.png", path=f"/datasets/{patient}/7.png")
    assert [image.entry["file_name"] for image in read(tree).images] == ["/datasets/a/7.png", "/datasets/b/7.png"]
    tree["images"][1].update(file_name="8.png")
    assert [image.entry["file_name"] for image in read(tree).images] == ["7.png", "8.png"]


def test_all_faults_are_told_at_once(read):
    tree = copy.deepcopy(BASE)
    tree["images"][1]["width"] = 0
    tree["images"].append("x")
    tree["annotations"] = [{"id": n, "image_id": 4, "category_id": 3, "bbox": [1, 2, -3, 4]} for n in range(30)]
    with pytest.raises(AnnotationError) as caught:
        read(tree)
    lines = str(caught.value).splitlines()
    assert lines[0] == "32 faults in the labels:" and len(lines) == 22 and lines[-1] == "... and 12 more"
    assert "images[2]: expected keys, found a str" in lines[1]
    assert "image 5: width is 0" in lines[2] and "annotation 17: bbox is" in lines[20]


@pytest.mark.parametrize(
    "content, what",
    [
        (
            '<?xml version="1.0"?>\n<annotations><version>1.1</version><image id="0"/></annotations>',
            "XML of CVAT.*COCO",
        ),
        ("<annotation><folder>x</folder></annotation>", "XML of Pascal VOC"),
        ("0 0.5 0.5 0.1 0.25\n1 0.2 0.2 0.1 0.1\n", "text of YOLO"),
        (json.dumps({"version": "5.0", "shapes": [], "imagePath": "012.png"}), "LabelMe.*labelme2coco"),
        (json.dumps([{"id": 1, "data": {"image": "x"}, "annotations": []}]), "Label Studio"),
        (json.dumps({"_via_settings": {}, "_via_img_metadata": {}}), "VGG"),
        (json.dumps({"info": {}, "categories": {}, "items": []}), "Datumaro"),
        (json.dumps([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]), "a list of boxes"),
        ('{"id": 1}\n{"id": 2}\n', "an object a line"),
        ("filename,width,height,class,xmin\na.png,1,2,x,3\n", "a table"),
        (json.dumps({"labels": {}, "numTraining": 3, "file_ending": ".nii.gz"}), "dataset.json of nnU-Net.*--masks"),
        (json.dumps({"training": [], "modality": {"0": "CT"}}), "Medical Segmentation Decathlon.*--masks"),
        (json.dumps({"description": "", "objects": [], "size": {"width": 1}}), "Supervisely"),
        (json.dumps({"@schema": "x", "markups": []}), "3D Slicer"),
        (json.dumps([{"image": "a.png", "annotations": []}]), "CreateML"),
        (json.dumps([{"shapes": [], "imagePath": "a.png"}]), "a list of LabelMe's images"),
        ("[]", "images is missing, found a list of 0; COCO is one object with images, annotations and categories"),
        ("{}", "images is missing, found an object without keys; COCO .*docs/data.md#labels"),
        ('{"boxes": 1, "Doe^John.dcm": 2, "slices": 3}', "found an object with boxes, slices and 1 other keys;"),
        ('{"Doe^John.dcm": 2}', "found an object with 1 keys;"),
        ("7", "found a int;"),
        ("{", "not JSON"),
        ("PK\x03\x04xyz", "ZIP archive: unpack it"),
    ],
)
def test_other_formats_are_named(read, content, what):
    with pytest.raises(AnnotationError, match=what):
        read(content)


@pytest.mark.parametrize("table", ["abc", {}, 5, {"x": 1}])
@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_table_that_is_no_list_is_a_fault(read, key, table):
    with pytest.raises(AnnotationError, match=f"{key}: expected a list"):
        read({**BASE, key: table})


def test_a_mapping_file(read, tmp_path):
    path = tmp_path / "map.csv"
    path.write_bytes("\ufeffFile Name;Note;SOPInstanceUID;slice\n4.png;x; 1.2.3 ;\n.\\9.png;y;1.2.4;7\n\n".encode())
    source = read(BASE, map=path)
    assert [image.entry.get("sop_instance_uid") for image in source.images] == ["1.2.3", None]
    assert source.changes.lines() == ["1 row(s) of the mapping file name no image of the label files"]
    path.write_text("sep=;\nfile_name;slice\n.\\4.PNG;7.0\n9.png;8\n")
    assert [image.entry.get("slice") for image in read(BASE, map=path).images] == [7, None]
    path.write_text("File name,SOP UID\n4.png,1.2.5\n")
    assert read(BASE, map=path).images[0].entry["sop_instance_uid"] == "1.2.5"
    path.write_text("file_name,slice\n4.jpg,7\n4.PNG,8\n5.jpg,9\n")  # the first two could both be meant
    assert [image.entry.get("slice") for image in read(BASE, map=path).images] == [None, 9]
    path.write_bytes("file_name;slice\nMüller.png;7\n".encode("cp1252"))
    with pytest.raises(AnnotationError, match=r"line 2 is not UTF-8 \(byte 0xfc\).* in Excel as 'CSV UTF-8'; where it"):
        read(BASE, map=path)
    path.write_text("file_name,path\n5.png,p1/005.dcm\n")
    assert read(BASE, map=path).images[1].entry["file_name"] == "p1/005.dcm"
    for text, message in (
        ("a,b\n1,2\n", "file_name and one or more of sop_instance_uid, path, slice"),
        ("", "its first line must name the columns"),
        ("file_name,slice\n4.png,x\n", "line 2: slice must be a whole number"),
        ("file_name,path\n4.png,\n", "line 2: file_name or what it is mapped to is empty"),
        ("file_name,SOPInstanceUID,sop_instance_uid\n4.png,1.2,\n", "2 columns .* mean sop_instance_uid; leave one"),
        ("file_name,path\n4,5.png,a\n", "line 2 has more cells than the first: put what holds ',' in quotes"),
        ("file_name,path\n4.png,a\n4.png,b\n", "line 3: the file_name is there twice"),
        ("file_name,path\n7.png,a\n", "no file_name in it is one of the label files"),
    ):
        path.write_text(text)
        with pytest.raises(AnnotationError, match=message):
            read(BASE, map=path)


ODD = [
    None,
    float("nan"),
    float("inf"),
    -1,
    0,
    2.5,
    "",
    "x",
    "4.0",
    "[1,2,3,4]",
    [],
    [1],
    [None] * 4,
    [[]],
    [[[1]]],
    {},
]
ODD += [{"counts": "abc", "size": [32, 64]}, {"counts": [2048], "size": [32, 64]}, True, 10**30, "\0", "\ud800"]


def places(tree, before=()):
    """The ways to everything in a tree."""
    yield before
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from places(tree[key], (*before, key))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [load_label_file, load_source_labels])
def test_nothing_odd_is_more_than_a_fault(tmp_path, load, seed):
    rng = random.Random(seed)
    for _ in range(100):
        tree = changed(segmentation=[[1, 2, 3, 4, 5, 6]], attributes={"rotation": 0}, iscrowd=0)
        for _ in range(rng.randint(1, 3)):
            *way, key = rng.choice([place for place in places(tree) if place])
            holder = tree
            for step in way:
                holder = holder[step]
            if rng.random() < 0.2 and isinstance(holder, dict):
                del holder[key]
            else:
                holder[key] = copy.deepcopy(rng.choice(ODD))
        (tmp_path / "l.json").write_text(json.dumps(tree))
        try:
            load(tmp_path / "l.json", options=LabelOptions(crowd="as-lesion"))
        except AnnotationError:
            pass
