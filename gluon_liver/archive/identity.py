"""Identifiers that two patients or studies claim: named, for nothing says which of them is wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import DefaultDict, Dict, List, Sequence, Set

from gluon_liver.errors import ConflictError
from gluon_liver.readers.dicom.file_header import FileHeader
from gluon_liver.readers.dicom.series import SeriesFiles


def with_conflicts(series: Sequence[SeriesFiles]) -> List[SeriesFiles]:
    """The series, with a defect where one SeriesInstanceUID stands in several studies."""
    studies: DefaultDict[str, Dict[str, str]] = defaultdict(dict)
    for one in series:
        if one.kind != "labels":
            studies[one.series_uid].setdefault(one.study_uid, f"series {one.number:02d}")
    result = []
    for one in series:
        names = list(studies[one.series_uid].values())
        if len(names) > 1 and one.kind != "labels":
            what = f"{', '.join(names[:-1])} and {names[-1]} share a SeriesInstanceUID but lie in different studies"
            error = ConflictError(f"{what}: nothing says which is right; leave out the wrong one with --exclude")
            one = replace(one, defects=(*one.defects, error))
        result.append(one)
    return result


def person_notes(headers: Sequence[FileHeader]) -> List[str]:
    """PatientIDs under which files name several birth dates or sexes: two persons, or a slip of the keyboard."""
    notes = []
    for what, keyword in (("birth date", "birth_date"), ("sex", "sex")):
        values: DefaultDict[str, Dict[str, Set[int]]] = defaultdict(lambda: defaultdict(set))
        for header in headers:
            if header.patient_id and getattr(header, keyword):
                values[header.patient_id][getattr(header, keyword)].add(header.file)
        for told in values.values():
            if len(told) > 1:
                files = " and ".join(f"file {number:04d}" for number in sorted(map(min, told.values())))
                notes.append(
                    f"{files} have one PatientID and another {what}: two persons, or a slip; they count as one patient"
                )
    return notes
