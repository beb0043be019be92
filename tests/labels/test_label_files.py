"""Label files as tools and pandas write them."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as rle

from gluon_liver.errors import AnnotationError
from gluon_liver.labels.ct import load_label_file
from gluon_liver.labels.source import LabelOptions, read_labels
from gluon_liver.labels.us import load_source_labels

PAPER = ("cyst", "hemangioma", "hcc")
BASE = {
    "images": [{"id": number, "width": 64, "height": 32, "file_name": f"{number}.png"} for number in (4, 5)],
    "annotations": [{"id": 1, "image_id": 4, "category_id": 3, "bbox": [10, 12, 30, 16]}],
    "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "hemangioma"}, {"id": 3, "name": "hcc"}],
}


@pytest.fixture
def read(tmp_path):
    """Write trees, each to a file, and read them back."""

    def read_trees(*trees, **options):
        paths = [tmp_path / f"{letter}.json" for letter in "abcdef"[: len(trees)]]
        for path, tree in zip(paths, trees):
            path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        task = dict(columns=("sop_instance_uid", "path", "slice"), flag="exhaustive", check=lambda image: None)
        return read_labels(paths, PAPER, LabelOptions(**options), **task)

    return read_trees


def changed(**annotation):
    """BASE with another first annotation."""
    tree = copy.deepcopy(BASE)
    tree["annotations"][0].update(annotation)
    return tree


def boxes_of(source):
    return [image.boxes.round(4).tolist() for image in source.images]


def classes_tree(names, used):
    """One image with a box of each category in ``used``; the categories are numbered from 7 down."""
    categories = [{"id": 7 - place, "name": name} for place, name in enumerate(names)]
    numbers = {category["name"]: category["id"] for category in categories}
    annotations = [
        {"id": place, "image_id": 4, "category_id": numbers[name], "bbox": [4 * place, 2, 3, 4]}
        for place, name in enumerate(used, 1)
    ]
    return {**BASE, "annotations": annotations, "categories": categories}


@pytest.mark.parametrize(
    "names, used, classes",
    [
        (["cyst", "hcc"], ["cyst"], PAPER),
        ([" HCC", "Cyst"], ["Cyst", " HCC"], PAPER),
        (["liver lesions", "hcc"], ["hcc"], PAPER),
        (["lesion"], ["lesion"], ("lesion",)),
        (["cyst", "b ", "A"], ["A", "b ", "cyst"], ("A", "b", "cyst")),
        ([], [], PAPER),
    ],
)
def test_classes_are_those_of_the_boxes(read, names, used, classes):
    source = read(classes_tree(names, used))
    assert source.classes == classes
    found = [classes[label] for label in source.images[0].labels]
    assert [name.lower() for name in found] == [name.strip().lower() for name in used]


def test_names_are_kept_in_one_unicode_form(read):
    tree = copy.deepcopy(BASE)
    tree["categories"] = [{"id": 3, "name": "La\u0308sion"}]
    assert read(tree).classes == ("L\u00e4sion",)


def test_categories_without_boxes_are_told_and_names_must_tell_classes_apart(read):
    tree = classes_tree(["tumors", "hcc"], ["hcc"])
    assert read(tree).changes.lines() == ["categories without boxes are no classes: tumors"]
    with pytest.raises(AnnotationError, match="other names than .*'Mean'.*--classes"):
        read(classes_tree(["Mean"], ["Mean"]))


MAP = """
classes:
  cyst: [Simple  cyst, Zyste]
  hcc: Hepatocellular carcinoma
  hemangioma:
ignore: [liver]
leave_out: unclear
"""


def test_a_class_map_renames_merges_orders_ignores_and_leaves_out(read, tmp_path):
    (tmp_path / "m.yaml").write_text(MAP)
    names = ["zyste", "simple cyst", "HEPATOCELLULAR CARCINOMA", "Liver", "spleen"]
    source = read(classes_tree(names, names[:4]), classes=tmp_path / "m.yaml")
    assert source.classes == ("cyst", "hcc", "hemangioma")
    assert source.images[0].labels.tolist() == [0, 0, 1]
    text = "\n".join(source.changes.lines())
    assert "names of the class map that no label file has: unclear" in text
    assert "classes of the class map without a box: hemangioma" in text and "no classes: spleen" in text
    assert "1 box(es) are of ignored classes" in text
    source = read(classes_tree(["cyst", "unclear"], ["cyst", "unclear"]), classes=tmp_path / "m.yaml")
    assert source.images[0].left_out and source.images[0].count == 2 and not source.images[1].left_out
    with pytest.raises(AnnotationError, match="boxes are of 'spleen', which .*m.yaml does not name"):
        read(classes_tree(["spleen"], ["spleen"]), classes=tmp_path / "m.yaml")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[a, b]", "a class map has the keys classes"),
        ("classes: [a]\nignored: b", "it has 'ignored'"),
        ("classes: {a: x, b: x}", "'x' is under a and under b"),
        ("classes: {a: x}\nignore: X", "'X' is under a and under ignore"),
        ("classes: {a: [no]}", "classes.a: names are texts; put False in quotes"),
        ("classes: [all]", "classes must be other names"),
        ("classes:", "classes must be one or more|one or more"),
    ],
)
def test_a_class_map_with_faults(read, tmp_path, text, message):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read(BASE, classes=tmp_path / "m.yaml")


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


MASK = rle.encode(
    np.asfortranarray([[5 < x < 12 and 7 <= y < 20 for x in range(64)] for y in range(32)], dtype="uint8")
)


def test_crowds(read):
    runs = {"size": [32, 64], "counts": [6 * 32 + 7, *[13, 19] * 5, 13, 12 + 32 * 52]}
    tree = changed(iscrowd=1, segmentation=runs, bbox=[6, 7, 6, 13])
    with pytest.raises(AnnotationError, match="annotation 1: iscrowd is 1.*--crowd as-lesion"):
        read(tree)
    source = read(tree, crowd="as-lesion")
    assert boxes_of(source)[0] == [[6, 7, 12, 20]] and "1 mask(s) marked as a crowd" in source.changes.lines()[0]
    for none in (0, "0", False, None, 0.0):
        assert boxes_of(read(changed(iscrowd=none)))[0] == [[10, 12, 40, 28]]
    with pytest.raises(AnnotationError, match="--crowd is 'all'"):
        read(tree, crowd="all")


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [32, 64], "counts": [6 * 32 + 7, *[13, 19] * 5, 13, 12 + 32 * 52]},
        {"size": [32, 64], "counts": MASK["counts"].decode()},
        [[6, 7, 12, 7, 12, 20], [8.0, 9.0, 7, 10, 9, 9]],
        [6, 7, 12, 20],
    ],
)
@pytest.mark.parametrize("bbox", [None, [], [0, 0, 0, 0], [1, float("nan"), 2, 3]])
def test_a_box_that_is_absent_comes_from_polygon_or_mask(read, segmentation, bbox):
    source = read(changed(bbox=bbox, segmentation=segmentation))
    assert boxes_of(source)[0] == [[6, 7, 12, 20]]
    assert source.changes.lines() == ["1 box(es) were absent and were taken from their polygon or mask"]


@pytest.mark.parametrize(
    "segmentation",
    [[], None, "x", {"size": [64, 32], "counts": [2048]}, {"size": [32, 64], "counts": [5, 6]}, [["a", 1]], [[1, 2, 3]]]
    + [{"size": [32, 64], "counts": text} for text in ("\x7f", "zz", "", "é", MASK["counts"].decode()[:-1])],
)
def test_what_gives_no_box_is_a_fault(read, segmentation):
    with pytest.raises(AnnotationError, match="annotation 1: bbox: expected a list of 4|annotation 1: bbox is missing"):
        read(changed(bbox=[], segmentation=segmentation))


def test_turned_boxes(read):
    source = read(changed(bbox=[20, 10, 20, 10], attributes={"occluded": False, "rotation": 90.0}))
    assert boxes_of(source)[0] == [[25, 5, 35, 25]] and "1 box(es) were turned" in source.changes.lines()[0]
    assert not read(changed(attributes={"occluded": True, "rotation": 0.0})).changes.lines()


def test_turned_boxes_are_cut_at_the_border(read):
    source = read(changed(bbox=[0, 2, 20, 4], attributes={"rotation": 30}))
    assert boxes_of(source)[0] == [pytest.approx([0.3397, 0, 19.6603, 10.7321])]
    assert "1 upright box(es) around turned ones reached beyond their image" in "".join(source.changes.lines())
    with pytest.raises(AnnotationError, match="leaves image 4"):
        read(changed(bbox=[-11, 2, 20, 4], attributes={"rotation": 30}))


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


def test_boxes_at_the_border(read):
    source = read(changed(bbox=[-0.33, 5.0, 20.0, 20.0]))
    assert (
        boxes_of(source)[0] == [pytest.approx([0, 5, 19.67, 25])]
        and "1 box(es) were up to a pixel outside" in source.changes.lines()[0]
    )
    assert boxes_of(read(changed(bbox=[45, 5, 20, 27.5])))[0] == [[45, 5, 64, 32]]
    assert not read(changed(bbox=[44, 5, 20.005, 27])).changes.lines()
    with pytest.raises(AnnotationError, match="annotation 1: bbox .* leaves image 4 of 64x32"):
        read(changed(bbox=[45, 5, 20.1, 27]))


@pytest.mark.parametrize(
    "bbox", [[40, 4, 1e-5, 24], [40, 4, 0, 0], [40, 4, 5, 0.99], [-0.5, 4, 1.2, 5], [63.5, 1, 1, 9]]
)
def test_what_cannot_be_trained_on_leaves_its_image_out(read, bbox):
    source = read(changed(bbox=bbox))
    assert source.images[0].left_out == "a box is below a pixel" and source.images[0].count == 1
    assert "a box is below a pixel: image 4" in source.changes.lines()[-1]
    assert not source.images[1].left_out


@pytest.mark.parametrize(
    "boxes, why",
    [
        ([[0.2, 0.3, 0.25, 0.5], [0, 0, 1, 1]], "no number of any bbox is above 1: these seem to be fractions"),
        ([[40, 10, 60, 30], [2, 3, 20, 24]], "1 of 2 boxes leave their image, .* read as x1, y1, x2, y2 all of them"),
    ],
)
def test_boxes_in_another_form_are_told(read, boxes, why):
    tree = copy.deepcopy(BASE)
    tree["annotations"] = [{"id": n, "image_id": 4, "category_id": 3, "bbox": box} for n, box in enumerate(boxes)]
    with pytest.raises(AnnotationError, match=why):
        read(tree)


def test_boxes_that_are_there_twice_are_joined(read):
    tree = copy.deepcopy(BASE)
    for number, (category, bbox) in enumerate(
        [(3, [10.3, 12, 30, 16]), (3, [11, 12, 30, 16]), (1, [10, 12, 30, 16])], 2
    ):
        tree["annotations"].append({"id": number, "image_id": 4, "category_id": category, "bbox": bbox})
    source = read(tree)
    assert source.images[0].boxes[:, 0].tolist() == [10, 11, 10]
    assert source.changes.counts["joined"] == 1 and source.changes.counts["disagreeing"] == 1


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
        ("[]", "expected keys, found a list"),
        ("{}", "images is missing"),
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
    with pytest.raises(AnnotationError, match="it is not text; where it is a table, save it as CSV in UTF-8"):
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
