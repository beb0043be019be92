"""Identifiers that two patients or studies claim: named, for nothing says which of them is wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import DefaultDict, Dict, List, Sequence, Set

from gluon_liver.errors import ConflictError
from gluon_liver.readers.dicom.file_header import FileHeader
from gluon_liver.readers.dicom.series import SeriesFiles
from gluon_liver.structures.enumerations import all_of

MAX_NAMED = 4


def with_conflicts(series: Sequence[SeriesFiles]) -> List[SeriesFiles]:
    """The series, with a defect where one SeriesInstanceUID stands in several studies or under several PatientIDs."""
    alike: DefaultDict[str, List[SeriesFiles]] = defaultdict(list)
    for one in series:
        if one.kind != "labels":
            alike[one.series_uid].append(one)
    return [_with_conflict(one, alike[one.series_uid]) if one.kind != "labels" else one for one in series]


def _with_conflict(one: SeriesFiles, alike: Sequence[SeriesFiles]) -> SeriesFiles:
    names = list(dict.fromkeys(f"series {other.number:02d}" for other in alike))
    if len(names) == 1 or any(isinstance(defect, ConflictError) for defect in one.defects):
        return one
    what = "different PatientIDs" if len({other.patient_id for other in alike}) > 1 else "different studies"
    text = f"{all_of(names)} share a SeriesInstanceUID but have {what}"
    error = ConflictError(f"{text}: nothing says which is right; import with --exclude to leave out the wrong one")
    return replace(one, defects=(*one.defects, error))


def person_notes(headers: Sequence[FileHeader]) -> List[str]:
    """PatientIDs under which files name several birth dates or sexes, and such that are almost the same."""
    notes = []
    spellings: DefaultDict[str, Dict[str, int]] = defaultdict(dict)
    for header in headers:
        plain = re.sub(r"[\W_]", "", header.patient_id.casefold()).lstrip("0")
        spellings[plain].setdefault(header.patient_id, header.file)
    for files in (sorted(found.values()) for plain, found in spellings.items() if plain and len(found) > 1):
        named = all_of((f"file {number:04d}" for number in files), MAX_NAMED)
        what = "have PatientIDs that differ in case, spaces, punctuation or leading zeros alone"
        notes.append(f"{named} {what}: they count as {len(files)} patients; if they are one, the split may mix them")
    for what, keyword in (("birth date", "birth_date"), ("sex", "sex")):
        values: DefaultDict[str, Dict[str, Set[int]]] = defaultdict(lambda: defaultdict(set))
        for header in headers:
            if header.patient_id and getattr(header, keyword):
                values[header.patient_id][getattr(header, keyword)].add(header.file)
        for told in values.values():
            if len(told) > 1:
                named = all_of((f"file {number:04d}" for number in sorted(map(min, told.values()))), MAX_NAMED)
                notes.append(
                    f"{named} have one PatientID and another {what}: two persons, or a slip; they count as one patient"
                )
    return notes
