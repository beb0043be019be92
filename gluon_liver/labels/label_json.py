"""A label file -> its COCO object, or what other format of which tool it is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from gluon_liver.errors import AnnotationError, why
from gluon_liver.files.json_records import ARCHIVES, read_json
from gluon_liver.structures.enumerations import all_of

COCO_KEYS = ("images", "annotations", "categories")
_EXPORT = "export the labels as COCO"
_AS_IT_IS = "of ultrasound `import us --layout {}` takes it as it is"
_CONVERT = f"labelme2coco (pip install labelme2coco) makes one COCO file of all of them; {_AS_IT_IS.format('labelme')}"
_MASKS = "give its masks with --masks labelsTr, or import the set with --layout (docs/datasets.md)"
DOCUMENTED = "docs/data.md#labels has an example"
LISTED = 5  # keys that an error shows
# pattern of the first characters, XML without what stands before its root -> what it is, and what to do; a file of
# repetitions must not keep them busy for ever, so no part of a text can be matched in two ways
_TEXTS: Tuple[Tuple[str, str, str], ...] = (
    (
        "<annotations>",
        "XML of CVAT",
        f"{_EXPORT} 1.0 there; {_AS_IT_IS.format('cvat')}",
    ),
    (r"<annotation[\s>]", "XML of Pascal VOC or LabelMe", f"{_EXPORT} instead"),
    (r"<", "XML", f"{_EXPORT} instead"),
    (
        r"\d+( +-?(\d+(\.\d*)?|\.\d+)(e-?\d+)?){4,}\s*($|\n)",
        "text of YOLO",
        f"{_EXPORT} instead: it has the images' sizes",
    ),
    (r"\{[^\n]*\}[ \r]*\n\s*\{", "JSON with an object a line", f"{_EXPORT}: one object with {', '.join(COCO_KEYS)}"),
    (r'"?[\w ]+"?([,;\t]"?[\w ]+"?){3,}\r?\n', "a table", f"{_EXPORT} instead"),
)


def read_label_json(path: str) -> Dict[str, Any]:
    """The object of a label file, its tables as lists of entries without what pandas leaves empty.

    Raises AnnotationError where it cannot be read, and names the tool whose own format it is in.
    """
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {why(error)}") from error
    for magic, what in ARCHIVES.items():
        if start.startswith(magic):
            inside = "annotations/instances_default.json of CVAT, result.json of Label Studio, _annotations.coco.json"
            raise AnnotationError(f"{path} is {what}: unpack it and give the COCO file in it ({inside} of Roboflow)")
    try:
        value = read_json(path, error=AnnotationError)
    except AnnotationError as error:
        text = start.decode("utf-8-sig", "ignore").lstrip()
        for pattern, what, advice in _TEXTS:
            if re.match(pattern, _from_root(text), re.DOTALL):
                raise AnnotationError(f"{path} is {what}, not COCO: {advice}") from error
        raise
    if not isinstance(value, dict) or not all(key in value for key in COCO_KEYS):
        known = _other_format(value)
        if known:
            raise AnnotationError(f"{path} is {known[0]}, not COCO: {known[1]}")
    if not isinstance(value, dict) or "images" not in value:
        wanted = f"COCO is one object with {all_of(COCO_KEYS)} ({DOCUMENTED})"
        raise AnnotationError(f"{path} is not COCO: images is missing, found {_shown(value)}; {wanted}")
    return {**value, **{key: _entries([] if value[key] is None else value[key]) for key in COCO_KEYS if key in value}}


def _from_root(text: str) -> str:
    """XML without its declaration and the comments before its root; "<" of one that does not come to a root."""
    for begin, end in (("<?xml", ">"), ("<!--", "-->")):
        while text.startswith(begin):
            inside, found, rest = text.partition(end)
            text = rest.lstrip() if found else "<"
    return text


def _is_missing(value: Any) -> bool:
    """Whether a value says nothing: null, or the NaN of pandas."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _other_format(value: Any) -> Optional[Tuple[str, str]]:
    first = value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else {}
    keys = value.keys() if isinstance(value, Mapping) else set()
    if "shapes" in keys and keys & {"imagePath", "imageData", "imageHeight"}:
        return "JSON of LabelMe, of one image", _CONVERT
    if keys & {"_via_img_metadata", "_via_settings"} or any("regions" in v for v in _values(value)):
        return "JSON of the VGG Image Annotator", f"{_EXPORT} there"
    if keys & {"numTraining", "channel_names", "file_ending"} or {"training", "modality"} <= keys:
        return "dataset.json of nnU-Net or of the Medical Segmentation Decathlon", _MASKS
    if {"objects", "size"} <= keys:
        return "JSON of Supervisely, of one image", f"{_EXPORT} there"
    if "markups" in keys:
        return "markups of 3D Slicer", "export the segmentation as NIfTI or DICOM SEG and give it with --masks"
    if {"image", "annotations"} <= first.keys():
        return "JSON of CreateML", f"{_EXPORT} instead"
    if any("shapes" in entry for entry in _entries_of(value)):
        return "a list of LabelMe's images", _CONVERT
    if {"items", "categories"} <= keys:
        return "JSON of Datumaro", f"{_EXPORT} 1.0 (CVAT), or with `datum convert -f coco_instances`"
    if first.keys() & {"completions", "annotations", "predictions"} or {"data", "result"} <= keys:
        return "JSON of Label Studio", f"{_EXPORT} there"
    if {"image_id", "bbox"} <= first.keys():
        return "a list of boxes (annotations or detections alone)", f"it must be in one object with {all_of(COCO_KEYS)}"
    if first:
        return "a list", f"{_EXPORT}: one object with {all_of(COCO_KEYS)}"
    return None


def _shown(value: Any) -> str:
    """What a JSON value is, without texts that may name a patient: keys are often names of files."""
    if not isinstance(value, Mapping):
        return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (list, str)) else "")
    words = [key for key in value if isinstance(key, str) and re.fullmatch("[a-zA-Z_]{1,24}", key)]
    others = len(value) - len(words[:LISTED])
    named = f"an object with {', '.join(words[:LISTED])}" if words else "an object"
    if not others:
        return named if words else "an object without keys"
    return f"{named} and {others} other keys" if words else f"{named} with {others} keys"


def _values(value: Any) -> List[Mapping[str, Any]]:
    return [one for one in value.values() if isinstance(one, Mapping)] if isinstance(value, Mapping) else []


def _entries_of(value: Any) -> List[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _entries(table: Any) -> Any:
    """A list of entries of what pandas may make of one: columns instead of rows, and NaN for what is missing."""
    if isinstance(table, Mapping) and table:
        columns = {name: _column(column) for name, column in table.items()}
        sizes = {len(column) for column in columns.values() if column is not None}
        if None not in columns.values() and len(sizes) == 1:
            table = [dict(zip(columns, row)) for row in zip(*columns.values())]
    if not isinstance(table, list):
        return table
    return [
        {key: value for key, value in entry.items() if not _is_missing(value)} if isinstance(entry, Mapping) else entry
        for entry in table
    ]


def _column(column: Any) -> Optional[List[Any]]:
    if isinstance(column, Mapping):
        return list(column.values())
    return column if isinstance(column, list) else None
