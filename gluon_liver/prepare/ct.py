"""A folder of DICOM -> a prepared data folder: every step of `python -m gluon_liver import ct`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Union

from gluon_liver.archive.scan import scan_folder
from gluon_liver.data.coco import save_labels
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CLASSES, check_lesions
from gluon_liver.data.splits import make_splits
from gluon_liver.errors import InputError
from gluon_liver.files.output_folder import check_output
from gluon_liver.labels.ct import LabelFile, load_label_file
from gluon_liver.labels.source import AS_GIVEN, LabelOptions
from gluon_liver.phases.cases import find_cases
from gluon_liver.phases.rules import PhaseRules, load_phase_rules
from gluon_liver.readers.dicom.volume import SeriesStack
from gluon_liver.system.terminal import progress_bar

from .ct_label_places import place_labels
from .ct_labels import match_labels
from .ct_masks import match_masks, place_masks
from .ct_report import (
    CTImportLog,
    build_report,
    note_oddities,
    taken_records,
    why_nothing_was_taken,
    write_private,
)
from .ct_study import choose_series
from .folder import describe, prepared_folder, write_records
from .pseudonyms import case_ids, salt_notes, salt_or_random
from .series_volume import load_study
from .study_log import StudyResult
from .study_result import note_stored

PathLike = Union[str, Path]


def import_ct(
    folder: PathLike,
    out: PathLike,
    *,
    phases: Optional[PathLike] = None,
    labels: Union[None, PathLike, Sequence[PathLike]] = None,
    label_options: LabelOptions = AS_GIVEN,
    labels_on: Optional[str] = None,
    masks: Sequence[PathLike] = (),
    min_lesion_mm: float = 0.0,
    reference: Optional[str] = None,
    salt: Optional[str] = None,
    regrid: bool = False,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> Dict[str, Any]:
    """Import every study below `folder` that can be used into the new data folder `out`; returns the report.

    phases, labels: phase file and label file or files (see docs/data.md), which are read as label_options say;
    labels_on: a phase whose labels are carried over to the reference phase by world coordinates; masks: files or
    folders of masks in place of labels, and min_lesion_mm the size below which their lesions are dropped; reference:
    overrides the phase file's reference; salt: text for reproducible case ids, random by default; regrid: interpolate
    uneven slices and undo gantry tilt; exclude: globs of paths below `folder`, of files to leave out; skip_damaged: go
    on without files and folders that cannot be used; fractions: train, val, test. `out`/private leads back to patients.
    A study or series that cannot be used is left out with its reason. Nothing but file numbers depends on the names of
    files. Raises InputError, and writes nothing, where no study is taken and where a given file or option is wrong.
    """
    folder, out = Path(folder), Path(out)
    make_splits(["any"], fractions=fractions, seed=seed)
    salt = salt_or_random(salt)
    rules = load_phase_rules(phases, reference=reference)
    if labels and masks:
        raise InputError("--labels and --masks say both what lesions there are: give one of them")
    if not min_lesion_mm >= 0 or min_lesion_mm and not masks:
        raise InputError(f"--min-lesion-mm {min_lesion_mm:g}: it is a size in mm of 0 or more, and for --masks alone")
    label_file = load_label_file(labels, options=label_options) if labels else LabelFile()
    if folder.is_dir():
        check_output(out, folder, overwrite=overwrite)
    scan = scan_folder(folder, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    log = CTImportLog(scan, rules)
    log.labels_on = _labels_on(labels_on, label_file, rules)
    log.cases = find_cases(scan.series, join=rules.join)
    log.choices = {key: choose_series(case.series, rules, log.quarantined) for key, case in log.cases.items()}
    matched = match_labels(label_file, log)
    drawn = None
    if masks:
        drawn = match_masks(masks, log, CLASSES, class_map=label_options.classes, min_mm=min_lesion_mm)
    classes = label_file.classes if drawn is None else drawn.classes
    note_oddities(log)
    log.notes += label_file.changes.lines()
    log.studies = [
        StudyResult(*case_ids(case, salt), key=key, study_uids=case.study_uids) for key, case in log.cases.items()
    ]
    log.studies.sort(key=lambda result: (result.case, result.key))
    with prepared_folder(out, folder, overwrite=overwrite) as temporary:
        for result in progress_bar(log.studies, text="studies", unit="study", show=progress):
            stacks = _import_study(result, log, temporary / "studies", regrid)
            place_labels(matched.get(result.key, {}), stacks, result.case, log, exhaustive=label_file.exhaustive)
            if drawn is not None:
                place_masks(drawn, result.key, stacks, result.case, log)
        if not log.taken:
            raise InputError(why_nothing_was_taken(log))
        log.notes += salt_notes(salt, phantoms=all(one.phantom for one in log.taken))
        if drawn is not None:
            drawn.note(log)
        check_lesions(log.images, classes, "the label files")
        report = _write_data(log, temporary, classes, fractions, seed)
        write_private(log, temporary / "private", salt, folder)
    return report


def _labels_on(phase: Optional[str], label_file: LabelFile, rules: PhaseRules) -> str:
    """The phase of ``--labels-on``, "" where it is not given. Raises InputError where there is nothing to carry."""
    if phase is None:
        return ""
    if not label_file.entries:
        raise InputError("--labels-on is for --labels FILE: give both, or neither")
    if phase not in rules.order:
        raise InputError(f"--labels-on {phase}: the phases are {', '.join(rules.order)}")
    if phase == rules.reference:
        raise InputError(f"--labels-on {phase}: it is the reference phase, whose labels are taken anyway; leave it out")
    return phase


def _import_study(
    result: StudyResult, log: CTImportLog, folder: Path, regrid: bool
) -> Optional[Dict[str, SeriesStack]]:
    """Store one study below ``folder`` and write down in ``result`` what became of it.

    Returns the series that were taken, by phase; None where the study was not.
    """
    choice, folder = log.choices[result.key], folder / result.case
    whose: Dict[str, str] = dict(case=result.case, patient=result.patient)
    loaded = load_study(choice, log.rules, log.quarantined, **whose, regrid=regrid, folder=folder)
    if loaded is None:
        return None
    note_stored(result, loaded, folder, taken_records(choice, loaded.stacks))
    result.phantom = any(choice.taken[phase].phantom for phase in loaded.stacks)
    return loaded.stacks


def _write_data(
    log: CTImportLog, temporary: Path, classes: Sequence[str], fractions: Sequence[float], seed: int
) -> Dict[str, Any]:
    """Everything of the data folder beside studies/ and private/."""
    taken = log.taken
    together = log.note_twins()
    splits = make_splits([result.patient for result in taken], fractions=fractions, seed=seed, together=together)
    save_labels(log.images, classes, temporary / "labels.json")
    log.note_phantoms([one.phantom for one in taken], "studies")
    log.note_airless()
    report = build_report(log, splits, classes)
    own = {
        "phases": list(log.rules.order),
        "reference_phase": log.rules.reference,
        "classes": list(classes),
        **({"labels_on": log.labels_on} if log.label_slices["images", "carried"] else {}),
    }
    description = describe(CTDataset, own, taken, "case patient slices fingerprint", together)
    write_records(temporary, splits, report, description)
    return report
