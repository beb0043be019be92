"""What a CT import took and what it left out, beside what :mod:`.report` says of every import."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.splits import Splits
from gluon_liver.phases.cases import Case, join_notes
from gluon_liver.phases.choice import PhaseChoice
from gluon_liver.phases.entries import entry_notes
from gluon_liver.phases.rules import PhaseRules
from gluon_liver.phases.template import phase_template
from gluon_liver.readers.dicom.series import Scan
from gluon_liver.structures.enumerations import first_of
from gluon_liver.structures.shared_images import MIN_SHARED, Digests, Groups, joined

from .grid_report import grid_words, label_notes
from .report import (
    MIXES,
    CaseResult,
    ImportLog,
    fields_of,
    label_counts,
    not_taken_lines,
    sizes_line,
    split_sizes,
    summary_of,
    write_private_files,
)

MAX_CASES = 6  # that a note names


@dataclass
class StudyResult(CaseResult):
    """What became of one case.

    key, study_uids: see :class:`Case`. phases: phase -> what was taken for it, counts and rules only. digests: phase ->
    those of its slices. airless: the reference phase holds no air.
    """

    key: str = ""
    study_uids: Tuple[str, ...] = ()
    taken: bool = False
    slices: int = 0
    airless: bool = False
    phases: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    digests: Dict[str, Digests] = field(default_factory=dict)

    @property
    def image_digests(self) -> Digests:
        return set().union(*self.digests.values())


class CTImportLog(ImportLog):
    """Everything that an import saw, for the report."""

    def __init__(self, scan: Scan, rules: PhaseRules):
        super().__init__(notes=[*scan.notes, *entry_notes(scan, rules), *join_notes(scan, rules)])
        self.scan, self.rules = scan, rules
        self.cases: Dict[str, Case] = {}
        self._keys: Dict[str, str] = {}
        self.choices: Dict[str, PhaseChoice] = {}  # by the key of the case
        self.studies: List[StudyResult] = []
        self.images: List[CTLabel] = []
        self.labels_on = ""  # a phase whose labels are carried over to the reference phase
        self.label_slices: Counter[Tuple[str, str]] = Counter()  # images and boxes by what became of their slices
        self.not_carried: Dict[str, List[Any]] = {}  # ids of the label file's images by reason

    def key_of(self, study_uid: str) -> str:
        """The key of the case that a study belongs to, "" where no study is called so."""
        if not self._keys:
            self._keys = {uid: key for key, case in self.cases.items() for uid in case.study_uids}
        return self._keys.get(study_uid, "")

    @property
    def taken(self) -> List[StudyResult]:
        """The studies that were taken."""
        return [study for study in self.studies if study.taken]

    def note_airless(self) -> None:
        """Note studies of which the values are no HU, or those of an organ alone."""
        airless = [one.case for one in self.taken if one.airless and not one.phantom]
        if airless:
            what = f"{len(airless)} studies ({first_of(airless, MAX_CASES)}) have no air (all pixels above -500 HU) in"
            self.notes.append(
                f"{what} {self.rules.reference}: a map of probabilities, a picture of 8 bits, or a CT from which an "
                "organ was cut? Look at them; --exclude leaves them out"
            )

    def note_twins(self) -> Groups:
        """Note studies that share slices, and phases of one study that do; groups of patients for one split."""
        self.note_same_images(self.taken, "slices", "patient")
        for one in self.taken:
            for (phase, slices), (other, others) in combinations(sorted(one.digests.items()), 2):
                if len(slices & others) >= MIN_SHARED:
                    what = f"{phase} and {other} of {one.case} share {len(slices & others)} slices"
                    self.notes.append(f"{what}: one series is stored as two phases")
        patient_of = {one.case: one.patient for one in self.taken}
        return joined((patient_of[one], patient_of[other]) for one, other in (pair.cases for pair in self.twins))


def build_report(log: CTImportLog, splits: Splits, classes: Sequence[str]) -> Dict[str, Any]:
    """The JSON-able content of import-report.json."""
    log.notes += label_notes(log.label_slices, log.not_carried, log.labels_on, log.rules.reference)
    return {
        "format": 1,
        "files": {"found": len(log.scan.paths), "dicom": log.scan.dicom_files},
        "phases": list(log.rules.order),
        "reference_phase": log.rules.reference,
        "taken": [fields_of(one, "case patient slices phases") for one in log.taken],
        "same_examination": [fields_of(one, "cases images") for one in log.twins],
        "studies_not_taken": [one.case for one in log.studies if not one.taken],
        "rejected": [vars(one) for one in log.scan.rejected],
        "quarantined": [vars(one) for one in log.quarantined],
        "labels": {
            **label_counts([image.labels for image in log.images], classes),
            "not_taken": log.labels_not_taken.to_json(),
            "on_changed_slices": {
                what: {kind: log.label_slices[kind, what] for kind in ("images", "boxes")}
                for what in ("interpolated", "blended", "shifted", "carried")
            },
        },
        "patients": split_sizes(splits),
        "notes": log.notes,
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
    taken, labels = report["taken"], report["labels"]
    by_class = ", ".join(f"{count} {name}" for name, count in labels["boxes_by_class"].items())
    by_class = f" ({by_class})" if labels["boxes"] else ""
    patients = len({one["patient"] for one in taken})
    lines = [
        f"files: {report['files']['found']} found, {report['files']['dicom']} of them DICOM",
        f"taken: {len(taken)} study(s) of {patients} patient(s), "
        f"{sum(one['slices'] for one in taken)} slices, reference phase {report['reference_phase']}",
    ]
    for phase in report["phases"]:
        records = [one["phases"][phase] for one in taken if phase in one["phases"]]
        rules = Counter(record["rule"] for record in records)
        absent = sum(record["absent_slices"] for record in records)
        how = "; ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
        lines.append(
            f"  {phase}: {len(records)} of {len(taken)} study(s)"
            + (f" ({how})" if how else "")
            + (f", {absent} reference slices outside its stack" if absent else "")
            + "".join(f", {words}" for words in grid_words(records))
        )
    lines.append(
        f"labels: {labels['boxes']} box(es){by_class} on {labels['images'] - labels['background']} slice(s), "
        f"{labels['background']} background slice(s)"
    )
    lines += [*not_taken_lines(report), sizes_line("patients", report["patients"])]
    lines += summary_of("left out", report["rejected"]) + summary_of("quarantined", report["quarantined"])
    if report["studies_not_taken"]:
        lines.append(f"studies not taken: {len(report['studies_not_taken'])}")
    return lines + [f"note: {note}" for note in report["notes"]]


def why_nothing_was_taken(log: CTImportLog) -> str:
    """Why no study was taken, for the error message."""
    first = f"no study was taken from {len(log.scan.paths)} file(s), {log.scan.dicom_files} of them DICOM"
    advice = (
        "\nfile 0001 is line 1 of `find -L FOLDER ! -type d | LC_ALL=C sort`; "
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
