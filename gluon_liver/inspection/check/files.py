"""labels.json and splits.json read leniently: all of their faults, where opening the data stops at the first."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Set

from gluon_liver.data.coco import BORDER_TOLERANCE
from gluon_liver.data.splits import SPLIT_NAMES
from gluon_liver.errors import DatasetError
from gluon_liver.files.json_records import read_json

from .findings import PROBLEM, WARNING, Finding

MOST = 1e9  # pixels of a box or an image that is meant


def check_files(folder: Path) -> Iterator[Finding]:
    """Faults of boxes, classes and splits. Raises :class:`DatasetError` for files that are missing or no JSON."""
    description, labels, splits = (
        read_json(folder / name, error=DatasetError) for name in ("dataset.json", "labels.json", "splits.json")
    )
    for name, value in (("dataset.json", description), ("labels.json", labels), ("splits.json", splits)):
        if not isinstance(value, dict):
            raise DatasetError(f"{folder / name}: an object is needed")
    yield from _labels(labels)
    yield from _splits(splits, description)


def _entries(value: Mapping[str, Any], key: str) -> List[Dict[str, Any]]:
    entries = value.get(key)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _labels(labels: Mapping[str, Any]) -> Iterator[Finding]:
    images = {_id(one, "id"): one for one in _entries(labels, "images")}
    names = {_id(one, "id") for one in _entries(labels, "categories")}
    faults: Dict[str, List[str]] = defaultdict(list)
    for one in _entries(labels, "annotations"):
        place, image = f"annotation {_id(one, 'id')}", images.get(_id(one, "image_id"))
        if _id(one, "category_id") not in names:
            faults["have a category that labels.json does not list"].append(place)
        if image is None:
            faults["are of an image that labels.json does not list"].append(place)
            continue
        box = one.get("bbox")
        size: List[Any] = [image.get("width"), image.get("height")]
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            faults["have no box of four numbers"].append(place)
            continue
        if not all(map(_is_number, size)):
            faults["are of an image without width and height"].append(place)
            continue
        x, y, width, height = map(float, box)
        beyond = (-x, -y, x + width - float(size[0]), y + height - float(size[1]))
        if min(width, height) <= 0:
            faults["have a box without area"].append(place)
        elif max(beyond) > BORDER_TOLERANCE:
            faults["have a box that leaves its image"].append(place)
    for what, places in faults.items():
        advice = "mend them in the label file and import again, or edit labels.json and accept it (doctor --data)"
        yield Finding(PROBLEM, "labels", places, f"{len(places)} annotations {what}", advice)
    repeated = [f"image {name}" for name, count in Counter(_ids(labels, "images")).items() if count > 1]
    if repeated:
        yield Finding(PROBLEM, "labels", repeated, f"{len(repeated)} ids of images are there twice", "import again")


def _ids(value: Mapping[str, Any], key: str) -> List[str]:
    return [_id(one, "id") for one in _entries(value, key)]


def _id(entry: Mapping[str, Any], key: str) -> str:
    """An id of any type as a text that can be compared, at most 40 letters of it."""
    return str(entry.get(key))[:40]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= MOST


def _splits(splits: Mapping[str, Any], description: Mapping[str, Any]) -> Iterator[Finding]:
    named: Dict[str, List[str]] = {}
    for name in SPLIT_NAMES:
        some = splits.get(name)
        named[name] = [str(one) for one in some] if isinstance(some, list) else []
    where: Dict[str, Set[str]] = defaultdict(set)
    for name, units in named.items():
        for unit in units:
            where[unit].add(name)
    shared = sorted(unit for unit, some in where.items() if len(some) > 1)
    unit_name = str(description.get("split_by", "patient"))
    if shared:
        advice = f"leave each {unit_name} in one split alone (splits.json)"
        yield Finding(PROBLEM, "splits", shared, f"{len(shared)} {unit_name}(s) are in more than one split", advice)
    patients = {str(one.get("patient")) for one in _entries(description, "studies")}
    if unit_name == "patient":
        unknown = sorted(set(where) - patients)
        if unknown:
            what = f"{len(unknown)} names in splits.json are no patient of the data"
            yield Finding(PROBLEM, "splits", unknown, what, "take them out of splits.json, or import again")
        absent = sorted(patients - set(where))
        if absent:
            what = f"{len(absent)} patients are in no split: they are neither trained on nor scored"
            yield Finding(WARNING, "splits", absent, what, "name them in splits.json unless that is meant")
    groups = description.get("same_examination")
    for group in groups if isinstance(groups, list) else []:
        parted = {name for unit in group for name in where.get(str(unit), ())}
        if len(parted) > 1:
            what = f"one examination is in the splits {', '.join(sorted(parted))} under several patients"
            yield Finding(PROBLEM, "splits", [str(one) for one in group], what, "move them to one split")
