"""A prepared data folder, as `python -m gluon_liver import ct` writes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, List, Mapping, Sequence, Tuple, Type

from gluon_liver.config.schema import Config
from gluon_liver.config.windows import check_window
from gluon_liver.errors import AnnotationError, ConfigError, DatasetError
from gluon_liver.files.typed import ONE_OR_MORE, Rules, limited, one_of, required
from gluon_liver.structures.modality import CT, MODALITIES

from .ct_labels import CLASSES, CTLabel, load_labels
from .dataset import Dataset, RunRecord
from .description import CaseInfo
from .images import grey_per_hu, normalise
from .study import Study, StudyRecord


@dataclass(frozen=True)
class StudyInfo(CaseInfo):
    """One study: its number of slices on the reference grid; ``fingerprint`` is of the reference phase's HU."""

    slices: int


@dataclass(frozen=True)
class CTDescription:
    """What dataset.json says of CT data alone. layout: of the public set that it was imported from, "" where none."""

    phases: Tuple[str, ...]
    reference_phase: str
    studies: Tuple[StudyInfo, ...] = required(ONE_OR_MORE)
    split_by: str = limited("patient", one_of("patient"))
    modality: str = limited(CT, one_of(*MODALITIES))  # CT, whose pixels are HU, or MRI, whose pixels are not
    labels_on: str = ""
    layout: str = ""

    def rules(self) -> Rules:
        """That the reference phase is one of the phases."""
        yield "reference_phase", self.reference_phase in self.phases, f"one of {', '.join(self.phases)}"


@dataclass(frozen=True)
class CTRunRecord(RunRecord):
    """What a run on CT says of its data."""

    phases: Tuple[str, ...]
    reference_phase: str
    modality: str = CT


@dataclass(frozen=True)
class CTDataset(Dataset[CTLabel, StudyInfo]):
    """CT or MRI studies in one or several phases, ``reference_phase`` among them, on whose slices the boxes are."""

    task: ClassVar[str] = "ct"
    title: ClassVar[str] = "CT"
    image: ClassVar[str] = "slice"
    paper_classes: ClassVar[Tuple[str, ...]] = CLASSES
    in_frames: ClassVar[bool] = False
    in_hu: ClassVar[bool] = True
    files: ClassVar[Tuple[str, ...]] = ("volume.npy", "study.json")
    description: ClassVar[Type[CTDescription]] = CTDescription
    run_record: ClassVar[Type[CTRunRecord]] = CTRunRecord

    phases: Tuple[str, ...]
    reference_phase: str
    labels_on: str = ""  # a phase from which boxes were carried over to the reference phase
    modality: str = CT
    layout: str = ""  # of the public set that the data were imported from

    @classmethod
    def _read_labels(cls, path: Path, classes: Tuple[str, ...], cases: Sequence[StudyInfo]) -> List[CTLabel]:
        order = {info.case: number for number, info in enumerate(cases)}
        return sorted(load_labels(str(path), classes), key=lambda label: (order.get(label.case, 0), label.slice))

    @property
    def holds_hu(self) -> bool:
        return self.modality == CT

    def _check_labels(self) -> None:
        super()._check_labels()
        for label in self.labels:
            where, slices = f"labels.json: image {label.image_id}", self.info(label.case).slices
            if label.phase != self.reference_phase:
                wanted = f"boxes belong to the reference phase {self.reference_phase!r}"
                raise AnnotationError(f"{where}: key 'phase' is {label.phase!r}; {wanted}")
            if label.slice >= slices:
                there = f"the study has {slices} slices, counted from 0"
                raise AnnotationError(f"{where}: key 'slice' is {label.slice}; {there}")

    def _image_size(self, info: StudyInfo) -> Tuple[int, int]:
        _, height, width = self._record_of(info.case).geometry.size
        return height, width

    @cached_property
    def _record_of(self) -> Callable[[str], StudyRecord]:
        return lru_cache(None)(lambda case: StudyRecord.load(self.folder / "studies" / case))

    def record(self, case: str) -> StudyRecord:
        """What study.json says of a case, read once. Raises DatasetError."""
        return self._record_of(self.info(case).case)

    def label_notes(self, labels: Sequence[CTLabel]) -> List[str]:
        changed: Counter[str] = Counter()
        for label in labels:
            record = self._record_of(label.case)
            own = record.source.history_of(self.reference_phase)
            for slices, what in (
                (own.interpolated, "were interpolated: no scanner saw them"),
                (own.blended, "were blended with a neighbour"),
                (own.shifted, "were shifted to undo a gantry tilt"),
            ):
                changed[what] += label.slice in slices
            others = [history for phase, history in record.source.history.items() if phase != self.reference_phase]
            changed["have another phase interpolated there"] += any(label.slice in one.interpolated for one in others)
        notes = [f"{count} of {len(labels)} labelled slices {what}" for what, count in changed.items() if count]
        if self.modality != CT:
            notes.append(f"the images are {self.modality}, the paper's are CT: its printed numbers are of other images")
        if self.labels_on:
            carried = f"boxes drawn on {self.labels_on} were carried over by world coordinates"
            notes.append(f"{carried}: breathing may have moved them off their lesions")
        return notes

    def labels_by_slice(self, case: str) -> Dict[int, CTLabel]:
        """slice -> its labels, of one case. A slice that is not in it is unlabelled."""
        return dict(self._labels_of_case.get(case, {}))

    @cached_property
    def _labels_of_case(self) -> Dict[str, Dict[int, CTLabel]]:
        found: Dict[str, Dict[int, CTLabel]] = {}
        for label in self.labels:
            found.setdefault(label.case, {})[label.slice] = label
        return found

    def study(self, case: str) -> Study:
        """One study, its volume a memory map; study.json is read once. Raises DatasetError."""
        info = self.info(case)
        study = Study.load(self.folder / "studies" / case, record=self._record_of(case))
        if (study.case, study.patient, len(study.hu[0])) != (info.case, info.patient, info.slices):
            raise DatasetError(f"studies/{case}/study.json and dataset.json disagree; import the data again")
        if study.phases != self.phases or study.reference_phase != self.reference_phase:
            raise DatasetError(f"studies/{case}/study.json has other phases than dataset.json; import the data again")
        if study.modality != self.modality:
            both = f"studies/{case}/study.json says {study.modality} and dataset.json {self.modality}"
            raise DatasetError(f"{both}; import the data again")
        return study

    @property
    def reference_index(self) -> int:
        """Where the reference phase stands among the phases."""
        return self.phases.index(self.reference_phase)

    def training_record(self) -> Dict[str, Any]:
        shared = super().training_record()
        own = {"phases": list(self.phases), "reference_phase": self.reference_phase}
        # runs of before MRI do not say it, and are gone on with
        return {**shared, **own, **({} if self.holds_hu else {"modality": self.modality})}

    def must_match(self, config: Config) -> Dict[str, Any]:
        own = phases_to_match(config, self.phases, self.reference_phase, self.modality)
        return {**super().must_match(config), **own}

    def input_phases(self, config: Config) -> int:
        check_window(config.data.window, self.modality)
        return input_phases(config, self.phases)

    network_input = staticmethod(normalise)

    def grey_per_noise(self, config: Config) -> float:
        return grey_per_hu(config.data.window) if self.holds_hu else 1.0


def input_phases(config: Config, phases: Sequence[str]) -> int:
    """How many phases a configuration's network takes of data that have ``phases``.

    Raises :class:`ConfigError` when there is nothing to relate, or more than the network was made for.
    """
    if not config.network.multi_modal:
        return 1
    if not 2 <= len(phases) <= 4:
        there = f"the data have {len(phases)}: {', '.join(phases)}"
        raise ConfigError(f"network.relation is {config.network.relation!r}: it relates 2 to 4 phases, {there}")
    return len(phases)


def network_phases(config: Config, record: Mapping[str, Any]) -> List[str]:
    """The phases that a configuration's network takes, in the order of its input: the reference phase first.

    record: ``phases`` and ``reference_phase`` of data or of a run.
    """
    reference = record["reference_phase"]
    others = [name for name in record["phases"] if name != reference] if config.network.multi_modal else []
    return [reference, *others]


def phases_to_match(config: Config, phases: Sequence[str], reference_phase: str, modality: str) -> Dict[str, Any]:
    """What :meth:`CTDataset.must_match` says of phases and their pixels, of one study too."""
    related = {"phases": list(phases)} if config.network.multi_modal else {}
    return {"modality": modality, "reference_phase": reference_phase, **related}
