"""One case of a public set -> a stored study with its labels, and a record of it that says it is done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.data.coco import NO_LESIONS, CocoImage
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.errors import InputError, VolumeError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.json_records import read_json
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.prepare.ct_label_places import place_labels, place_mask_boxes
from gluon_liver.prepare.study_log import StudyLog, StudyResult
from gluon_liver.prepare.study_result import note_stored
from gluon_liver.prepare.study_volume import LoadedStudy, put_together
from gluon_liver.readers.dicom.series import Rejection
from gluon_liver.readers.volumes.hu_check import checked
from gluon_liver.readers.volumes.reading import VolumeReading, volumes_read
from gluon_liver.structures.modality import CT, MRI
from gluon_liver.structures.volume_stack import VolumeStack

from .layout import BoxLabels, MaskLabels, PhaseVolume, SetCase

RECORD_FORMAT = 1
# the readers of DICOM advise options that an import by layout does not have
ADVISED = ("import with --", "--exclude", "--skip-damaged")
NO_OPTIONS = " (with --layout there is none of them: get the files of the case again, or import it without --layout)"


@dataclass(frozen=True)
class CaseRules:
    """What holds for every case of an import, and decides with its files what comes out.

    min_mm: lesions of masks that are smaller are dropped. accepts: see :class:`Layout`. reading: how volume files are
    read.
    """

    layout: str
    classes: Tuple[str, ...]
    phases: Tuple[str, ...]
    reference: str
    min_mm: float = 0.0
    accepts: Tuple[str, ...] = ()
    reading: VolumeReading = VolumeReading()


@dataclass
class CaseRecord:
    """What became of a case, as its record has it.

    key: of its files and the rules, see :func:`case_key`. name: as the set calls the case.
    result: fields of :class:`StudyResult`; digests as hex. labels: fields of :class:`CTLabel`, arrays as lists.
    lesions: 3D ones of its masks; too_small: how many of them were dropped.
    """

    key: str
    name: str
    result: Dict[str, Any]
    labels: List[Dict[str, Any]] = field(default_factory=list)
    quarantined: List[Dict[str, Any]] = field(default_factory=list)
    not_taken: List[Dict[str, Any]] = field(default_factory=list)
    not_carried: Dict[str, List[Any]] = field(default_factory=dict)
    label_slices: List[Tuple[str, str, int]] = field(default_factory=list)
    lesions: int = 0
    too_small: int = 0
    format: int = RECORD_FORMAT

    def add_to(self, log: StudyLog) -> None:
        """Add it to the log of the whole import, whose images it continues to number."""
        digests = {phase: {bytes.fromhex(one) for one in many} for phase, many in self.result["digests"].items()}
        log.studies.append(StudyResult(**{**self.result, "digests": digests}))
        for label in self.labels:
            arrays = {
                "boxes": np.array(label["boxes"], np.float32).reshape(-1, 4),
                "labels": np.array(label["labels"], np.int32),
                "lesions": np.array(label["lesions"], np.int32),
            }
            log.images.append(CTLabel(**{**label, **arrays, "image_id": len(log.images) + 1}))
        log.quarantined += [Rejection(**one) for one in self.quarantined]
        for one in self.not_taken:
            log.labels_not_taken.add(one["reason"], images=one["images"], boxes=one["boxes"])
        for reason, ids in self.not_carried.items():
            log.not_carried.setdefault(reason, []).extend(ids)
        for kind, what, count in self.label_slices:
            log.label_slices[kind, what] += count


def case_key(case: SetCase, rules: CaseRules, whose: Tuple[str, str], source: Path) -> str:
    """A digest of what a case is made from: rules, ids, what the layout says, sizes and times of its files."""
    names = {phase: volume.name for phase, volume in case.phases.items()}
    labels: Any = case.labels
    if isinstance(labels, MaskLabels):
        names["labels"] = labels.name
        labels = [labels.phase, sorted(labels.classes.items()), labels.ignored]
    elif isinstance(labels, BoxLabels):
        slices = sorted(
            (z, [(*one.box, one.class_name, one.lesion) for one in many]) for z, many in labels.slices.items()
        )
        labels = [labels.phase, labels.exhaustive, slices]
    files = {what: list(_status(source / name)) for what, name in names.items()}
    value = [RECORD_FORMAT, repr(rules), whose, case.patient, case.name, names, files, repr(labels)]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def read_case(path: Path, key: str, studies: Path) -> Optional[CaseRecord]:
    """The record of a case that is done, None where it is not, or was made from something else."""
    try:
        record = CaseRecord(**read_json(path))
        whole = not record.result["taken"] or (studies / record.result["case"] / "study.json").is_file()
    except (InputError, TypeError, KeyError):
        return None
    return record if whole and record.key == key and record.format == RECORD_FORMAT else None


def import_case(
    case: SetCase, rules: CaseRules, whose: Tuple[str, str], source: Path, studies: Path, record: Path
) -> None:
    """Store a case below ``studies`` and write ``record``, last and whole.

    whose: the ids of case and patient. Raises nothing for a case that cannot be used: its record says why.
    """
    key = case_key(case, rules, whose, source)
    result, log = StudyResult(*whose), StudyLog(reference=rules.reference)
    folder = studies / result.case
    shutil.rmtree(folder, ignore_errors=True)
    done = CaseRecord(key, case.name, {})
    with volumes_read(rules.reading):
        try:
            loaded = _load(case, rules, result, log, folder, source)
            if loaded is not None:
                images = {phase: len(stack.mapping.slices) for phase, stack in loaded.stacks.items()}
                rule = f"by layout {rules.layout}"
                said = {phase: {"rule": rule, "images": count} for phase, count in images.items()}
                note_stored(result, loaded, folder, said)
                _label(case, rules, result, loaded, log, done)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            result = StudyResult(*whose)
            log = StudyLog(reference=rules.reference, quarantined=log.quarantined)
            log.quarantined.append(_rejection(error, result.case, case, source))
    digests = {phase: sorted(one.hex() for one in many) for phase, many in result.digests.items()}
    done.result = {**vars(result), "digests": digests}
    done.labels = [_plain(label) for label in log.images]
    done.quarantined, done.not_taken = [vars(one) for one in log.quarantined], log.labels_not_taken.to_json()
    done.not_carried = log.not_carried
    done.label_slices = [(*what, count) for what, count in sorted(log.label_slices.items())]
    write_json(record, vars(done), indent=None)


def open_phases(case: SetCase, rules: CaseRules, name: str, log: StudyLog, source: Path) -> Dict[str, VolumeStack]:
    """The stacks of a case by their headers. A phase that fails is left out, with the reason in the log.

    name: of the case in the reasons. Raises the :class:`InputError` of the reference phase.
    """
    stacks: Dict[str, VolumeStack] = {}
    if rules.reference not in case.phases:
        raise InputError(f"it has no {rules.reference} phase, on whose grid the others are put")
    for phase in sorted(case.phases, key=lambda phase: phase != rules.reference):
        volume = case.phases[phase]
        try:
            stack = volume.open()
            stacks[phase] = stack if volume.value == "mri" else checked(stack, rules.accepts)
        except InputError as error:
            if phase == rules.reference:
                raise
            log.quarantined.append(_rejection(error, f"{name} {phase}", case, source))
    return stacks


def reason_of(error: InputError, case: SetCase, source: Path) -> str:
    """The message of an error without the names of files and folders."""
    text = error.reason if isinstance(error, VolumeError) else str(error)
    names = [volume.name for volume in case.phases.values()]
    names += [case.labels.name] if isinstance(case.labels, MaskLabels) else []
    for name in sorted({*names, *(Path(name).name for name in names)} - {""}, key=len, reverse=True):
        text = text.replace(str(source / name), "the file").replace(name, "the file")
    text = text.replace(str(source), "the folder")
    return text + NO_OPTIONS if any(one in text for one in ADVISED) else text


def _load(
    case: SetCase, rules: CaseRules, result: StudyResult, log: StudyLog, folder: Path, source: Path
) -> LoadedStudy[VolumeStack]:
    """The case, stored in ``folder``. Raises the :class:`InputError` of the reference phase."""
    stacks = open_phases(case, rules, result.case, log, source)

    def refuse(phase: str, error: InputError) -> None:
        log.quarantined.append(_rejection(error, f"{result.case} {phase}", case, source))

    return put_together(
        stacks,
        rules.phases,
        rules.reference,
        refuse,
        case=result.case,
        patient=result.patient,
        images={phase: len(stack.mapping.slices) for phase, stack in stacks.items()},
        folder=folder,
        modality=modality_of(case.phases),
    )


def modality_of(phases: Mapping[str, PhaseVolume]) -> str:
    """Whether the phases of a case are CT or MRI."""
    return MRI if any(volume.value == "mri" for volume in phases.values()) else CT


def _label(
    case: SetCase,
    rules: CaseRules,
    result: StudyResult,
    loaded: LoadedStudy[VolumeStack],
    log: StudyLog,
    done: CaseRecord,
) -> None:
    """Add the labels of a stored case to the log."""
    if isinstance(case.labels, BoxLabels):
        by_phase = {case.labels.phase: _entries(case.labels, rules.classes, loaded.stacks)}
        place_labels(by_phase, loaded.stacks, result.case, log, exhaustive=case.labels.exhaustive)
    elif case.labels is not None:
        _mask_labels(case.labels, rules, result, loaded, log, done)


def _mask_labels(
    labels: MaskLabels,
    rules: CaseRules,
    result: StudyResult,
    loaded: LoadedStudy[VolumeStack],
    log: StudyLog,
    done: CaseRecord,
) -> None:
    classes = {value: rules.classes.index(name) for value, name in labels.classes.items()}
    stack = loaded.stacks[rules.reference]
    found = mask_boxes(labels.open(), classes, stack.geometry, ignored=labels.ignored, min_mm=rules.min_mm)
    done.lesions, done.too_small = len(found.lesions), len(found.too_small)
    place_mask_boxes(found, stack, result.case, log, carried=labels.phase != rules.reference)


def _entries(labels: BoxLabels, classes: Sequence[str], stacks: Mapping[str, VolumeStack]) -> Dict[int, CocoImage]:
    """Boxes as label files have them. Raises :class:`InputError` for a slice that is not there."""
    stack = stacks.get(labels.phase)
    entries: Dict[int, CocoImage] = {}
    for z, boxes in labels.slices.items():
        if stack is not None and not 0 <= z < len(stack.mapping.slices):
            raise InputError(f"boxes are given for slice {z} of {labels.phase}, which has {len(stack.mapping.slices)}")
        where = f"slice {z}"
        corners = np.array([one.box for one in boxes], np.float32).reshape(-1, 4)
        if stack is not None:
            height, width = stack.mapping.source_size
            inside = np.clip(corners, 0, [width, height, width, height])
            if ((inside[:, 2:] <= inside[:, :2]).any()) or not np.isfinite(corners).all():
                raise InputError(f"{where} of {labels.phase}: a box has no area inside the {width}x{height} pixels")
            corners = inside
        kinds = np.array([classes.index(one.class_name) for one in boxes], np.int32)
        lesions = (
            np.array([one.lesion or 0 for one in boxes], np.int32) if any(one.lesion for one in boxes) else NO_LESIONS
        )
        entries[z] = CocoImage({"id": z}, corners, kinds, where, lesions=lesions)
    return entries


def _rejection(error: InputError, where: str, case: SetCase, source: Path) -> Rejection:
    return Rejection(where, reason_of(error, case, source), type(error).__name__)


def _plain(label: CTLabel) -> Dict[str, Any]:
    """The fields of a label as JSON has them."""
    arrays = {name: getattr(label, name).tolist() for name in ("boxes", "labels", "lesions")}
    return {**vars(label), **arrays}


def _status(path: Path) -> Iterator[Tuple[str, int, int]]:
    """Names, sizes and times of the file, or of all files of the folder."""
    try:
        if path.is_dir():
            for folder, folders, files in os.walk(path):
                folders.sort()
                for name in sorted(files):
                    status = Path(folder, name).stat()
                    yield os.path.relpath(Path(folder, name), path), status.st_size, status.st_mtime_ns
        else:
            status = path.stat()
            yield "", status.st_size, status.st_mtime_ns
    except OSError:
        yield "not there", 0, 0
