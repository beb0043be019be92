"""Writes a folder as the labelme program leaves it; returns file name of a picture -> [(label, x1, y1, x2, y2)]."""

from __future__ import annotations

import json

from .us_picture import picture, write_picture

SIZE = (64, 48)


def shape(label, points, kind="polygon", group=None):
    keys = {"label": label, "points": points, "group_id": group, "description": "", "shape_type": kind, "flags": {}}
    return {**keys, "mask": None}


def write_json(path, shapes, image_path, size=SIZE, **more):
    record = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image_path, "imageData": None}
    record.update({"imageHeight": size[1], "imageWidth": size[0], **more})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def write_labelme(folder, pictures=4):
    shapes = [
        shape("tumor", [[30, 28.5], [10, 8]], "rectangle"),  # from any corner
        shape("vessel", [[40, 20], [43, 24]], "circle"),
        shape("tumor", [[2, 30], [9, 30], [6, 41]], group=1),
        shape("tumor", [[20, 32], [28, 32], [24, 44]], group=1),
        shape("vessel", [[50, 5], [59, 12]], "mask"),
        shape("ruler", [[0, 0], [5, 5]], "line"),
    ]
    boxes = [
        ("tumor", 10, 8, 30, 28.5),
        ("vessel", 35, 15, 45, 25),
        ("tumor", 2, 30, 28, 44),
        ("vessel", 50, 5, 60, 13),
    ]
    truth = {}
    for number in range(pictures):
        name = f"scan_{number:03d}.png"
        write_picture(folder / "images" / name, picture(SIZE, seed=number))
        some = number % 2 == 0
        write_json(folder / "labels" / f"scan_{number:03d}.json", shapes if some else [], f"..\\images\\{name}")
        truth[f"images/{name}"] = boxes if some else []
    return truth
