"""LabelMe: pictures with a JSON file each, as the labelme program and X-AnyLabeling write them.

A file has `imagePath` (relative to itself, with slashes of any kind), imageWidth, imageHeight and `shapes`, each with
label, points, shape_type and group_id; shapes of one label and one group_id are parts of one object. Read in
github.com/wkentaro/labelme (labelme/label_file.py and its docs: kinds of shapes; the points of a `mask` are its first
and last pixel). The picture that a file may hold itself (imageData) is not read.
"""

from __future__ import annotations

import math
import posixpath
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.prepare.us import USSource
from gluon_liver.structures.frame_source import MAX_SIDE
from gluon_liver.system.terminal import progress_bar

from .aul import is_polygon
from .cvat_tracks import Corners
from .layout import Given, LabelTree, Pictures, USLayout

BOXES = ("rectangle", "rotation", "polygon", "mask", "circle")
NO_BOX = ("point", "points", "line", "linestrip")


class LabelMe(USLayout):
    name = "labelme"
    title = "LabelMe JSON, a file a picture"
    takes = ("by_folder",)
    stills = "give --by-folder"

    def find(self, source: Path, given: Given) -> USSource:
        files, tree = Pictures(source), LabelTree()
        recordings: Dict[str, Path] = {}
        others = 0
        texts = [name for name in files.files if name.lower().endswith(".json")]
        for number, name in enumerate(progress_bar(texts, text="label files"), 1):
            where = f"{source}, JSON file {number} of {len(texts)} by name"
            try:
                record = read_json(files.files[name], error=AnnotationError)
            except AnnotationError as error:
                # its path may name a patient
                raise AnnotationError(str(error).replace(str(files.files[name]), where)) from error
            if not (isinstance(record, dict) and {"shapes", "imagePath"} <= record.keys()):
                others += 1
                continue
            picture = _picture(name, record, files, where)
            if given.by_folder:
                video = files.folder_of(picture)
                recordings[video] = files.paths[video]
                entry: Dict[str, Any] = dict(video=video, file_name=posixpath.basename(picture), scene=1)
            else:
                recordings[picture] = files.pictures[picture]
                entry = dict(video=picture)
            size = _size(record, where) or files.size(picture, tree)
            if size is not None:
                _add_shapes(tree, tree.image(size=size, **entry), record["shapes"], where)
        if not recordings:
            raise files.refuse("a JSON file of LabelMe (imagePath, shapes)")
        notes = [f"{others} JSON file(s) are not LabelMe's and were not read"] if others else []
        return self.made(files, tree, recordings, given, notes=notes)


def _picture(name: str, record: Dict[str, Any], files: Pictures, where: str) -> str:
    """The picture that a file means: by imagePath, or else of its own name. Raises AnnotationError for none."""
    told = record["imagePath"]
    if not isinstance(told, str):
        raise AnnotationError(f"{where}: imagePath must be a text")
    folder, own = posixpath.split(name)
    path = posixpath.normpath(posixpath.join(folder, told.replace("\\", "/")))
    beside = posixpath.join(folder, posixpath.basename(path))
    stem = posixpath.splitext(own)[0]
    of_own_name = [
        one for one in files.folders.get(folder, ()) if posixpath.splitext(posixpath.basename(one))[0] == stem
    ]
    for candidate in (path, beside, *of_own_name[:1]):
        if candidate in files.pictures:
            return candidate
    inside = "; the picture inside the file (imageData) is not read" if record.get("imageData") else ""
    raise AnnotationError(f"{where}: its picture (imagePath) is not below the folder, nor beside the file{inside}")


def _size(record: Dict[str, Any], where: str) -> Optional[Tuple[int, int]]:
    width, height = record.get("imageWidth"), record.get("imageHeight")
    if width is None and height is None:
        return None
    if not (type(width) is type(height) is int and 0 < min(width, height) <= max(width, height) <= MAX_SIDE):
        raise AnnotationError(f"{where}: imageWidth and imageHeight must be whole numbers from 1 to {MAX_SIDE}")
    return width, height


def _add_shapes(tree: LabelTree, image: int, shapes: Any, where: str) -> None:
    if not isinstance(shapes, list):
        raise AnnotationError(f"{where}: shapes must be a list")
    groups: Dict[Tuple[str, Any], List[Corners]] = {}
    for number, shape in enumerate(shapes):
        place = f"{where}: shape {number}"
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise AnnotationError(f"{place} has no label")
        kind = shape.get("shape_type") or "polygon"
        if kind in NO_BOX:
            tree.counts["shape(s) are points or lines, and no boxes"] += 1
            continue
        group = shape.get("group_id")
        key = (shape["label"], f"{type(group).__name__} {group}" if group is not None else -1 - number)
        groups.setdefault(key, []).append(corners_of(kind, shape.get("points"), place))
    tree.counts["shape(s) of one label and group are one box with others"] += sum(
        len(parts) - 1 for parts in groups.values()
    )
    for (label, _), parts in groups.items():
        x1, y1, x2, y2 = zip(*parts)
        tree.box(image, label, (min(x1), min(y1), max(x2), max(y2)))


def corners_of(kind: str, points: Any, where: str) -> Corners:
    """(x1, y1, x2, y2) around a shape of LabelMe. Raises AnnotationError for one that has none."""
    if not is_polygon(points):
        raise AnnotationError(f"{where}: points must be a list of two numbers each")
    if kind == "circle" and len(points) == 2:
        (x, y), edge = points[0], points[1]
        radius = math.hypot(edge[0] - x, edge[1] - y)
        return x - radius, y - radius, x + radius, y + radius
    if kind in ("rectangle", "mask") and len(points) == 2 or kind in ("rectangle", "rotation", "polygon"):
        x1, y1, x2, y2 = around(points)
        last = 1 if kind == "mask" else 0  # of a mask the last pixel is told
        return x1, y1, x2 + last, y2 + last
    what = repr(kind) if kind in (*BOXES, "cuboid") else "of another kind"  # a text may be anything
    raise AnnotationError(f"{where}: shape_type {what} of {len(points)} point(s) is not read; {', '.join(BOXES)} are")


def around(points: Sequence[Sequence[float]]) -> Corners:
    """The upright box around points."""
    x, y = zip(*points)
    return min(x), min(y), max(x), max(y)
