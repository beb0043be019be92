"""One CT study: from its DICOM series to all phases on one grid."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

from gluon_liver.archive.scan import scan_folder
from gluon_liver.data.study import Study
from gluon_liver.errors import DatasetError, InputError, PhaseError
from gluon_liver.phases.cases import find_cases
from gluon_liver.phases.choice import PhaseChoice, choose_phases
from gluon_liver.phases.rules import PhaseRules, load_phase_rules
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles

from .align import check_frame_of_reference
from .ct_report import CTImportLog, build_account, odd_lines, taken_records, why_nothing_was_taken
from .pseudonyms import case_ids, salt_or_random
from .series_volume import load_study
from .study_log import StudyResult
from .study_result import note_read


def read_study(
    folder: Union[str, Path],
    *,
    phases: Optional[Union[str, Path]] = None,
    reference: Optional[str] = None,
    regrid: bool = False,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    progress: bool = False,
) -> Study:
    """The one study in a folder of DICOM files, with random ids in place of its identifiers; nothing is written.

    Parameters
    ----------
    folder: searched at every depth; files that are no CT and series that no phase is told of are left out. Or
        ``DATA/studies/<case>`` of prepared data, which takes no further options.
    phases: a phase file (see docs/data.md); by default phases are told by patterns on the series description.
    reference: the phase whose grid the others are put on, instead of the phase file's.
    regrid: interpolate uneven slices and undo gantry tilt instead of refusing the series.
    exclude: globs of paths below ``folder``, of files to leave out.
    skip_damaged: go on without files and folders that cannot be used.
    progress: show bars.

    Warns of what was left out, resampled or looks odd. Raises :class:`InputError` where no study can be used, with the
    reasons; :class:`DatasetError` where there are several, and what a wrong phase file raises.
    """
    if (Path(folder) / "study.json").is_file():
        if phases is not None or reference is not None or regrid or exclude or skip_damaged:
            raise InputError(
                "phases, reference, regrid, exclude and skip_damaged are for a folder of DICOM files; "
                "a prepared study has its own"
            )
        return Study.load(folder)
    options: Any = dict(regrid=regrid, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    read = read_dicom_study(folder, phases=phases, reference=reference, **options)
    odd = odd_lines(read.account)
    if odd:
        warnings.warn("\n".join([f"the study in {folder}:", *odd]), stacklevel=2)
    return read.study


class ReadStudy(NamedTuple):
    """A study in memory, and the series of its reference phase.

    account: what was taken and left out, JSON-able, as import-report.json has it; see :func:`.ct_report.account_lines`.
    """

    study: Study
    series: SeriesFiles
    account: Dict[str, Any]


def read_dicom_study(
    folder: Union[str, Path],
    *,
    phases: Optional[Union[str, Path]] = None,
    reference: Optional[str] = None,
    regrid: bool = False,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    progress: bool = False,
) -> ReadStudy:
    """:func:`read_study` of a folder of DICOM files, with what there is to say of it; it does not warn."""
    rules = load_phase_rules(phases, reference=reference)
    scan = scan_folder(folder, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    log = CTImportLog(scan, rules)
    log.cases = find_cases(scan.series, join=rules.join)
    salt, studies = salt_or_random(None), []
    for key, case in log.cases.items():
        choice = log.choices[key] = choose_series(case.series, rules, log.quarantined)
        result = StudyResult(*case_ids(case, salt), key=key, study_uids=case.study_uids)
        whose: Dict[str, Any] = dict(case=result.case, patient=result.patient, regrid=regrid)
        loaded = load_study(choice, rules, log.quarantined, **whose)
        log.studies.append(result)
        if loaded is not None:
            note_read(result, loaded, taken_records(choice, loaded.stacks))
            result.phantom = any(choice.taken[phase].phantom for phase in loaded.stacks)
            studies.append((loaded.study, choice.taken[rules.reference]))
    if not studies:
        raise InputError(why_nothing_was_taken(log))
    if len(studies) > 1:
        raise DatasetError(
            f"{folder} holds {len(studies)} studies; one is read at a time: import the folder, then take "
            "DATA/studies/CASE" + "".join(f". {note}" for note in log.notes if "join: true" in note)
        )
    return ReadStudy(*studies[0], build_account(log))


def choose_series(series: Sequence[SeriesFiles], rules: PhaseRules, left_out: List[Rejection]) -> PhaseChoice:
    """Series of the phases of one case that share the reference's frame of reference.

    Series that are not taken are added to ``left_out`` with the reason.
    """
    left_out.extend(_not_images(series, rules))
    series = [one for one in series if one.kind != "labels"]
    if len({one.patient_id for one in series}) > 1:
        reason = "its study carries several PatientIDs; import with --exclude to leave out what is not of this patient"
        left_out.extend(one.rejection(reason, "patient-conflict") for one in series)
        return PhaseChoice({}, {}, [])
    choice = choose_phases(series, rules)
    left_out.extend(choice.left_out)
    fixed = choice.taken.get(rules.reference)
    if fixed is None:
        for phase, one in choice.taken.items():
            reason = f"its study has no series for the reference phase {rules.reference} (this one is {phase}): name "
            reason += f"one in a phase file (--phases), or import with --reference {phase}; a run reads its own alone"
            left_out.append(one.rejection(reason, "no-reference"))
        choice.taken.clear()
        return choice
    for phase, one in list(choice.taken.items()):
        # A defective series fails with its own reason when it is loaded.
        if one is not fixed and one.slices and fixed.slices:
            try:
                check_frame_of_reference(fixed.frame_of_reference, one.frame_of_reference, phase, rules.reference)
            except PhaseError as error:
                left_out.append(one.rejection(str(error), "frame-of-reference"))
                del choice.taken[phase]
    return choice


def _not_images(series: Sequence[SeriesFiles], rules: PhaseRules) -> Iterator[Rejection]:
    """The series that hold labels in the guise of images, which nobody can name for a phase either."""
    for one in series:
        if one.kind == "labels":
            phase = rules.series.get(one.address)
            named = f"the phase file names it for {phase}, but {one.kind_reason}"
            yield one.rejection(named if phase else one.kind_reason, "labels")
