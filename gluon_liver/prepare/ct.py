"""A folder of DICOM -> a prepared data folder: every step of `python -m gluon_liver import ct`."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from tqdm import tqdm

from gluon_liver.data.ct_dataset import FORMAT, KIND
from gluon_liver.data.ct_labels import CLASSES, Annotations, save_annotations
from gluon_liver.data.splits import make_splits
from gluon_liver.data.study import Study, fingerprint
from gluon_liver.errors import DicomError, InputError, PhaseError
from gluon_liver.files.output_folder import check_output, why_not_written
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles
from gluon_liver.readers.dicom.volume import Volume, load_series, scan_folder

from .align import assemble, check_frame_of_reference
from .ct_labels import LabelEntry, LabelFile, load_label_file, match_labels, place_labels
from .ct_report import CTImportLog, StudyResult, build_report, explain_nothing, note_oddities, write_private
from .folder import prepared_folder, write_records
from .phases import PhaseChoice, PhaseRules, choose_phases, load_phase_rules, phase_template
from .pseudonyms import salt_notes, salt_or_random, salted_hash

PathLike = Union[str, Path]


def import_ct(
    folder: PathLike,
    out: PathLike,
    *,
    phases: Optional[PathLike] = None,
    labels: Optional[PathLike] = None,
    reference: Optional[str] = None,
    salt: Optional[str] = None,
    regrid: bool = False,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    overwrite: bool = False,
    private: bool = True,
    progress: bool = False,
) -> Dict[str, Any]:
    """Import every study below `folder` that can be used into the new data folder `out`; returns the report.

    phases, labels: phase file and label file (see docs/data.md); reference: overrides the phase file's
    reference; salt: text for reproducible case ids, random by default; regrid: interpolate uneven slices and
    undo gantry tilt; fractions: train, val, test; private: write `out`/private, which leads back to patients. A
    study or series that cannot be used is left out with its reason. Nothing but file numbers depends on the names
    of files. Raises InputError, and writes nothing, where no study is taken and where a given file or option is
    wrong.
    """
    folder, out = Path(folder), Path(out)
    make_splits(["any"], fractions=fractions, seed=seed)
    salt = salt_or_random(salt)
    if phases:
        rules = load_phase_rules(str(phases), reference=reference)
    else:
        rules = PhaseRules().with_reference(reference)
    label_file = load_label_file(str(labels)) if labels else LabelFile("", (), False)
    if folder.is_dir():
        check_output(out, folder, overwrite=overwrite)
    log = CTImportLog(scan_folder(str(folder), progress=progress), rules)
    studies = _group_studies(log)
    for uid, series in studies.items():
        log.choices[uid] = _choose(uid, series, log)
    matched = match_labels(label_file, log.scan, log.choices, rules, log.labels_not_taken)
    note_oddities(log)
    log.notes += salt_notes(salt)
    log.studies = [
        StudyResult(salted_hash("case", salt, uid), _patient(series, uid, salt), uid) for uid, series in studies.items()
    ]
    log.studies.sort(key=lambda result: (result.case, result.study_uid))
    with prepared_folder(out, folder, overwrite=overwrite) as temporary:
        for result in tqdm(log.studies, desc="studies", unit="study", disable=None if progress else True):
            labels_of = matched.get(result.study_uid, {})
            _import_study(result, labels_of, label_file.exhaustive, log, temporary, regrid)
        if not log.taken:
            raise InputError(explain_nothing(log))
        report = _write_data(log, temporary, fractions, seed)
        if private:
            write_private(log, temporary / "private", salt, folder)
    return report


def write_phase_template(
    folder: PathLike, path: PathLike, *, phases: Optional[PathLike] = None, progress: bool = False
) -> int:
    """Scan `folder` and write a phase file to fill in to `path`; returns the number of series in it.

    The file holds identifiers and descriptions of the studies. Raises InputError where `path` exists or no CT
    is found.
    """
    if os.path.lexists(path):
        raise InputError(f"--list-series {path} exists; choose another name")
    rules = load_phase_rules(str(phases)) if phases else PhaseRules()
    log = CTImportLog(scan_folder(str(folder), progress=progress), rules)
    if not log.scan.series:
        raise InputError(explain_nothing(log))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(phase_template(log.scan.series, rules))
    except OSError as error:
        raise InputError(f"--list-series {path} cannot be written: {why_not_written(error)}") from error
    return len(log.scan.series)


def _group_studies(log: CTImportLog) -> Dict[str, List[SeriesFiles]]:
    studies: Dict[str, List[SeriesFiles]] = defaultdict(list)
    for series in log.scan.series:
        studies[series.study_uid].append(series)
    return studies


def _choose(uid: str, series: Sequence[SeriesFiles], log: CTImportLog) -> PhaseChoice:
    """Series of the phases of one study that share the reference's frame of reference."""
    if len({one.patient_id for one in series}) > 1:
        log.quarantined.extend(
            Rejection(one.name, "its study carries several PatientIDs", "patient-conflict", len(one.slices))
            for one in series
        )
        return PhaseChoice({}, {}, [])
    choice = choose_phases(series, log.rules)
    log.quarantined.extend(choice.left_out)
    fixed = choice.taken.get(log.rules.reference)
    if fixed is None:
        for phase, one in choice.taken.items():
            reason = f"its study has no series for the reference phase {log.rules.reference}"
            log.quarantined.append(
                Rejection(one.name, f"{reason} (this one is {phase})", "no-reference", len(one.slices))
            )
        choice.taken.clear()
        return choice
    for phase, one in list(choice.taken.items()):
        # A defective series fails with its own reason when it is loaded.
        if one is not fixed and one.slices and fixed.slices:
            try:
                check_frame_of_reference(fixed.frame_of_reference, one.frame_of_reference, phase, log.rules.reference)
            except PhaseError as error:
                log.quarantined.append(Rejection(one.name, str(error), "frame-of-reference", len(one.slices)))
                del choice.taken[phase]
    return choice


def _import_study(
    result: StudyResult,
    by_slice: Dict[int, LabelEntry],
    exhaustive: bool,
    log: CTImportLog,
    temporary: Path,
    regrid: bool,
) -> None:
    """Load, align and save one study. What fails is quarantined; the study lives as long as its reference
    phase does.
    """
    choice, reference = log.choices[result.study_uid], log.rules.reference
    volumes: Dict[str, Volume] = {}
    if reference in choice.taken:
        for phase in sorted(choice.taken, key=lambda phase: phase != reference):
            series = choice.taken[phase]
            try:
                volumes[phase] = load_series(series, regrid=regrid)
            except DicomError as error:
                log.quarantined.append(Rejection(series.name, str(error), type(error).__name__, len(series.slices)))
                if phase == reference:
                    _quarantine_rest(choice, reference, log)
                    break
    if reference not in volumes:
        if by_slice:
            boxes = sum(len(item.boxes) for item in by_slice.values())
            log.labels_not_taken.add("its study was not taken", images=len(by_slice), boxes=boxes)
        return
    hu, present, geometry = assemble(volumes, log.rules.order, reference)
    for index, phase in enumerate(log.rules.order):
        if phase in volumes and not present[index].any():
            series = choice.taken[phase]
            reason = f"no slice of {phase} overlaps the reference phase {reference}"
            log.quarantined.append(Rejection(series.name, reason, "no-overlap", len(series.slices)))
            del volumes[phase]
        elif phase in volumes:
            volume = volumes[phase]
            result.phases[phase] = {
                "series": choice.taken[phase].name,
                "rule": choice.rule[phase],
                "images": len(choice.taken[phase].slices),
                "absent_slices": int((~present[index]).sum()),
                "resampled": not volume.geometry.same_grid(geometry),
                "interpolated_slices": sum(not uid for uid in volume.sop_instance_uids),
                "tilt_undone": bool(volume.source_shift.any()),
            }
    counts = {phase: record["images"] for phase, record in result.phases.items()}
    study = Study(result.case, result.patient, log.rules.order, reference, hu, present, geometry, {"images": counts})
    study.save(temporary / "studies" / result.case)
    result.taken, result.slices = True, hu.shape[1]
    result.fingerprint = fingerprint(hu[log.rules.order.index(reference)])
    result.phantom = any(choice.taken[phase].phantom for phase in volumes)
    log.images.extend(
        place_labels(
            by_slice,
            volumes[reference],
            result.case,
            reference,
            exhaustive=exhaustive,
            first_id=len(log.images) + 1,
            not_taken=log.labels_not_taken,
        )
    )


def _quarantine_rest(choice: PhaseChoice, reference: str, log: CTImportLog) -> None:
    for phase, series in choice.taken.items():
        if phase != reference:
            reason = f"the reference phase {reference} of its study cannot be used"
            log.quarantined.append(Rejection(series.name, reason, "no-reference", len(series.slices)))


def _write_data(log: CTImportLog, temporary: Path, fractions: Sequence[float], seed: int) -> Dict[str, Any]:
    """Everything of the data folder beside studies/ and private/."""
    taken = log.taken
    splits = make_splits([result.patient for result in taken], fractions=fractions, seed=seed)
    save_annotations(Annotations(CLASSES, log.images), str(temporary / "labels.json"))
    log.note_phantoms([one.phantom for one in taken], "studies")
    report = build_report(log, splits)
    description = {
        "format": FORMAT,
        "kind": KIND,
        "phases": list(log.rules.order),
        "reference_phase": log.rules.reference,
        "classes": list(CLASSES),
        "phantom": any(one.phantom for one in taken),
        "studies": [
            {"case": one.case, "patient": one.patient, "slices": one.slices, "fingerprint": one.fingerprint}
            for one in taken
        ],
    }
    write_records(temporary, splits, report, description)
    return report


def _patient(series: Sequence[SeriesFiles], study_uid: str, salt: str) -> str:
    return salted_hash("patient", salt, series[0].patient_id or study_uid)
