"""Label files in COCO JSON: what every task reads alike."""

from __future__ import annotations

import pytest

from gluon_liver.data.coco import classes_of, coco_images


def coco(names, used):
    """One image with a box of each category in ``used``; the categories are numbered from 7 down."""
    categories = [{"id": 7 - place, "name": name} for place, name in enumerate(names)]
    numbers = {category["name"]: category["id"] for category in categories}
    annotations = [
        {"id": place, "image_id": 1, "category_id": numbers[name], "bbox": [1, 2, 3, 4]}
        for place, name in enumerate(used, 1)
    ]
    return {
        "images": [{"id": 1, "width": 64, "height": 32}],
        "annotations": annotations,
        "categories": categories,
    }


@pytest.mark.parametrize(
    "names, used, classes",
    [
        (["cyst", "hcc"], ["cyst"], ("cyst", "hemangioma", "hcc")),
        ([" HCC", "Cyst"], ["Cyst", " HCC"], ("cyst", "hemangioma", "hcc")),
        (["liver lesions", "hcc"], ["hcc"], ("cyst", "hemangioma", "hcc")),
        (["lesion"], ["lesion"], ("lesion",)),
        (["cyst", "b ", "A"], ["A", "b ", "cyst"], ("A", "b", "cyst")),
        ([], [], ("cyst", "hemangioma", "hcc")),
    ],
)
def test_classes_are_those_of_the_boxes(names, used, classes):
    given = coco(names, used)
    assert classes_of(given, ("cyst", "hemangioma", "hcc"), "l.json") == classes
    (image,) = coco_images(given, classes, "l.json")
    found = [classes[label] for label in image.labels]
    assert [name.lower() for name in found] == [name.strip().lower() for name in used]
