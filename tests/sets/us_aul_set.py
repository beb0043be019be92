"""Writes a set in the form of AUL; returns what is in it: path of a picture -> [(class, x1, y1, x2, y2)]."""

from __future__ import annotations

import json

from .us_picture import picture, write_picture

SIZE = (80, 64)
# a polygon and the corners around it
OUTLINE = [[10, 12], [40.5, 14], [38, 50], [12, 44]]
AROUND = (10, 12, 40.5, 50)


def write_aul(folder, pictures=3, nested=True):
    """``pictures`` of each class, numbered through all of them as the set does. nested: as its archives unpack."""
    truth = {}
    for kind_number, kind in enumerate(("Benign", "Malignant", "Normal")):
        root = folder / kind / kind if nested else folder / kind
        for place in range(pictures):
            number = kind_number * pictures + place + 1
            shift = 3 * place
            path = write_picture(root / "image" / f"{number}.jpg", picture(SIZE, seed=number))
            outlines = {"outline": [[0, 0], [79, 0], [79, 63]], "liver": [[2, 2], [70, 2], [70, 60]]}
            boxes = []
            if kind != "Normal":
                outlines["mass"] = [[x + shift, y] for x, y in OUTLINE]
                x1, y1, x2, y2 = AROUND
                boxes = [(kind.lower(), x1 + shift, y1, x2 + shift, y2)]
            for name, points in outlines.items():
                target = root / "segmentation" / name / f"{number}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(points))
            truth[path.relative_to(folder).as_posix()] = boxes
    return truth
