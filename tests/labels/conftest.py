"""Trees of label files, and how tests read them."""

from __future__ import annotations

import copy
import json

import pytest

from gluon_liver.labels.source import LabelOptions, read_labels

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
