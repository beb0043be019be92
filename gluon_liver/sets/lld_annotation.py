"""LLD-MMRI's Annotation.json: the series of each case with the boxes of their lesions. See :mod:`.lld_mmri`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.structures.arrays import FloatArray

CATEGORIES = {
    "Hepatic_hemangioma": "hemangioma",
    "Intrahepatic_cholangiocarcinoma": "icc",
    "Hepatic_abscess": "abscess",
    "Hepatic_metastasis": "metastasis",
    "Hepatic_cyst": "cyst",
    "FOCAL_NODULAR_HYPERPLASIA": "fnh",
    "Hepatocellular_carcinoma": "hcc",
}  # in the order of their numbers
CLASSES = tuple(CATEGORIES.values())
UNTOLD = -1
PHASES = {
    "C-pre": "non_contrast",
    "C+A": "arterial",
    "C+V": "portal_venous",
    "C+Delay": "delayed",
    "T2WI": "t2",
    "DWI": "dwi",
    "In Phase": "in_phase",
    "Out Phase": "out_phase",
}
KINDS: Dict[type, str] = {str: "a text", dict: "an object", list: "a list"}
EDGES = ("x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True)
class SliceBox:
    """A box (x1, y1, x2, y2) on a slice, x along the first axis of the file, counted as the file has them."""

    slice: int
    box: Tuple[float, float, float, float]


@dataclass(frozen=True)
class Lesion:
    """number: as the file has it, equal in all phases of a case. class_name: None where it is not told."""

    number: str
    class_name: Optional[str]
    boxes: Tuple[SliceBox, ...]

    @property
    def centre(self) -> FloatArray:
        """(3,) index along the axes of the file of the middle of its boxes."""
        slices = [one.slice for one in self.boxes]
        x1, y1, x2, y2 = np.array([one.box for one in self.boxes]).T
        return np.array([(x1.min() + x2.max() - 1) / 2, (y1.min() + y2.max() - 1) / 2, (min(slices) + max(slices)) / 2])


@dataclass(frozen=True)
class Series:
    """One phase of a case. Spacings are in mm, empty where the file does not say them. file: that says it."""

    case: str
    study_uid: str
    series_uid: str
    phase: str
    pixel_spacing: Tuple[float, ...]
    slice_spacing: Tuple[float, ...]
    lesions: Tuple[Lesion, ...]
    flat_names: Tuple[str, ...]
    file: Path


def read_annotations(files: Sequence[Path]) -> Dict[str, List[Series]]:
    """Case -> its series, of all files together. Raises :class:`AnnotationError` that names file and key."""
    cases: Dict[str, List[Series]] = {}
    for path in files:
        tree = read_json(path, error=AnnotationError)
        info = tree.get("Annotation_info") if isinstance(tree, dict) else None
        if not isinstance(info, dict):
            raise AnnotationError(f"{path}: Annotation_info is missing, the object of the cases")
        _check_categories(path, tree.get("Category_info"))
        for case, series in info.items():
            where = f"{path}: {case}"
            if Path(case).name != case or case in ("", ".", ".."):
                raise AnnotationError(f"{path}: a case is called {case!r}, which can be no folder")
            if case in cases:
                raise AnnotationError(f"{where} stands in {cases[case][0].file.name} too")
            if not isinstance(series, list) or not series:
                raise AnnotationError(f"{where} is no list of series")
            cases[case] = [_series(case, one, path, f"{where}[{number}]") for number, one in enumerate(series)]
    return cases


def _check_categories(path: Path, told: Any) -> None:
    """Raise :class:`AnnotationError` where a file numbers the categories in another way."""
    if not isinstance(told, dict):
        return
    for number, name in enumerate(CATEGORIES):
        if name in told and told[name] != number:
            raise AnnotationError(f"{path}: Category_info has {name} as {told[name]!r}; {number} is known of the set")


def _series(case: str, value: Any, path: Path, where: str) -> Series:
    names = [_get(value, key, str, where) for key in ("studyUID", "seriesUID", "phase")]
    study, series, phase = names
    if phase not in PHASES:
        raise AnnotationError(f"{where}: phase is {phase!r}, none of {', '.join(PHASES)}")
    lesions = _get(_get(value, "annotation", dict, where), "lesion", dict, where)
    read = tuple(_lesion(number, one, f"{where}: lesion {number}") for number, one in lesions.items())
    plain = phase.replace(" ", "")
    kinds = {str(UNTOLD if one.class_name is None else CLASSES.index(one.class_name)) for one in read}
    flat = tuple(f"{case}_{kind}_{plain}_0000.nii.gz" for kind in sorted(kinds))
    pixel, between = (_spacing(value.get(key)) for key in ("pixel_spacing", "slice_spacing"))
    return Series(case, Path(study).name, Path(series).name, PHASES[phase], pixel, between, read, flat, path)


def _lesion(number: str, value: Any, where: str) -> Lesion:
    category = value.get("category") if isinstance(value, dict) else None
    if isinstance(category, bool) or not isinstance(category, int) or not UNTOLD <= category < len(CLASSES):
        raise AnnotationError(f"{where}: category is {category!r}; {UNTOLD} to {len(CLASSES) - 1} are known")
    if not number.isdecimal():
        raise AnnotationError(f"{where}: lesions are numbered from 0")
    rows = _get(_get(value, "bbox", dict, where), "2D_box", list, where)
    boxes = tuple(_box(one, f"{where}: 2D_box[{place}]") for place, one in enumerate(rows))
    if not boxes:
        raise AnnotationError(f"{where} has no 2D_box")
    return Lesion(number, None if category == UNTOLD else CLASSES[category], boxes)


def _box(value: Any, where: str) -> SliceBox:
    place, *edges = (_number(value, key, where) for key in ("slice_idx", *EDGES))
    x1, y1, x2, y2 = edges
    if place < 0 or place != int(place) or not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise AnnotationError(f"{where}: slice {place:g} and box {edges} are none of an image")
    return SliceBox(int(place), (x1, y1, x2, y2))


def _number(value: Any, key: str, where: str) -> float:
    try:
        number = float(value[key])
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{where}: {key} is no number") from error
    if not math.isfinite(number):
        raise AnnotationError(f"{where}: {key} is no number")
    return number


def _get(value: Any, key: str, kind: type, where: str) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise AnnotationError(f"{where}: {key} is missing, or not {KINDS[kind]}")
    return found


def _spacing(value: Any) -> Tuple[float, ...]:
    """One or several lengths in mm; empty for what is none."""
    values = value if isinstance(value, list) else [value]
    try:
        lengths = tuple(float(one) for one in values)
    except (TypeError, ValueError):
        return ()
    return lengths if all(math.isfinite(one) and one > 0 for one in lengths) else ()
