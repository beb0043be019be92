"""A prepared ultrasound data folder, as `python -m gluon_liver import us` writes it.

DATA/studies/<case>/frames.npy: uint8 (n, H, W, 3) RGB, the labelled frames of one recording in their order, cropped to
the picture. DATA/labels.json: COCO with study, scene and frame; a case's images in the order of their frames are the
rows of frames.npy. DATA/splits.json: patients, scenes or images, as dataset.json's split_by says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Mapping, Sequence, Set, Tuple, Type

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.errors import AnnotationError, DatasetError
from gluon_liver.files.typed import ONE_OR_MORE, one_of, required

from .dataset import Dataset, RunRecord, TrainedOn
from .description import REMEDY, CaseInfo
from .images import unit_range
from .study import open_array
from .us_labels import CLASSES, Scene, USLabel, load_labels, previous_frame, scenes_of

SPLIT_BY = ("patient", "scene", "image")


@dataclass(frozen=True)
class RecordingInfo(CaseInfo):
    """One recording.

    frames: how many are stored. height, width: of the stored frames, of which ``fingerprint`` is: equal for one
    recording with the same labelled frames and region in two imports.
    """

    frames: int
    height: int
    width: int


@dataclass(frozen=True)
class USDescription:
    """What dataset.json says of ultrasound data alone."""

    studies: Tuple[RecordingInfo, ...] = required(ONE_OR_MORE)
    split_by: str = required(one_of(*SPLIT_BY))


@dataclass(frozen=True)
class USTrainedOn(TrainedOn):
    """With the names in splits.json that were trained on."""

    training_units: Tuple[str, ...]


@dataclass(frozen=True)
class USRunRecord(RunRecord, USTrainedOn):
    """What a run on recordings says of its data."""


@dataclass(frozen=True)
class USDataset(Dataset[USLabel, RecordingInfo]):
    """Labelled frames of ultrasound recordings, read by memory map.

    split_by: "patient", "scene" or "image".
    """

    task: ClassVar[str] = "us"
    title: ClassVar[str] = "ultrasound"
    image: ClassVar[str] = "frame"
    paper_classes: ClassVar[Tuple[str, ...]] = CLASSES
    in_frames: ClassVar[bool] = True
    in_hu: ClassVar[bool] = False
    files: ClassVar[Tuple[str, ...]] = ("frames.npy",)
    description: ClassVar[Type[USDescription]] = USDescription
    trained_on: ClassVar[Type[USTrainedOn]] = USTrainedOn
    run_record: ClassVar[Type[USRunRecord]] = USRunRecord

    @classmethod
    def _read_labels(cls, path: Path, classes: Tuple[str, ...], cases: Sequence[RecordingInfo]) -> List[USLabel]:
        return load_labels(str(path), classes)

    def _check_labels(self) -> None:
        super()._check_labels()
        listed = Counter(label.case for label in self.labels)
        for info in self.cases:
            if listed[info.case] != info.frames:
                counts = f"{listed[info.case]} images of {info.case}, {info.frames} are stored"
                raise AnnotationError(f"labels.json lists {counts}")

    def _image_size(self, info: RecordingInfo) -> Tuple[int, int]:
        return info.height, info.width

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the recordings' fingerprints, whatever their case ids."""
        return hashlib.sha256("".join(sorted(info.fingerprint for info in self.cases)).encode()).hexdigest()

    def frames(self, case: str) -> np.ndarray:
        """uint8 (n, H, W, 3) RGB memory map of one case. Raises DatasetError."""
        info = self.info(case)
        path = self.folder / "studies" / case / "frames.npy"
        frames = open_array(path, remedy=REMEDY)
        expected = (info.frames, info.height, info.width, 3)
        if frames.shape != expected or frames.dtype != np.uint8:
            raise DatasetError(f"{path} is {frames.dtype} {frames.shape}, dataset.json says uint8 {expected}")
        return frames

    @cached_property
    def _scene_of(self) -> Dict[Tuple[str, int], Scene]:
        return {(scene.case, scene.number): scene for scene in scenes_of(self.labels)}

    @cached_property
    def _units_of(self) -> Dict[str, Set[str]]:
        units: Dict[str, Set[str]] = {info.case: set() for info in self.cases}
        for label in self.labels:
            units[label.case].add(self.unit_of(label))
        return units

    def scene_of(self, label: USLabel) -> Scene:
        """The scene that a labelled frame is in."""
        return self._scene_of[label.case, label.scene]

    def previous_row(self, label: USLabel) -> int:
        """Row of the stored frame before ``label``'s, by :func:`previous_frame`: its own where there is none."""
        return label.row - (previous_frame(self.scene_of(label), label.frame) < label.frame)

    def unit_of(self, label: USLabel) -> str:
        if self.split_by == "image":
            return label.name
        return self.scene_of(label).name if self.split_by == "scene" else super().unit_of(label)

    def units_of(self, info: RecordingInfo) -> Set[str]:
        return self._units_of[info.case]

    def training_record(self) -> Dict[str, Any]:
        units = {self.unit_of(label) for label in self.labels_of("train")}
        return {**super().training_record(), "split_by": self.split_by, "training_units": sorted(units)}

    def refuse_trained(self, trained: Mapping[str, Any], split_name: str) -> None:
        """Raise DatasetError when units of the split were trained on, or recordings of which frames were.

        Parts of one recording may be on both sides only where the units are those of the training, made by the same
        import. Units of another import (split, salt) never meet, and nothing tells which frames were trained on.
        """
        labels, units = self.labels_of(split_name), set(trained["training_units"])
        known, alike = sorted({self.unit_of(label) for label in labels} & units), []
        if self.split_by == "patient" or not units <= {self.unit_of(label) for label in self.labels}:
            cases, prints = {label.case for label in labels}, set(trained["training_studies"])
            alike = [info.case for info in self.cases if info.case in cases and info.fingerprint in prints]
        if known:
            raise DatasetError(
                f"{len(known)} {self.split_by}(s) of the {split_name} split were trained on, the first is {known[0]}: "
                "the split has changed since training; score the data of the training, or recordings not in it"
            )
        if alike:
            raise DatasetError(
                f"the very frames of {len(alike)} recording(s) of the {split_name} split were trained on, the first is "
                f"{alike[0]}: a recording is there twice, or the data were imported again; score the data of the "
                "training, or recordings that were not in it"
            )

    network_input = staticmethod(unit_range)

    @staticmethod
    def grey_per_noise(config: Config) -> float:
        return 1.0
