"""A prepared ultrasound data folder, as `python -m gluon_liver import us` writes it.

DATA/studies/<case>/frames.npy: uint8 (n, H, W, 3) RGB, cropped to the picture: the labelled frames of one recording
and, without labels, those ``step`` before them in their scenes, all in the order of the recording. DATA/labels.json:
COCO with study, scene and frame. DATA/dataset.json: ``step``, and of each case the ``unlabelled`` frames; data of an
older version have neither: the step is 1 and labelled frames alone are stored. DATA/splits.json: patients, scenes or
images, as dataset.json's split_by says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Type

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.errors import AnnotationError, DatasetError
from gluon_liver.files.typed import ONE_OR_MORE, at_least, limited, one_of, required

from .dataset import Dataset, RunRecord, TrainedOn
from .description import REMEDY, CaseInfo
from .images import unit_range
from .study import open_array
from .us_labels import CLASSES, Scene, USLabel, frame_name, load_labels, scenes_of, stored_rows
from .us_pairs import STEP, Pairs, digest_pairs, frames_before, seconds

SPLIT_BY = ("patient", "scene", "image")


@dataclass(frozen=True)
class RecordingInfo(CaseInfo):
    """One recording.

    frames: how many are stored. height, width: of the stored frames. fingerprint: of the labelled ones, whatever the
    step, so equal for one recording with the same labelled frames and region in two imports. unlabelled: rising numbers
    of the frames that are stored without labels, as previous frames of labelled ones. frames_per_second: None where the
    recording does not tell.
    """

    frames: int
    height: int
    width: int
    unlabelled: Tuple[int, ...] = ()
    frames_per_second: Optional[float] = None


@dataclass(frozen=True)
class USDescription:
    """What dataset.json says of ultrasound data alone."""

    studies: Tuple[RecordingInfo, ...] = required(ONE_OR_MORE)
    split_by: str = required(one_of(*SPLIT_BY))
    step: int = limited(STEP, at_least(1))


@dataclass(frozen=True)
class USTrainedOn(TrainedOn):
    """With the names in splits.json that were trained on."""

    training_units: Tuple[str, ...]


@dataclass(frozen=True)
class USRunRecord(RunRecord, USTrainedOn):
    """What a run on recordings says of its data; step: as of :class:`USDataset`; frames_per_second: the rates of the
    training recordings that tell theirs.
    """

    step: int = limited(STEP, at_least(1))
    frames_per_second: Tuple[float, ...] = ()


@dataclass(frozen=True)
class USDataset(Dataset[USLabel, RecordingInfo]):
    """Labelled frames of ultrasound recordings, read by memory map.

    split_by: "patient", "scene" or "image". step: the previous frame of a labelled frame is so many frames before it.
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

    step: int

    @classmethod
    def _read_labels(cls, path: Path, classes: Tuple[str, ...], cases: Sequence[RecordingInfo]) -> List[USLabel]:
        return load_labels(str(path), classes, unlabelled={info.case: info.unlabelled for info in cases})

    def _check_labels(self) -> None:
        super()._check_labels()
        for info in self.cases:
            there, unlabelled = len(self._stored[info.case]), len(info.unlabelled)
            if there != info.frames:
                listed, more = there - unlabelled, f", {unlabelled} of them without labels" if unlabelled else ""
                raise AnnotationError(
                    f"labels.json lists {listed} images of {info.case}, {info.frames} are stored{more}"
                )

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

    @cached_property
    def _stored(self) -> Dict[str, Dict[int, int]]:
        """Case -> row of each of its frames that are stored."""
        return stored_rows(
            ((label.case, label.frame) for label in self.labels), {info.case: info.unlabelled for info in self.cases}
        )

    @cached_property
    def _before(self) -> Dict[str, Dict[int, int]]:
        """Case -> :func:`frames_before` of its labelled frames, stored or not."""
        scenes: Dict[str, Dict[int, int]] = {info.case: {} for info in self.cases}
        for label in self.labels:
            scenes[label.case][label.frame] = label.scene
        return {case: frames_before(some, self.step) for case, some in scenes.items()}

    def previous_frame(self, label: USLabel) -> int:
        """The frame ``step`` before ``label``'s in its scene; its own where there is none or that is not stored."""
        wanted = self._before[label.case].get(label.frame, label.frame)
        return wanted if wanted in self._stored[label.case] else label.frame

    def previous_row(self, label: USLabel) -> int:
        """Row of :meth:`previous_frame` among the stored frames."""
        return self._stored[label.case][self.previous_frame(label)]

    def frames_around(self, label: USLabel, count: int) -> Dict[int, int]:
        """Frame -> its row among the stored frames, rising: ``label``'s own and ``count`` of its scene to either side.

        Frames without labels are of the scene that they lie in; those that are not stored are passed over.
        """
        scene, rows = self.scene_of(label), self._stored[label.case]
        unlabelled, ends = set(self.info(label.case).unlabelled), (scene.frames[0], scene.frames[-1])
        there = sorted(
            frame for frame in rows if frame in scene.frames or frame in unlabelled and ends[0] < frame < ends[1]
        )
        middle = there.index(label.frame)
        return {frame: rows[frame] for frame in there[max(0, middle - count) : middle + count + 1]}

    def pairs(self, labels: Sequence[USLabel]) -> Pairs:
        """How many of some labels have a previous frame."""
        frames: Dict[str, List[int]] = {}
        for label in labels:
            frames.setdefault(label.case, []).append(label.frame)
        return Pairs.of_all(Pairs.of(some, self._before[case], self._stored[case]) for case, some in frames.items())

    def input_notes(self, labels: Sequence[USLabel], config: Config, what: str) -> List[str]:
        return self.pairs(labels).faults(self.step, what) if reads_pairs(config) else []

    def run_notes(self, labels: Sequence[USLabel], config: Config, trained: Mapping[str, Any]) -> List[str]:
        notes = super().run_notes(labels, config, trained)
        if not reads_pairs(config):
            return notes
        step, before = trained.get("step", STEP), trained.get("frames_per_second", [])
        if step != self.step:
            rates = [info.frames_per_second for info in self.cases]
            here, there = (f"{one}{seconds(one, some)}" for one, some in ((self.step, rates), (step, before)))
            notes.append(f"the previous frame is {here} before the scored one, in training it was {there} before")
        training = self.labels_of("train")
        shown = {frame_name(label.case, self.previous_frame(label)) for label in training}
        seen = len({label.name for label in labels} & shown - {label.name for label in training})
        if seen:
            notes.append(
                f"{seen} of {len(labels)} scored images are the previous frame of a training image: the network was "
                "trained with these pictures, without their boxes"
            )
        return notes

    def digests(self, split_name: Optional[str] = None) -> Dict[str, Optional[str]]:
        """And ``pairs``: which frame is the previous one of which."""
        labels = self.labels if split_name is None else self.labels_of(split_name)
        fingerprints = {info.case: info.fingerprint for info in self.cases}
        before = ((label, self.previous_frame(label)) for label in labels)
        pairs = digest_pairs(
            (fingerprints[label.case], label.frame, None if frame == label.frame else frame) for label, frame in before
        )
        return {**super().digests(split_name), "pairs": pairs}

    def unit_of(self, label: USLabel) -> str:
        if self.split_by == "image":
            return label.name
        return self.scene_of(label).name if self.split_by == "scene" else super().unit_of(label)

    def units_of(self, info: RecordingInfo) -> Set[str]:
        return self._units_of[info.case]

    def training_record(self) -> Dict[str, Any]:
        units = {self.unit_of(label) for label in self.labels_of("train")}
        rates = sorted({info.frames_per_second for info in self._infos_of("train") if info.frames_per_second})
        own = {"split_by": self.split_by, "training_units": sorted(units), "step": self.step}
        return {**super().training_record(), **own, "frames_per_second": rates}

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

    def grey_per_noise(self, config: Config) -> float:
        return 1.0


def reads_pairs(config: Config) -> bool:
    """Whether a network sees the frames before."""
    return config.model == "us-flow" and config.data.previous_frame == "before"
