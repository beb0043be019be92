"""What a CT import took and what it left out, beside what :mod:`.report` says of every import."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence

from gluon_liver.data.splits import Splits
from gluon_liver.phases.cases import Case, join_notes
from gluon_liver.phases.choice import PhaseChoice
from gluon_liver.phases.entries import entry_notes
from gluon_liver.phases.rules import PhaseRules
from gluon_liver.phases.template import phase_template
from gluon_liver.readers.dicom.series import Scan

from .grid_report import grid_words, label_notes
from .report import MIXES, write_private_files
from .study_log import StudyLog, left_out_lines, note_lines, study_lines, taken_lines

NUMBERS = "file 0001 is line 1 of `find -L FOLDER ! -type d | LC_ALL=C sort`"


class CTImportLog(StudyLog):
    """Everything that an import of DICOM saw, for the report."""

    def __init__(self, scan: Scan, rules: PhaseRules):
        notes = [*scan.notes, *entry_notes(scan, rules), *join_notes(scan, rules)]
        super().__init__(notes=notes, reference=rules.reference)
        self.scan, self.rules = scan, rules
        self.cases: Dict[str, Case] = {}
        self._keys: Dict[str, str] = {}
        self.choices: Dict[str, PhaseChoice] = {}  # by the key of the case
        self.labels_on = ""  # a phase whose labels are carried over to the reference phase

    def key_of(self, study_uid: str) -> str:
        """The key of the case that a study belongs to, "" where no study is called so."""
        if not self._keys:
            self._keys = {uid: key for key, case in self.cases.items() for uid in case.study_uids}
        return self._keys.get(study_uid, "")


def build_report(log: CTImportLog, splits: Splits, classes: Sequence[str]) -> Dict[str, Any]:
    """The JSON-able content of import-report.json."""
    log.notes += label_notes(log.label_slices, log.not_carried, log.labels_on, log.rules.reference)
    report = log.report(log.rules.order, map(vars, log.scan.rejected), splits, classes)
    return {"format": 1, "files": _files(log), **report}


def build_account(log: CTImportLog) -> Dict[str, Any]:
    """The JSON-able content of the report on a study that is read and not stored."""
    note_oddities(log)
    log.note_twins()
    log.note_airless()
    account = log.account(log.rules.order, map(vars, log.scan.rejected))
    return {"files": _files(log), "phantom": any(one.phantom for one in log.taken), **account}


def _files(log: CTImportLog) -> Dict[str, int]:
    return {"found": len(log.scan.paths), "dicom": log.scan.dicom_files}


def taken_records(choice: PhaseChoice, phases: Iterable[str]) -> Dict[str, Dict[str, Any]]:
    """Of some phases of a case which series was taken, and why."""
    return {
        phase: {"series": one.name, "rule": choice.rule[phase], "images": len(one.slices)}
        for phase, one in choice.taken.items()
        if phase in phases
    }


def note_oddities(log: CTImportLog) -> None:
    """Add to the notes what does not stop an import but may mean that something is amiss."""
    scan = log.scan
    named = {series.study_uid for series in scan.series if series.patient_id}
    nameless = {series.study_uid for series in scan.series} - named
    for odd, text in (
        (nameless, f"study or studies have no PatientID: each counts as a patient of its own. {MIXES}"),
        (scan.lost, "file(s) do not tell their series (cut short, damaged, not readable): one may lack its end slices"),
    ):
        if odd:
            log.notes.append(f"{len(odd)} {text}")
    whole = [one for one in scan.series if len({each.timing.acquisition for each in one.slices}) > 1]
    if whole:
        log.notes.append(
            f"{len(whole)} series are made of several acquisitions that continue each other (AcquisitionNumber changes "
            "along the stack); each counts as one volume"
        )


def report_lines(report: Dict[str, Any]) -> List[str]:
    """The report for the screen."""
    return [_files_line(report), *study_lines(report)]


def account_lines(account: Mapping[str, Any], *, whole: str) -> List[str]:
    """What :func:`build_account` gave, for the screen. whole: as for :func:`left_out_lines`."""
    lines = [_files_line(account), *taken_lines(account), *left_out_lines(account, whole=whole)]
    phantom = ["note: it is a phantom: results say nothing about patients"] if account["phantom"] else []
    return [*lines, *note_lines(account), *phantom, *_legend(lines)]


def odd_lines(account: Mapping[str, Any]) -> List[str]:
    """What was left out or changed, and the notes; nothing where all was read as it is."""
    changed = []
    for one in account["taken"]:
        for phase, record in one["phases"].items():
            changed += [f"{phase}: {words}" for words in grid_words([record])]
    lines = [*changed, *left_out_lines(account, whole=""), *note_lines(account)]
    return [*lines, *_legend(lines)]


def _legend(lines: Sequence[str]) -> List[str]:
    """What the numbers of files mean, where lines name one."""
    return [f"note: {NUMBERS}"] if any(re.search(r"\bfile \d{4}", line) for line in lines) else []


def _files_line(report: Mapping[str, Any]) -> str:
    return f"files: {report['files']['found']} found, {report['files']['dicom']} of them DICOM"


def why_nothing_was_taken(log: CTImportLog) -> str:
    """Why no study was taken, for the error message."""
    first = f"no study was taken from {len(log.scan.paths)} file(s), {log.scan.dicom_files} of them DICOM"
    advice = (
        f"\n{NUMBERS}; "
        "`python -m gluon_liver import ct FOLDER --list-series FILE` writes a phase file to fill in, and "
        "`python -m gluon_liver look FOLDER --out DIR` shows pictures of the series too"
    )
    return log.refusal(first, log.scan.rejected) + advice * bool(log.scan.series)


def write_private(log: CTImportLog, folder: Path, salt: str, source: Path) -> None:
    """The listing that leads back to patients."""
    folders: Dict[str, str] = {}
    for series in log.scan.series:
        for one in series.slices[:1]:
            folders.setdefault(series.study_uid, str(Path(os.path.abspath(one.path)).parent))
    key = (
        (one.case, one.patient, uid, folders.get(uid, ""), int(one.taken))
        for one in log.studies
        for uid in one.study_uids
    )
    files = ((number, os.path.relpath(path, source)) for number, path in enumerate(log.scan.paths, 1))
    listed = ((one.name, one.series_uid, one.description, len(one.slices)) for one in log.scan.series)
    write_private_files(
        folder,
        {"salt": salt + "\n", "phases-template.yaml": phase_template(log.scan.series, log.rules)},
        {
            "key.csv": (("case", "patient", "study_instance_uid", "folder", "taken"), key),
            "files.csv": (("number", "path"), files),
            "series.csv": (("series", "series_instance_uid", "description", "images"), listed),
        },
    )
