"""A prepared ultrasound data folder, as `python -m gluon_liver import us` writes it.

DATA/studies/<case>/frames.npy: uint8 (n, H, W, 3) RGB, the labelled frames of one recording in their order, cropped to
the picture. DATA/labels.json: COCO with study, scene and frame; a case's images in the order of their frames are the
rows of frames.npy. DATA/splits.json: patients, scenes or images, as dataset.json's split_by says.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

import numpy as np

from gluon_liver.errors import AnnotationError, DatasetError, SplitError

from .splits import Splits, load_splits
from .study import open_array
from .us_labels import CLASSES, Scene, USLabel, load_labels, previous_frame, scenes_of

FORMAT = 1
KIND = "us"
SPLIT_BY = ("patient", "scene", "image")


@dataclass(frozen=True)
class RecordingInfo:
    """One recording of the data set.

    frames: how many are stored. height, width: of the stored frames. fingerprint: SHA-256 (hex) of the stored frames,
    without salt: equal for one recording with the same labelled frames and region in two imports.
    """

    case: str
    patient: str
    frames: int
    height: int
    width: int
    fingerprint: str


@dataclass(frozen=True)
class USDataset:
    """A data folder, opened and checked; frames are read by memory map.

    phantom: a recording of it or more shows a phantom, so results on it say nothing about patients.
    split_by: "patient", "scene" or "image": what no two splits share.
    """

    folder: Path
    classes: Tuple[str, ...]
    cases: List[RecordingInfo]
    labels: List[USLabel]
    scenes: List[Scene]
    splits: Splits
    split_by: str
    phantom: bool = False
    _scene_of: Dict[Tuple[str, int], Scene] = field(default_factory=dict, repr=False, compare=False)
    _row_of: Dict[Tuple[str, int], int] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Union[str, Path]) -> USDataset:
        """Open DATA. Raises DatasetError (AnnotationError, SplitError) that names the file and the key."""
        folder = Path(folder)
        record = _read_description(folder)
        cases = [_recording(entry, place) for place, entry in enumerate(record["studies"])]
        if len({info.case for info in cases}) != len(cases):
            raise DatasetError(f"{folder}/dataset.json lists a case twice")
        labels = load_labels(os.path.join(folder, "labels.json"))
        _check_labels(labels, cases)
        for info in cases:
            if not os.path.isfile(os.path.join(folder, "studies", info.case, "frames.npy")):
                raise DatasetError(f"{folder}: studies/{info.case}/frames.npy is missing; import the data again")
        dataset = cls(
            folder,
            tuple(record["classes"]),
            cases,
            labels,
            scenes_of(labels),
            load_splits(os.path.join(folder, "splits.json")),
            record["split_by"],
            record.get("phantom", False),
        )
        dataset._scene_of.update(((scene.case, scene.number), scene) for scene in dataset.scenes)
        dataset._row_of.update(((label.case, label.frame), label.row) for label in labels)
        known = {dataset.unit_of(label) for label in labels}
        splits = dataset.splits
        unknown = sorted(set(splits.train + splits.val + splits.test) - known)
        if unknown:
            raise SplitError(
                f"{folder}/splits.json names what is no {dataset.split_by} of the data: {', '.join(unknown[:5])}"
            )
        return dataset

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the recordings' fingerprints, whatever their case ids."""
        return hashlib.sha256("".join(sorted(info.fingerprint for info in self.cases)).encode()).hexdigest()

    def frames(self, case: str) -> np.ndarray:
        """uint8 (n, H, W, 3) RGB memory map of one case. Raises DatasetError."""
        info = self._info(case)
        path = os.path.join(self.folder, "studies", case, "frames.npy")
        try:
            frames = open_array(path)
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise DatasetError(f"{path} is damaged; import the data again") from error
        expected = (info.frames, info.height, info.width, 3)
        if frames.shape != expected or frames.dtype != np.uint8:
            raise DatasetError(f"{path} is {frames.dtype} {frames.shape}, dataset.json says uint8 {expected}")
        return frames

    def cases_of(self, split_name: str) -> List[str]:
        """Recordings with a labelled frame in "train", "val" or "test"."""
        return sorted({label.case for label in self.labels_of(split_name)})

    def training_record(self) -> Dict[str, Any]:
        """What a run records of its training data, so that nothing of it is ever scored as held out."""
        labels, cases = self.labels_of("train"), set(self.cases_of("train"))
        return {
            "split_by": self.split_by,
            "training_units": sorted({self.unit_of(label) for label in labels}),
            "training_patients": sorted({info.patient for info in self.cases if info.case in cases}),
            "training_studies": sorted(info.fingerprint for info in self.cases if info.case in cases),
        }

    def labels_of(self, split_name: str) -> List[USLabel]:
        """Labelled frames of "train", "val" or "test", by case and frame."""
        wanted = set(self.splits.of(split_name))
        return [label for label in self.labels if self.unit_of(label) in wanted]

    def scene_of(self, label: USLabel) -> Scene:
        return self._scene_of[label.case, label.scene]

    def previous_row(self, label: USLabel) -> int:
        """Row of the stored frame before ``label``'s, by :func:`previous_frame`: its own where there is none."""
        return self._row_of[label.case, previous_frame(self.scene_of(label), label.frame)]

    def unit_of(self, label: USLabel) -> str:
        """The name in splits.json that ``label`` belongs to."""
        if self.split_by == "image":
            return image_name(label)
        return self.scene_of(label).name if self.split_by == "scene" else self._info(label.case).patient

    def _info(self, case: str) -> RecordingInfo:
        info = next((info for info in self.cases if info.case == case), None)
        if info is None:
            raise DatasetError(f"{self.folder} has no case {case!r}")
        return info


def image_name(label: USLabel) -> str:
    """case/frame, the name of an image in splits.json."""
    return f"{label.case}/{label.frame:06d}"


def _check_labels(labels: List[USLabel], cases: List[RecordingInfo]) -> None:
    known = {info.case: info for info in cases}
    listed = {info.case: 0 for info in cases}
    for label in labels:
        where = f"labels.json: image {label.image_id}"
        if label.case not in known:
            raise AnnotationError(f"{where}: key 'study' names no case of this data folder")
        info = known[label.case]
        if (label.height, label.width) != (info.height, info.width):
            raise AnnotationError(
                f"{where}: 'width' and 'height' are {label.width} and {label.height}, its recording has "
                f"{info.width} columns and {info.height} rows"
            )
        listed[label.case] += 1
    for case, number in listed.items():
        if number != known[case].frames:
            raise AnnotationError(f"labels.json lists {number} images of {case}, {known[case].frames} are stored")


def _read_description(folder: Path) -> Dict[str, Any]:
    path = os.path.join(folder, "dataset.json")
    if not os.path.isfile(path):
        raise DatasetError(f"{folder} has no dataset.json; make a data folder with `python -m gluon_liver import us`")
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    kind = record.get("kind") if isinstance(record, dict) else None
    if kind != KIND:
        raise DatasetError(f"{path} describes data of kind {kind!r}; this needs {KIND!r}")
    if record.get("format") != FORMAT:
        raise DatasetError(f"{path} has format {record.get('format')!r}, this version reads {FORMAT}; import again")
    if record.get("classes") != list(CLASSES):
        raise DatasetError(f"{path}: key 'classes' must be {list(CLASSES)}")
    if record.get("split_by") not in SPLIT_BY:
        raise DatasetError(f"{path}: key 'split_by' must be one of {', '.join(SPLIT_BY)}")
    if not isinstance(record.get("phantom", False), bool):
        raise DatasetError(f"{path}: key 'phantom' must be true or false")
    if not isinstance(record.get("studies"), list) or not record["studies"]:
        raise DatasetError(f"{path}: key 'studies' must be a list with one recording or more")
    return record


def _recording(entry: Any, place: int) -> RecordingInfo:
    where = f"dataset.json: entry {place} of studies"
    kinds = {"case": str, "patient": str, "frames": int, "height": int, "width": int, "fingerprint": str}
    if not isinstance(entry, dict):
        raise DatasetError(f"{where} must be an object with {', '.join(kinds)}")
    for key, kind in kinds.items():
        if not isinstance(entry.get(key), kind) or isinstance(entry[key], bool):
            raise DatasetError(f"{where}: key {key!r} must be {'a whole number' if kind is int else 'a text'}")
    info = RecordingInfo(**{key: entry[key] for key in kinds})
    if info.case != os.path.basename(info.case) or info.case in ("", ".", ".."):
        raise DatasetError(f"{where}: key 'case' is no plain name")
    return info
