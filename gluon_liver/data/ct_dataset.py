"""A prepared data folder, as `python -m gluon_liver import ct` writes it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

from gluon_liver.errors import AnnotationError, DatasetError, SplitError

from .ct_labels import Annotations, CTLabel, load_annotations
from .splits import Splits, load_splits
from .study import Study, StudyRecord

FORMAT = 1
KIND = "ct"


@dataclass(frozen=True)
class CaseInfo:
    """One study of the data set: its case id, its patient id, its number of slices on the reference grid.

    fingerprint: SHA-256 (hex) of the reference phase's HU, without salt: equal for one study in two imports.
    """

    case: str
    patient: str
    slices: int
    fingerprint: str


@dataclass(frozen=True)
class CTDataset:
    """A data folder, opened and checked; volumes are read study by study.

    phantom: a study of it or more shows a phantom, so results on it say nothing about patients.
    """

    folder: Path
    phases: Tuple[str, ...]
    reference_phase: str
    classes: Tuple[str, ...]
    cases: List[CaseInfo]
    annotations: Annotations
    splits: Splits
    phantom: bool = False
    _records: Dict[str, StudyRecord] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Union[str, Path]) -> CTDataset:
        """Open DATA. Raises DatasetError (AnnotationError, SplitError) that names the file and the key."""
        folder = Path(folder)
        record = _read_description(folder)
        phases, classes = tuple(record["phases"]), tuple(record["classes"])
        cases = [_case(entry, place) for place, entry in enumerate(record["studies"])]
        known = {case.case: case for case in cases}
        if len(known) != len(cases):
            raise DatasetError(f"{folder}/dataset.json lists a case twice")
        for case in cases:
            for name in ("volume.npy", "study.json"):
                if not os.path.isfile(os.path.join(folder, "studies", case.case, name)):
                    raise DatasetError(f"{folder}: studies/{case.case}/{name} is missing; import the data again")
        annotations = load_annotations(os.path.join(folder, "labels.json"), classes=classes)
        records: Dict[str, StudyRecord] = {}
        for image in annotations.images:
            _check_image(image, known, record["reference_phase"])
            if image.case not in records:
                records[image.case] = StudyRecord.load(folder / "studies" / image.case)
            _check_size(image, records[image.case].geometry.size)
        splits = load_splits(os.path.join(folder, "splits.json"))
        patients = {case.patient for case in cases}
        unknown = sorted(set(splits.train + splits.val + splits.test) - patients)
        if unknown:
            raise SplitError(f"{folder}/splits.json names patients that are not in the data: {', '.join(unknown[:5])}")
        phantom = record.get("phantom", False)
        return cls(folder, phases, record["reference_phase"], classes, cases, annotations, splits, phantom, records)

    def study(self, case: str) -> Study:
        """One study, its volume a memory map; study.json is read once. Raises DatasetError."""
        info = next((info for info in self.cases if info.case == case), None)
        if info is None:
            raise DatasetError(f"{self.folder} has no case {case!r}")
        folder = self.folder / "studies" / case
        if case not in self._records:
            self._records[case] = StudyRecord.load(folder)
        study = Study.load(folder, record=self._records[case])
        if (study.case, study.patient, len(study.hu[0])) != (info.case, info.patient, info.slices):
            raise DatasetError(f"studies/{case}/study.json and dataset.json disagree; import the data again")
        if study.phases != self.phases or study.reference_phase != self.reference_phase:
            raise DatasetError(f"studies/{case}/study.json has other phases than dataset.json; import the data again")
        return study

    @property
    def reference_index(self) -> int:
        """Where the reference phase stands among the phases."""
        return self.phases.index(self.reference_phase)

    def training_record(self) -> Dict[str, Any]:
        """What a run records of its training data, so that nothing of it is ever scored as held out."""
        cases = set(self.cases_of("train"))
        return {
            "phases": list(self.phases),
            "reference_phase": self.reference_phase,
            "training_patients": sorted({info.patient for info in self.cases if info.case in cases}),
            "training_studies": sorted(info.fingerprint for info in self.cases if info.case in cases),
        }

    def labels_of(self, split_name: str) -> List[CTLabel]:
        """Labelled slices of "train", "val" or "test": cases in the order of dataset.json, slices rising."""
        place = {case: number for number, case in enumerate(self.cases_of(split_name))}
        labels = [label for label in self.annotations.images if label.case in place]
        return sorted(labels, key=lambda label: (place[label.case], label.slice))

    def cases_of(self, split_name: str) -> List[str]:
        """Case ids of "train", "val" or "test", in the order of dataset.json."""
        patients = set(self.splits.of(split_name))
        return [case.case for case in self.cases if case.patient in patients]


def _read_description(folder: Path) -> Dict[str, Any]:
    path = os.path.join(folder, "dataset.json")
    if not os.path.isdir(folder):
        raise DatasetError(f"{folder}: there is no such data folder; make one with `python -m gluon_liver import ct`")
    if not os.path.isfile(path):
        raise DatasetError(f"{folder} has no dataset.json; make a data folder with `python -m gluon_liver import ct`")
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        kind = record.get("kind") if isinstance(record, dict) else None
        raise DatasetError(f"{path} describes data of kind {kind!r}; this needs {KIND!r}")
    if record.get("format") != FORMAT:
        raise DatasetError(f"{path} has format {record.get('format')!r}, this version reads {FORMAT}; import again")
    for key in ("phases", "classes"):
        value = record.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise DatasetError(f"{path}: key {key!r} must be a list of names")
    if record.get("reference_phase") not in record["phases"]:
        raise DatasetError(f"{path}: key 'reference_phase' must be one of {', '.join(record['phases'])}")
    if not isinstance(record.get("phantom", False), bool):
        raise DatasetError(f"{path}: key 'phantom' must be true or false")
    if not isinstance(record.get("studies"), list) or not record["studies"]:
        raise DatasetError(f"{path}: key 'studies' must be a list with one study or more")
    return record


def _case(entry: Any, place: int) -> CaseInfo:
    where = f"dataset.json: entry {place} of studies"
    if not isinstance(entry, dict):
        raise DatasetError(f"{where} must be an object with case, patient, slices and fingerprint")
    for key, kind in (("case", str), ("patient", str), ("slices", int), ("fingerprint", str)):
        if key not in entry:
            raise DatasetError(f"{where} has no key {key!r}; import the data again")
        if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
            raise DatasetError(f"{where}: key {key!r} must be {'a whole number' if kind is int else 'a text'}")
    case = CaseInfo(entry["case"], entry["patient"], entry["slices"], entry["fingerprint"])
    if case.case != os.path.basename(case.case) or case.case in ("", ".", ".."):
        raise DatasetError(f"{where}: key 'case' is no plain name")
    return case


def _check_image(image: Any, known: Dict[str, CaseInfo], reference: str) -> None:
    where = f"labels.json: image {image.image_id}"
    if image.case not in known:
        raise AnnotationError(f"{where}: key 'study' names no case of this data folder")
    if image.phase != reference:
        raise AnnotationError(
            f"{where}: key 'phase' is {image.phase!r}; boxes belong to the reference phase {reference!r}"
        )
    if image.slice >= known[image.case].slices:
        raise AnnotationError(
            f"{where}: key 'slice' is {image.slice}; the study has {known[image.case].slices} slices, counted from 0"
        )


def _check_size(image: Any, size: Tuple[int, ...]) -> None:
    """size: (slices, rows, columns) of the stored study."""
    if (image.height, image.width) != tuple(size[1:]):
        raise AnnotationError(
            f"labels.json: image {image.image_id}: 'width' and 'height' are {image.width} and {image.height}, "
            f"its study has {size[2]} columns and {size[1]} rows"
        )
