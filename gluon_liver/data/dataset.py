"""The contract of prepared data: what a dataset of any task is to training, detection and evaluation.

A third task adds a subclass of :class:`Dataset` and a loader of its labelled images, see :mod:`gluon_liver.data.open`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Dict, Generic, List, Mapping, Optional, Sequence, Set, Tuple, Type, TypeVar, Union

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.errors import AnnotationError, DatasetError, SplitError
from gluon_liver.files.json_records import read_record
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.image_result import ImageResult

from .coco import Label
from .description import REMEDY, CaseInfo, Description, read_description
from .digests import StoredFile, digest_files, digest_labels
from .splits import Splits, load_splits

L = TypeVar("L", bound=Label)
D = TypeVar("D", bound="Dataset")
C = TypeVar("C", bound=CaseInfo)


@dataclass(frozen=True)
class TrainedOn:
    """What :meth:`Dataset.refuse_trained` must know of what weights were trained on; a task adds fields."""

    training_patients: Tuple[str, ...]
    training_studies: Tuple[str, ...]


@dataclass(frozen=True)
class RunRecord(TrainedOn):
    """The part of :meth:`Dataset.training_record` that a run cannot be used without; a task adds fields."""

    classes: Tuple[str, ...]


@dataclass(frozen=True)
class Dataset(abc.ABC, Generic[L, C]):
    """A folder of prepared data, opened and checked; pixels are read case by case.

    Class attributes
    ----------------
    task: its name, the ``kind`` of dataset.json and what :attr:`gluon_liver.config.schema.Config.task` gives.
    title, image: the task and one of its images in messages.
    paper_classes: the class names of the paper.
    in_frames: whether its runs read frames, one after the other, or else volumes.
    in_hu: whether stored pixels are HU as a rule; :attr:`holds_hu` tells of one folder.
    files: what each folder studies/<case> must hold.
    description: what dataset.json says of data of the task alone: ``studies``, of :class:`CaseInfo`, ``split_by``, and
        the fields that the task adds here.
    trained_on, run_record: what is read of a run's record of its data, and must be in it.

    Attributes
    ----------
    labels: all labelled images, those of a case together with rising places.
    split_by: what no two splits share: "patient", or what a task has below it.
    phantom: a case of it or more shows a phantom, so results on it say nothing about patients.
    recorded_labels: digest of labels.json at the import, None where it is not known.
    pixels: size and SHA-256 of each case's file of pixels at the import, where they are known.
    """

    task: ClassVar[str]
    title: ClassVar[str]
    image: ClassVar[str]
    paper_classes: ClassVar[Tuple[str, ...]]
    in_frames: ClassVar[bool]
    in_hu: ClassVar[bool]
    files: ClassVar[Tuple[str, ...]]
    description: ClassVar[Type[Any]]
    trained_on: ClassVar[Type[TrainedOn]] = TrainedOn
    run_record: ClassVar[Type[RunRecord]] = RunRecord

    folder: Path
    classes: Tuple[str, ...]
    cases: Sequence[C]
    labels: Sequence[L]
    splits: Splits
    split_by: str
    phantom: bool
    recorded_labels: Optional[str]
    pixels: Mapping[str, StoredFile]

    @classmethod
    def open(cls: Type[D], folder: Union[str, Path], *, read: Optional[Tuple[Description, Any]] = None) -> D:
        """Open DATA. Raises DatasetError (AnnotationError, SplitError) that names the file and the key.

        ``read`` is what :func:`read_description` gave where it was asked already.
        """
        folder = Path(folder)
        shared, value = read or read_description(folder, kinds=(cls.task,))
        path = folder / "dataset.json"
        own = {**vars(read_record(cls.description, path, error=DatasetError, remedy=REMEDY, value=value))}
        cases = own.pop("studies")
        if len({info.case for info in cases}) != len(cases):
            raise DatasetError(f"{folder}/dataset.json lists a case twice")
        for info in cases:
            for name in cls.files:
                if not (folder / "studies" / info.case / name).is_file():
                    raise DatasetError(f"{folder}: studies/{info.case}/{name} is missing; {REMEDY}")
        splits = load_splits(str(folder / "splits.json"))
        for group in shared.same_examination:
            splits.check_together(group, folder)
        labels = cls._read_labels(folder / "labels.json", shared.classes, cases)
        own.update(phantom=shared.phantom, recorded_labels=shared.labels_sha256, pixels=shared.pixels)
        dataset = cls(folder, shared.classes, cases, labels, splits, **own)
        dataset._check_labels()
        known: Set[str] = set().union(*(dataset.units_of(info) for info in cases))
        unknown = sorted(set(splits.train + splits.val + splits.test) - known)
        if unknown:
            names = ", ".join(unknown[:5])
            raise SplitError(f"{folder}/splits.json names what is no {dataset.split_by} of the data: {names}")
        dataset._check_sizes()
        return dataset

    def _check_sizes(self) -> None:
        """Raise DatasetError where a file of pixels has not the size that the import wrote."""
        for case, stored in self.pixels.items():
            path = self.folder / "studies" / case / self.files[0]
            if case in self._info_of and path.stat().st_size != stored.bytes:
                written = f"{path.stat().st_size} bytes, dataset.json says {stored.bytes}: it was cut off or replaced"
                raise DatasetError(f"{path} has {written}; {REMEDY}")

    @classmethod
    @abc.abstractmethod
    def _read_labels(cls, path: Path, classes: Tuple[str, ...], cases: Sequence[C]) -> List[L]:
        """:attr:`labels` of labels.json; whether they fit their cases is checked afterwards."""

    def _check_labels(self) -> None:
        """Raise AnnotationError for a label that does not fit its case."""
        for label in self.labels:
            where = f"labels.json: image {label.image_id}"
            if label.case not in self._info_of:
                raise AnnotationError(f"{where}: key 'study' names no case of this data folder")
            height, width = self._image_size(self.info(label.case))
            if (label.height, label.width) != (height, width):
                given = f"'width' and 'height' are {label.width} and {label.height}"
                raise AnnotationError(f"{where}: {given}, its study has {width} columns and {height} rows")

    @abc.abstractmethod
    def _image_size(self, info: C) -> Tuple[int, int]:
        """(height, width) of the stored images of a case."""

    # what the splits part

    def unit_of(self, label: L) -> str:
        """The name in splits.json that ``label`` belongs to: its patient, where a task says nothing else."""
        return self.info(label.case).patient

    def units_of(self, info: C) -> Set[str]:
        """The names in splits.json that a case has a part in."""
        return {info.patient}

    def cases_of(self, split_name: str) -> List[str]:
        """Case ids with a part in "train", "val" or "test", in the order of dataset.json."""
        return [info.case for info in self._infos_of(split_name)]

    def _infos_of(self, split_name: str) -> List[C]:
        wanted = set(self.splits.of(split_name))
        return [info for info in self.cases if not wanted.isdisjoint(self.units_of(info))]

    def label_notes(self, labels: Sequence[L]) -> List[str]:
        """What a reader of results on some of the labels must know of their images, by what the import did."""
        return []

    def input_notes(self, labels: Sequence[L], config: Config, what: str) -> List[str]:
        """What networks of ``config`` cannot see of the images that they are meant to. what: which images they are."""
        return []

    def run_notes(self, labels: Sequence[L], config: Config, trained: Mapping[str, Any]) -> List[str]:
        """What a reader of results of a run on some of the labels must know of what its network sees of their images.

        trained: :meth:`training_record` of the run, which is of ``config``.
        """
        return self.input_notes(labels, config, "scored images")

    def labels_of(self, split_name: str) -> List[L]:
        """Labelled images of "train", "val" or "test", in their order."""
        wanted = set(self.splits.of(split_name))
        return [label for label in self.labels if self.unit_of(label) in wanted]

    @cached_property
    def _info_of(self) -> Dict[str, C]:
        return {info.case: info for info in self.cases}

    def info(self, case: str) -> C:
        """What dataset.json says of a case. Raises DatasetError for one that is not in the data."""
        if case not in self._info_of:
            raise DatasetError(f"{self.folder} has no case {case!r}")
        return self._info_of[case]

    # what the data are

    @property
    def holds_hu(self) -> bool:
        """Whether the stored pixels are HU."""
        return self.in_hu

    def digests(self, split_name: Optional[str] = None) -> Dict[str, Optional[str]]:
        """SHA-256 (hex) of ``labels`` and ``volumes``, of all or of a split; None for what is not known."""
        labels, infos = self.labels, self.cases
        if split_name is not None:
            labels, infos = self.labels_of(split_name), self._infos_of(split_name)
        fingerprints = {info.case: info.fingerprint for info in self.cases}
        return {
            "labels": digest_labels(labels, self.classes, fingerprints),
            "volumes": digest_files(self.pixels.get(info.case) for info in infos),
        }

    def changed_labels(self) -> str:
        """A sentence where labels.json says something else than at the import, "" where not or that is not known."""
        same = self.recorded_labels in (None, self.digests()["labels"])
        return "" if same else "labels.json was changed after the import"

    # what a run was trained on

    def training_record(self) -> Dict[str, Any]:
        """What a run records of its training data, so that nothing of it is ever scored as held out."""
        trained = self._infos_of("train")
        return {
            "classes": list(self.classes),
            "training_patients": sorted({info.patient for info in trained}),
            "training_studies": sorted(info.fingerprint for info in trained),
        }

    def must_match(self, config: Config) -> Dict[str, Any]:
        """The part of :meth:`training_record` that a network must have been trained with to be used on these data."""
        return {"classes": list(self.classes)}

    def refuse_trained(self, trained: Mapping[str, Any], split_name: str) -> None:
        """Raise DatasetError when something in a split was trained on.

        ``trained`` is :meth:`training_record` of the training data, which these may be another import of.
        """
        scored = self._infos_of(split_name)
        patients, prints = (set(trained[f"training_{name}"]) for name in ("patients", "studies"))
        known = [info.case for info in scored if info.patient in patients]
        alike = [info.case for info in scored if info.fingerprint in prints and info.patient not in patients]
        reasons = [f"{len(known)} belong to patients who were trained on, {known[0]} first"] if known else []
        if alike:
            reasons.append(
                f"{len(alike)} hold the very pixels of studies that were trained on, {alike[0]} first, under another "
                "patient id: the examination is there twice, or the data were imported again with another salt"
            )
        if reasons:
            changed = "; the split has changed since training" if known else ""
            raise DatasetError(f"of {len(scored)} studies of the {split_name} split {' and '.join(reasons)}{changed}")

    # what a network takes

    def input_phases(self, config: Config) -> int:
        """How many phases of an image a configuration's network takes."""
        return 1

    @staticmethod
    @abc.abstractmethod
    def network_input(images: np.ndarray, *, out: Optional[np.ndarray] = None) -> np.ndarray:
        """uint8 images of samples -> float32 as the task's networks take them, written to ``out`` where it is given."""

    @abc.abstractmethod
    def grey_per_noise(self, config: Config) -> float:
        """Grey values for one unit of ``data.augment.noise``."""

    def result(self, label: L, detections: Detections) -> ImageResult:
        """Detections beside the ground truth of an image, for the metrics."""
        patient = self.info(label.case).patient
        lesions = [label.lesion_of(row) for row in range(len(label.boxes))]
        return ImageResult(
            label.image_id, patient, label.boxes, label.labels, **vars(detections), gt_lesions=np.array(lesions)
        )
