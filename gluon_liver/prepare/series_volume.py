"""The chosen series of one CT study -> all phases on one grid."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

from gluon_liver.archive.damage import advice_on
from gluon_liver.errors import DicomError, InputError, PhaseError
from gluon_liver.phases.choice import PhaseChoice
from gluon_liver.phases.rules import PhaseRules
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles
from gluon_liver.readers.dicom.volume import SeriesStack, open_series

from .study_volume import LoadedStudy, put_together


def load_study(
    choice: PhaseChoice,
    rules: PhaseRules,
    left_out: List[Rejection],
    *,
    case: str,
    patient: str,
    regrid: bool,
    folder: Optional[Path] = None,
) -> Optional[LoadedStudy[SeriesStack]]:
    """Decode the chosen series and put them on one grid; None where the reference phase cannot be used.

    The study is stored in ``folder``, slice by slice, or kept in memory. Series that fail and slices that are left out
    are added to ``left_out`` with the reason; the study lives as long as its reference phase does.
    """
    stacks = _open_phases(choice, rules, left_out, regrid)
    if rules.reference not in stacks:
        return None

    def refuse(phase: str, error: InputError) -> None:
        left_out.append(_failed(choice.taken[phase], error))

    try:
        loaded = put_together(
            stacks,
            rules.order,
            rules.reference,
            refuse,
            case=case,
            patient=patient,
            images={phase: len(choice.taken[phase].slices) for phase in stacks},
            folder=folder,
        )
    except DicomError as error:
        _reject_reference(error, choice, rules, left_out)
        return None
    for stack in loaded.stacks.values():
        left_out.extend(stack.left_out.values())
    return loaded


def _open_phases(
    choice: PhaseChoice, rules: PhaseRules, left_out: List[Rejection], regrid: bool
) -> Dict[str, SeriesStack]:
    """The grids of the series by their headers, the reference phase first; nothing where that has none."""
    stacks: Dict[str, SeriesStack] = {}
    for phase in sorted(choice.taken, key=lambda phase: phase != rules.reference):
        try:
            stacks[phase] = open_series(choice.taken[phase], regrid=regrid)
        except DicomError as error:
            if phase == rules.reference:
                _reject_reference(error, choice, rules, left_out)
                return {}
            left_out.append(_failed(choice.taken[phase], error))
    return stacks


def _reject_reference(error: DicomError, choice: PhaseChoice, rules: PhaseRules, left_out: List[Rejection]) -> None:
    left_out.append(_failed(choice.taken[rules.reference], error))
    reason = f"the reference phase {rules.reference} of its study cannot be used"
    others = (other for phase, other in choice.taken.items() if phase != rules.reference)
    left_out.extend(other.rejection(reason, "no-reference") for other in others)


def _failed(series: SeriesFiles, error: InputError) -> Rejection:
    if isinstance(error, PhaseError):
        return series.rejection(str(error), "no-overlap")
    advice = advice_on(error, series) if isinstance(error, DicomError) else ""
    return series.rejection(str(error) + advice, type(error).__name__)
