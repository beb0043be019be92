"""Classes of label files, and maps of them."""

from __future__ import annotations

import copy

import pytest

from gluon_liver.errors import AnnotationError

from .conftest import BASE, PAPER, classes_tree


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
