"""Label files as tools and pandas write them -> images with their boxes and classes: the one way in for every task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.data.coco import CocoImage
from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError

from .changes import Changes
from .class_map import choose_classes, load_class_map
from .image_map import apply_image_map, load_image_map, name_by_path
from .label_json import read_label_json
from .tables import Tables

PathLike = Union[str, Path]
CROWDS = ("refuse", "as-lesion")


@dataclass(frozen=True)
class LabelOptions:
    """How label files are read.

    classes: class map. map: mapping file. crowd: what a mask marked as a crowd is, of :data:`CROWDS`. allow_missing:
    go on without images that the imported folder does not have.
    """

    classes: Optional[PathLike] = None
    map: Optional[PathLike] = None
    crowd: str = "refuse"
    allow_missing: bool = False


AS_GIVEN = LabelOptions()


@dataclass(frozen=True)
class LabelSource:
    """What label files hold. classes: of the data. flag: the key beside the tables. changes: what was mended."""

    images: List[CocoImage]
    classes: Tuple[str, ...]
    flag: bool
    changes: Changes


def read_labels(
    paths: Union[PathLike, Sequence[PathLike]],
    usual: Sequence[str],
    options: LabelOptions,
    *,
    columns: Sequence[str],
    flag: str,
    check: Callable[[CocoImage], None],
) -> LabelSource:
    """Read and check label files by themselves; AnnotationError names everything that is wrong with them.

    usual: the classes where the boxes are of no others. columns: what a mapping file may say of an image. flag: key
    of a whole file that is true or false. check: raises AnnotationError for an image that lacks what the task needs.
    Image ids may repeat across files.
    """
    trees = {path: read_label_json(path) for path in label_paths(paths)}
    return read_trees(trees, usual, options, columns=columns, flag=flag, check=check)


def read_trees(
    trees: Mapping[str, Dict[str, Any]],
    usual: Sequence[str],
    options: LabelOptions,
    *,
    columns: Sequence[str],
    flag: str,
    check: Callable[[CocoImage], None],
) -> LabelSource:
    """:func:`read_labels` of COCO objects: name for messages -> object, which is changed."""
    if options.crowd not in CROWDS:
        raise AnnotationError(f"--crowd is {options.crowd!r}; it is one of {', '.join(CROWDS)}")
    mapped = load_class_map(str(options.classes)) if options.classes else None
    image_map = load_image_map(str(options.map), columns) if options.map else {}
    faults, changes = Faults(), Changes()
    several = len(trees) > 1
    tables = [
        Tables(path, tree, changes, f" of label file {number}" * several)
        for number, (path, tree) in enumerate(trees.items(), 1)
    ]
    choice = choose_classes([one.categories for one in tables], usual, mapped, faults)
    changes.notes += choice.notes
    if image_map:
        entries = [entry for one in tables for entry in one.entries("images")]
        named, changes.counts["unmapped"] = apply_image_map(entries, image_map)
        if not named:
            faults.add(f"{options.map}: no file_name in it is one of the label files")
    images: List[CocoImage] = []
    for one in tables:
        name_by_path(one.entries("images"))
        with faults.gathered():
            images += one.images(choice, options.crowd, faults)
    for image in images:
        with faults.gathered():
            check(image)
    is_set = _flag(trees, flag, faults)
    by_place = "entries of a table whose ids are no whole numbers are counted from 1, in the order of the file"
    faults.raise_any(by_place if changes.counts["numbered"] else "")
    return LabelSource(images, choice.classes, is_set, changes)


def label_paths(paths: Union[PathLike, Sequence[PathLike]]) -> List[str]:
    """One path or several as texts. Raises AnnotationError for one that is given twice."""
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if len({Path(path).resolve() for path in several}) < len(several):
        raise AnnotationError("a label file is given twice")
    return [str(path) for path in several]


def _flag(trees: Mapping[str, Mapping[str, Any]], key: str, faults: Faults) -> bool:
    given = {path: tree.get(key, False) for path, tree in trees.items()}
    for path, value in given.items():
        if not isinstance(value, bool):
            faults.add(f"{path}: key {key!r} must be true or false")
    if len(set(map(str, given.values()))) > 1:
        faults.add(f"the label files disagree on {key!r}: give it in all of them, or in none")
    return any(value is True for value in given.values())
