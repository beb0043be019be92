"""Every series of a folder with what helps to tell its contrast phase: grouped by patient and study."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from gluon_liver.archive.scan import scan_folder
from gluon_liver.phases.cases import find_cases, join_notes
from gluon_liver.phases.rules import PhaseRules, load_phase_rules
from gluon_liver.prepare.ct_study import choose_series
from gluon_liver.prepare.report import plain_reason
from gluon_liver.readers.dicom.series import Rejection, Scan, SeriesFiles
from gluon_liver.report.pages.series_page import LeftOut, PatientEntry, SeriesEntry, StudyEntry
from gluon_liver.system.terminal import duration, progress_bar

from .entries import entries_of, header_of, printable, start_of
from .glance import glance_at
from .headers import read_series_header

PathLike = Union[str, Path]


@dataclass
class Listing:
    """What a folder holds. patients: with their studies and series; left_out: everything else; notes: on joining."""

    source: Path
    scan: Scan
    rules: PhaseRules
    patients: List[PatientEntry] = field(default_factory=list)
    left_out: List[LeftOut] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    @property
    def studies(self) -> List[StudyEntry]:
        return [study for patient in self.patients for study in patient.studies]

    @property
    def series(self) -> List[SeriesEntry]:
        return [one for study in self.studies for one in study.series]


def list_series(
    folder: PathLike,
    *,
    phases: Optional[PathLike] = None,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    progress: bool = False,
) -> Listing:
    """Scan ``folder`` as an import does and look at some slices of every series, also of those that it would refuse.

    phases: a phase file, whose rules are tried on the series. Raises InputError as :func:`scan_folder` does.
    """
    rules = load_phase_rules(phases)
    scan = scan_folder(folder, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    listing = Listing(Path(folder), scan, rules)
    verdicts = _verdicts(scan, rules)
    by_patient: Dict[str, Dict[str, List[SeriesFiles]]] = defaultdict(lambda: defaultdict(list))
    for one in scan.series:
        by_patient[one.patient_id or f"\0{one.study_uid}"][one.study_uid].append(one)
    bar = progress_bar(total=len(scan.series), text="series", unit="series", show=progress)
    for number, (key, by_study) in enumerate(sorted(by_patient.items()), 1):
        everything = [one for series in by_study.values() for one in series]
        glances = glance_at(everything)
        headers = {one.name: header_of(one) for one in everything}
        bar.update(len(everything))
        patient = PatientEntry(number, "" if key.startswith("\0") else printable(key), [])
        starts = {uid: start_of(headers[one.name] for one in series) for uid, series in by_study.items()}
        first_of_day: Dict[date, Tuple[datetime, int]] = {}
        for uid in sorted(by_study, key=lambda uid: (starts[uid] or datetime.max, uid)):
            series, start, count = by_study[uid], starts[uid], len(listing.studies) + len(patient.studies) + 1
            about, offset = headers[series[0].name], ""
            if start is not None:
                first, which = first_of_day.setdefault(start.date(), (start, count))
                offset = f"{duration((start - first).total_seconds(), exact=True)} after study {which}" * (
                    which != count
                )
            entries = entries_of(series, headers, glances, verdicts, listing.source)
            words = printable(about.study_description)
            patient.studies.append(StudyEntry(count, printable(uid), about.date, words, offset, entries))
        listing.patients.append(patient)
    bar.close()
    listing.left_out, listing.notes = _left_out(scan, listing.source), join_notes(scan, rules)
    return listing


def _verdicts(scan: Scan, rules: PhaseRules) -> Dict[str, Tuple[str, str]]:
    """Name of a series -> the phase that the rules take it for, "" for none, and by which rule or why not."""
    left_out: List[Rejection] = []
    verdicts: Dict[str, Tuple[str, str]] = {}
    for case in find_cases(scan.series, join=rules.join).values():
        choice = choose_series(case.series, rules, left_out)
        verdicts.update((one.name, (phase, choice.rule[phase])) for phase, one in choice.taken.items())
    verdicts.update((one.where, ("", one.reason)) for one in left_out)
    return verdicts


def _left_out(scan: Scan, source: Path) -> List[LeftOut]:
    """What is no series, by reason; images of one series together, files that are no DICOM by folder."""
    groups: Dict[Tuple[str, str, str], LeftOut] = {}
    for one in scan.rejected:
        first = re.search(r"(?:file |files, )(\d+)", one.where)
        path = scan.paths[int(first.group(1)) - 1] if first else None
        folder = printable(os.path.relpath(path.parent, source)) if path else ""
        reason, description = plain_reason(one.reason), ""
        if reason != one.reason and path:  # images, of which there is a count
            description = printable(read_series_header([path]).description)
        known = groups.setdefault((reason, folder, description), LeftOut(one.where, 0, reason, folder, description))
        known.images += one.images
        if known.where != one.where and not known.where.endswith(" and more"):
            known.where += " and more"
    return list(groups.values())
