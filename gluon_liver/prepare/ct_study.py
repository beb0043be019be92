"""One CT study: from its DICOM series to all phases on one grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

from gluon_liver.archive.scan import scan_folder
from gluon_liver.data.study import Study
from gluon_liver.errors import DatasetError, InputError, PhaseError
from gluon_liver.phases.cases import find_cases
from gluon_liver.phases.choice import PhaseChoice, choose_phases
from gluon_liver.phases.rules import PhaseRules, load_phase_rules
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles

from .align import check_frame_of_reference
from .ct_report import CTImportLog, why_nothing_was_taken
from .pseudonyms import case_ids, salt_or_random
from .series_volume import load_study


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

    Raises :class:`InputError` where no study can be used, with the reasons; :class:`DatasetError` where there are
    several, and what a wrong phase file raises.
    """
    if (Path(folder) / "study.json").is_file():
        if phases is not None or reference is not None or regrid or exclude or skip_damaged:
            raise InputError(
                "phases, reference, regrid, exclude and skip_damaged are for a folder of DICOM files; "
                "a prepared study has its own"
            )
        return Study.load(folder)
    options: Any = dict(regrid=regrid, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    return read_study_and_series(folder, phases=phases, reference=reference, **options)[0]


def read_study_and_series(
    folder: Union[str, Path],
    *,
    phases: Optional[Union[str, Path]] = None,
    reference: Optional[str] = None,
    regrid: bool = False,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    progress: bool = False,
) -> Tuple[Study, SeriesFiles]:
    """:func:`read_study` of a folder of DICOM files, and the series of its reference phase."""
    rules = load_phase_rules(phases, reference=reference)
    scan = scan_folder(folder, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    log = CTImportLog(scan, rules)
    salt, studies = salt_or_random(None), []
    for case in find_cases(scan.series, join=rules.join).values():
        choice = choose_series(case.series, rules, log.quarantined)
        name, patient = case_ids(case, salt)
        loaded = load_study(choice, rules, log.quarantined, case=name, patient=patient, regrid=regrid)
        if loaded is not None:
            studies.append((loaded.study, choice.taken[rules.reference]))
    if not studies:
        raise InputError(why_nothing_was_taken(log))
    if len(studies) > 1:
        raise DatasetError(
            f"{folder} holds {len(studies)} studies; one is read at a time: import the folder, then take "
            "DATA/studies/CASE" + "".join(f". {note}" for note in log.notes if "join: true" in note)
        )
    return studies[0]


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
