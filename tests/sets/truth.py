"""Boxes straight from the mask that a set was written from, and those of prepared data."""

import json

import numpy as np


def mask_truth(mask):
    """Slice -> [(x1, y1, x2, y2, lesion number)] of a mask of lesion numbers (z, y, x), rising by number."""
    found = {}
    for z, plane in enumerate(mask):
        for number in np.unique(plane[plane > 0]).tolist():
            rows, columns = np.nonzero(plane == number)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            found.setdefault(z, []).append((*map(int, box), number))
    return found


def prepared_boxes(data):
    """Case -> slice -> [(class, (x1, y1, x2, y2), lesion number or None)] of a prepared data folder's labels.json."""
    tree = json.loads((data / "labels.json").read_text())
    names = {one["id"]: one["name"] for one in tree["categories"]}
    images = {one["id"]: one for one in tree["images"]}
    found = {}
    for image in tree["images"]:
        found.setdefault(image["case"] if "case" in image else image["study"], {})[image["slice"]] = []
    for one in tree["annotations"]:
        image = images[one["image_id"]]
        x, y, width, height = one["bbox"]
        case = image["case"] if "case" in image else image["study"]
        entry = (names[one["category_id"]], (x, y, x + width, y + height), one.get("lesion"))
        found[case][image["slice"]].append(entry)
    return found
