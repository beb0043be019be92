"""Cases: what one examination is. A study, or several studies of a patient where the phase file says `join: true`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Dict, List, Sequence, Set, Tuple

from gluon_liver.readers.dicom.series import Scan, SeriesFiles

from .choice import choose_phases
from .rules import PhaseRules


@dataclass(frozen=True)
class Case:
    """The series of one case and the StudyInstanceUIDs of its studies, which no message names."""

    study_uids: Tuple[str, ...]
    series: Tuple[SeriesFiles, ...]

    @property
    def key(self) -> str:
        """What tells the case from others; that of a single study is its StudyInstanceUID."""
        return "+".join(self.study_uids)

    @property
    def patient(self) -> str:
        """What tells the patient from others; a case without PatientID is a patient of its own."""
        return self.series[0].patient_id or self.series[0].study_uid

    @property
    def patients(self) -> Set[str]:
        return {one.patient_id for one in self.series}


def find_cases(series: Sequence[SeriesFiles], *, join: bool) -> Dict[str, Case]:
    """Key -> case, in the order of the studies' identifiers.

    ``join`` puts studies together that have one and the same PatientID and share a FrameOfReferenceUID.
    """
    studies = _by_study(series)
    groups = _joined(studies) if join else [[uid] for uid in studies]
    cases = [Case(tuple(sorted(uids)), tuple(one for uid in sorted(uids) for one in studies[uid])) for uids in groups]
    return {case.key: case for case in sorted(cases, key=lambda case: case.key)}


def join_notes(scan: Scan, rules: PhaseRules) -> List[str]:
    """What was joined and why the rest was not; without ``join: true``, what it would have brought."""
    single, joined = find_cases(scan.series, join=False), find_cases(scan.series, join=True)
    together = [case for case in joined.values() if len(case.study_uids) > 1]
    if not rules.join:
        helped = [
            case for case in together if _phases(case, rules) > max(_phases(single[u], rules) for u in case.study_uids)
        ]
        if not helped:
            return []
        studies = sum(len(case.study_uids) for case in helped)
        return [
            f"{studies} studies would make {len(helped)} case(s) of more phases: they are of one patient and share a "
            "frame of reference. A phase file (--phases) that says `join: true` puts them together"
        ]
    notes = []
    if together:
        studies = sum(len(case.study_uids) for case in together)
        notes.append(f"{studies} studies were joined to {len(together)} case(s), as the phase file says")
    apart = [uid for uids in _studies_of_patients(scan).values() if len(uids) > 1 for uid in uids if uid in joined]
    apart = [uid for uid in apart if _phases(joined[uid], rules) < len(rules.order)]
    strangers = _strangers(scan)
    nameless = [uid for uid, case in single.items() if "" in case.patients]
    for uids, why in (
        (apart, "lack phases and were not joined with another study of their patient: no frame of reference is shared"),
        (strangers, "share a frame of reference with a study of another patient: not joined"),
        (nameless, "have no PatientID: not joined"),
    ):
        if uids:
            notes.append(f"{len(uids)} study or studies {why}")
    return notes


def _by_study(series: Sequence[SeriesFiles]) -> Dict[str, List[SeriesFiles]]:
    studies: Dict[str, List[SeriesFiles]] = defaultdict(list)
    for one in series:
        studies[one.study_uid].append(one)
    return dict(studies)


def _joined(studies: Dict[str, List[SeriesFiles]]) -> List[List[str]]:
    """The StudyInstanceUIDs that belong together."""
    groups: List[Tuple[List[str], Set[Tuple[str, str]]]] = []
    for uid, series in studies.items():
        patients = {one.patient_id for one in series}
        ties = {(one.patient_id, one.frame_of_reference) for one in series if one.frame_of_reference}
        if len(patients) > 1 or "" in patients:
            ties = set()
        mine: Tuple[List[str], Set[Tuple[str, str]]] = ([uid], ties)
        for group in [group for group in groups if group[1] & ties]:
            groups.remove(group)
            mine = (group[0] + mine[0], group[1] | mine[1])
        groups.append(mine)
    return [uids for uids, _ in groups]


def _phases(case: Case, rules: PhaseRules) -> int:
    """How many phases a case has, none without the reference phase."""
    if len(case.patients) > 1:
        return 0
    taken = choose_phases(case.series, rules).taken
    fixed = taken.get(rules.reference)
    if fixed is None:
        return 0
    return sum(one is fixed or one.frame_of_reference == fixed.frame_of_reference for one in taken.values())


def _studies_of_patients(scan: Scan) -> Dict[str, Set[str]]:
    patients: Dict[str, Set[str]] = defaultdict(set)
    for one in scan.series:
        if one.patient_id:
            patients[one.patient_id].add(one.study_uid)
    return patients


def _strangers(scan: Scan) -> Set[str]:
    """Studies whose frame of reference also is that of another patient."""
    patients: Dict[str, Set[str]] = defaultdict(set)
    for one in scan.series:
        if one.frame_of_reference:
            patients[one.frame_of_reference].add(one.patient_id)
    return {one.study_uid for one in scan.series if len(patients.get(one.frame_of_reference, ())) > 1}
