"""AUL: 735 pictures of livers with their outlines (Xu et al., Brief Bioinform 2023; doi.org/10.5281/zenodo.7272660).

`Benign|Malignant|Normal/image/N.jpg`, and of each `segmentation/{mass,liver,outline}/N.json`, a list of points [x, y].
The archives of the set unpack to `Benign/Benign/image/...`, which is taken too. Read in the converter to COCO of
UltraSam (its datasets/AUL.py, which names record 7272660: polygons of single lists, `Benign/Benign/image/194.jpg`) and
in a second converter beside code for SAM 3 (masses by `segmentation/mass/<name of the picture>.json`, pictures of
`Normal` without one). Not verified: whether a file may hold several masses; a list of lists of points is read so.
Outlines of liver and body are no lesions and are not read. Nothing tells which pictures are of one patient.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, List

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.prepare.us import USSource

from .layout import Given, LabelTree, Pictures, USLayout

LESIONS = ("benign", "malignant")
NORMAL = "normal"
PLACE = re.compile(rf"((?:.*/)?({'|'.join((*LESIONS, NORMAL))}))/image/([^/]+)\.[^./]+", re.IGNORECASE)


class AUL(USLayout):
    name = "aul"
    title = "AUL (Annotated Ultrasound Liver images)"
    public = True
    classes = LESIONS

    def find(self, source: Path, given: Given) -> USSource:
        files, tree = Pictures(source), LabelTree()
        places = [(name, PLACE.fullmatch(name)) for name in files.pictures]
        found = [(name, *place.groups()) for name, place in places if place]
        if not found:
            raise files.refuse("Benign|Malignant|Normal/image/N.jpg")
        for name, folder, kind, stem in found:
            mass = files.files.get(f"{folder}/segmentation/mass/{stem}.json")
            if mass is None and kind.casefold() != NORMAL:
                tree.left_out.append((name, "its lesion has no outline (segmentation/mass)"))
                continue
            if mass is not None and kind.casefold() == NORMAL:
                tree.left_out.append((name, "it is among the normal ones and has a mass"))
                continue
            size = files.size(name, tree)
            if size is not None:
                image = tree.image(name, size)
                for polygon in polygons_of(mass) if mass else ():
                    tree.polygons(image, kind.casefold(), [polygon])
        notes = [
            f"pictures of {NORMAL} livers are background; no patients are told, each picture counts as one",
            "there is no frame before a single picture: train us-faster-rcnn; us-flow would pair each with itself",
        ]
        return self.made(files, tree, {name: files.pictures[name] for name, *_ in found}, given, notes=notes)


def polygons_of(path: Path) -> List[Any]:
    """The polygons of a file: one list of points, or a list of such lists."""
    value = read_json(path, error=AnnotationError)
    several = isinstance(value, list) and value and isinstance(value[0], list) and value[0]
    polygons = value if several and isinstance(value[0][0], list) else [value]
    if not several or not all(map(is_polygon, polygons)):
        raise AnnotationError(f"{path}: expected an outline, a list of points [x, y]")
    return polygons


def is_polygon(value: Any) -> bool:
    """Whether a value is a list of points (x, y), one or more."""
    return isinstance(value, list) and bool(value) and all(map(is_point, value))


def is_point(value: Any) -> bool:
    """Whether a value is two numbers that a picture may have."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(one) in (int, float) and abs(one) < 2**53 for one in value)
    )
