"""What an import took and what it left out: for the screen, for import-report.json, and the private listing.

Report and screen carry numbers, rules and reasons only. Identifiers, descriptions and paths go to the private
folder.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

from gluon_liver.data.splits import SPLIT_NAMES, Splits
from gluon_liver.readers.dicom.series import Rejection

from .phases import phase_template

MAX_LINES = 20


def build_report(log: Any, splits: Splits) -> Dict[str, Any]:
    """The JSON-able content of import-report.json."""
    taken = sorted((result for result in log.studies if result.taken), key=lambda result: result.case)
    per_class = Counter(int(label) for image in log.images for label in image.labels)
    return {
        "format": 1,
        "files": {"found": len(log.scan.paths), "dicom": log.scan.dicom_files},
        "phases": list(log.rules.order),
        "reference_phase": log.rules.reference,
        "taken": [
            {"case": one.case, "patient": one.patient, "slices": one.slices, "phases": one.phases} for one in taken
        ],
        "studies_not_taken": [one.case for one in log.studies if not one.taken],
        "rejected": [vars(one) for one in log.scan.rejected],
        "quarantined": [vars(one) for one in log.quarantined],
        "labels": {
            "images": len(log.images),
            "boxes": sum(per_class.values()),
            "background": sum(not len(image.labels) for image in log.images),
            "boxes_by_class": {str(index): per_class[index] for index in sorted(per_class)},
            "not_taken": log.labels_not_taken.to_json(),
        },
        "patients": {name: len(splits.of(name)) for name in SPLIT_NAMES},
        "notes": log.notes,
    }


def note_oddities(log: Any) -> None:
    """Add to the notes what does not stop an import but may mean that something is amiss."""
    present = {series.series_uid for series in log.scan.series}
    missing = sum(uid not in present for uid in log.rules.series)
    if missing:
        log.notes.append(
            f"{missing} of {len(log.rules.series)} entries under 'series' of the phase file "
            "name no CT series of the folder"
        )
    named = {series.study_uid for series in log.scan.series if series.patient_id}
    nameless = len({series.study_uid for series in log.scan.series} - named)
    if nameless:
        log.notes.append(
            f"{nameless} study or studies have no PatientID: each counts as a patient of its own. "
            "If two are of one patient, the split mixes training and test data"
        )
    kinds = Counter(rejection.kind for rejection in log.scan.rejected)
    if kinds["TruncatedFileError"]:
        log.notes.append(
            f"{kinds['TruncatedFileError']} file(s) are too damaged to tell their series: "
            "a series may lack its first or last slices"
        )


def report_lines(report: Dict[str, Any]) -> List[str]:
    """The report for the screen."""
    taken, labels = report["taken"], report["labels"]
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
        )
    lines.append(
        f"labels: {labels['boxes']} box(es) on {labels['images'] - labels['background']} slice(s), "
        f"{labels['background']} background slice(s)"
    )
    lines += [
        f"  not taken: {one['images']} image(s), {one['boxes']} box(es): {one['reason']}" for one in labels["not_taken"]
    ]
    lines.append("patients: " + ", ".join(f"{name} {count}" for name, count in report["patients"].items()))
    rejected = [Rejection(**one) for one in report["rejected"]]
    quarantined = [Rejection(**one) for one in report["quarantined"]]
    lines += summary_of("left out", rejected) + summary_of("quarantined", quarantined)
    if report["studies_not_taken"]:
        lines.append(f"studies not taken: {len(report['studies_not_taken'])}")
    return lines + [f"note: {note}" for note in report["notes"]]


def explain_nothing(log: Any) -> str:
    """Why no study was taken, for the error message."""
    found = f"no study was taken from {len(log.scan.paths)} file(s), {log.scan.dicom_files} of them DICOM"
    lines = [found] + summary_of("left out", log.scan.rejected) + summary_of("quarantined", log.quarantined)
    if log.quarantined:
        lines.append(
            "files are numbered in the order of their paths; "
            "`python -m gluon_liver import ct FOLDER --list-series FILE` writes a phase file to fill in"
        )
    return "\n".join(lines)


def write_private(log: Any, folder: Path, salt: str, source: Path) -> None:
    """The listing that leads back to patients: mode 0700, for its owner only."""
    os.mkdir(folder, 0o700)
    os.chmod(folder, 0o700)
    write_text(folder / "salt", salt + "\n")
    folders = {}
    for series in log.scan.series:
        for one in series.slices[:1]:
            folders.setdefault(series.study_uid, os.path.dirname(os.path.abspath(one.path)))
    write_csv(
        folder / "key.csv",
        ("case", "patient", "study_instance_uid", "folder", "taken"),
        ((one.case, one.patient, one.study_uid, folders.get(one.study_uid, ""), int(one.taken)) for one in log.studies),
    )
    write_csv(
        folder / "files.csv",
        ("number", "path"),
        ((number, os.path.relpath(path, source)) for number, path in enumerate(log.scan.paths, 1)),
    )
    write_csv(
        folder / "series.csv",
        ("series", "series_instance_uid", "description", "images"),
        ((one.name, one.series_uid, one.description, len(one.slices)) for one in log.scan.series),
    )
    write_text(folder / "phases-template.yaml", phase_template(log.scan.series, log.rules))


def summary_of(title: str, rejections: Iterable[Rejection]) -> List[str]:
    """One line for each kind of plain rejection, one for each reason that is particular."""
    groups: Dict[Tuple[str, str], List[Rejection]] = {}
    for one in rejections:
        groups.setdefault((one.kind, _common(one)), []).append(one)
    lines = []
    for (kind, text), members in groups.items():
        images = sum(one.images for one in members)
        where = members[0].where if len(members) == 1 else f"{members[0].where} and {len(members) - 1} more"
        lines.append(f"{title}: {where} ({images} image(s), {kind}): {text}")
    if len(lines) > MAX_LINES:
        lines = lines[:MAX_LINES] + [f"{title}: {len(lines) - MAX_LINES} more reasons; see import-report.json"]
    return lines


def _common(one: Rejection) -> str:
    """The reason without the count in front, so that equal ones fall together."""
    head, separator, tail = one.reason.partition(" image(s): ")
    return tail if separator and head.isdigit() else one.reason


def write_text(path: Path, text: str) -> None:
    """A new file that its owner alone can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def write_csv(path: Path, header: Tuple[str, ...], rows: Iterable[Tuple[Any, ...]]) -> None:
    """A new CSV file that its owner alone can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
