"""What an ultrasound import took and what it left out: for the screen, for import-report.json, and in private.

Report and screen carry numbers and reasons only. Paths and names of scenes go to the private folder.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

from gluon_liver.data.splits import SPLIT_NAMES, Splits
from gluon_liver.data.us_labels import CLASSES, previous_frame, scenes_of
from gluon_liver.readers.dicom.series import Rejection

from .ct_report import summary_of, write_csv, write_text

LEAKS = {
    "image": "images were split one by one, as in the paper: frames of one scene, fractions of a second apart, are in "
    "training and test at once, so test figures say nothing about new scenes or patients",
    "scene": "scenes were split, not patients: training and test may show the same lesions of the same patient, so "
    "test figures say nothing about new patients",
}


def build_report(log: Any, splits: Splits, split_by: str) -> Dict[str, Any]:
    """The JSON-able content of import-report.json."""
    labels, scenes = log.labels, scenes_of(log.labels)
    per_class = Counter(int(category) for label in labels for category in label.labels)
    alone = sum(previous_frame(scene, frame) == frame for scene in scenes for frame in scene.frames)
    report = {
        "format": 1,
        "files": {"found": log.found},
        "taken": [
            {
                "case": one.case,
                "patient": one.patient,
                "kind": one.kind,
                "region": one.region,
                "frames": len(one.labels),
                "scenes": len(one.scene_names),
                "height": one.height,
                "width": one.width,
                "notes": one.notes,
            }
            for one in log.taken
        ],
        "quarantined": [vars(one) for one in log.quarantined],
        "labels": {
            "images": len(labels),
            "boxes": sum(per_class.values()),
            "background": sum(not len(label.labels) for label in labels),
            "boxes_by_class": {name: per_class[index] for index, name in enumerate(CLASSES)},
            "clipped": log.clipped,
            "outside": log.outside,
            "not_taken": log.labels_not_taken.to_json(),
        },
        "scenes": {
            "count": len(scenes),
            "with_gaps": sum(not scene.consecutive for scene in scenes),
            "frames_without_previous": alone,
        },
        "split_by": split_by,
        "splits": {name: len(splits.of(name)) for name in SPLIT_NAMES},
        "notes": log.notes,
    }
    _add_notes(log, report)
    return report


def report_lines(report: Dict[str, Any]) -> List[str]:
    """The report for the screen."""
    taken, labels, scenes = report["taken"], report["labels"], report["scenes"]
    by_class = ", ".join(f"{count} {name}" for name, count in labels["boxes_by_class"].items())
    kinds = Counter((one["kind"], one["region"]) for one in taken)
    lines = [
        f"files: {report['files']['found']} found",
        f"taken: {len(taken)} recording(s) of {len({one['patient'] for one in taken})} patient(s): "
        + ", ".join(f"{count} {kind} (region: {region})" for (kind, region), count in sorted(kinds.items())),
        f"labels: {labels['images']} frame(s) with {labels['boxes']} box(es) ({by_class}), "
        f"{labels['background']} of them background",
        f"scenes: {scenes['count']}, {scenes['with_gaps']} with gaps; {scenes['frames_without_previous']} frame(s) "
        "are their own previous frame",
        f"split by {report['split_by']}: " + ", ".join(f"{name} {count}" for name, count in report["splits"].items()),
    ]
    lines += [
        f"  not taken: {one['images']} image(s), {one['boxes']} box(es): {one['reason']}" for one in labels["not_taken"]
    ]
    lines += summary_of("quarantined", [Rejection(**one) for one in report["quarantined"]])
    notes = Counter(note for one in taken for note in one["notes"])
    lines += [f"note: {count} recording(s): {note}" for note, count in notes.items()]
    return lines + [f"note: {note}" for note in report["notes"]]


def explain_nothing(log: Any) -> str:
    """Why no recording was taken, for the error message."""
    return "\n".join([f"no recording was taken of {log.found} file(s)"] + summary_of("quarantined", log.quarantined))


def write_private(log: Any, folder: Path, salt: str, source: Path) -> None:
    """The listing that leads back to patients: mode 0700, for its owner only."""
    os.mkdir(folder, 0o700)
    os.chmod(folder, 0o700)
    write_text(folder / "salt", salt + "\n")
    root = source if source.is_dir() else source.parent
    write_csv(
        folder / "key.csv",
        ("case", "patient", "recording"),
        ((one.case, one.patient, os.path.relpath(one.path, root)) for one in log.taken),
    )
    write_csv(
        folder / "scenes.csv",
        ("case", "scene", "name"),
        ((one.case, number, name) for one in log.taken for number, name in enumerate(one.scene_names, 1)),
    )


def _add_notes(log: Any, report: Dict[str, Any]) -> None:
    phantoms = sum(one.phantom for one in log.taken)
    if phantoms:
        log.notes.append(
            f"{phantoms} of {len(log.taken)} recordings show a phantom: results say nothing about patients"
        )
    nameless = sum(not one.named_patient for one in log.taken)
    if nameless:
        log.notes.append(
            f"{nameless} recording(s) name no patient, in the file or by key 'patient' of the label file: each "
            "counts as a patient of its own. If two are of one patient, the split mixes training and test data"
        )
    if report["split_by"] in LEAKS:
        log.notes.append(LEAKS[report["split_by"]])
    if log.clipped or log.outside:
        log.notes.append(
            f"{log.clipped} box(es) were clipped to the picture; {log.outside} box(es) outside of it were left out"
        )
    gaps = report["scenes"]["with_gaps"]
    if gaps:
        log.notes.append(
            f"{gaps} scene(s) miss frames between their first and last: a frame after a gap is its own previous frame"
        )
