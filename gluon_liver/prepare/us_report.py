"""What an ultrasound import took and what it left out, beside what :mod:`.report` says of every import."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from gluon_liver.data.splits import Splits
from gluon_liver.data.us_labels import USLabel, frame_name, scenes_of
from gluon_liver.data.us_pairs import Pairs, label_distances, seconds
from gluon_liver.labels.us import SourceLabel
from gluon_liver.structures.shared_images import Groups, joined

from .report import (
    MIXES,
    CaseResult,
    ImportLog,
    Table,
    fields_of,
    label_counts,
    not_taken_lines,
    sizes_line,
    split_sizes,
    summary_of,
    write_private_files,
)

LEAKS = {
    "image": "images were split one by one, as in the paper: frames of one scene, fractions of a second apart, are in "
    "training and test at once, so test figures say nothing about new scenes or patients",
    "scene": "scenes were split, not patients: training and test may show the same lesions of the same patient, so "
    "test figures say nothing about new patients",
}


@dataclass
class RecordingResult(CaseResult):
    """What became of one recording. images: its labels as given, by frame. scene_names: number in the output -> name in
    the label file (private). digests: frame -> that of its picture. before: frame -> the one that the step calls its
    previous one, see :func:`frames_before`. unlabelled: rising, the frames that are stored for that alone.
    """

    name: str = ""
    path: str = ""
    images: List[SourceLabel] = field(default_factory=list)
    kind: str = ""
    region: str = ""
    height: int = 0
    width: int = 0
    digests: Dict[int, bytes] = field(default_factory=dict)
    before: Dict[int, int] = field(default_factory=dict)
    unlabelled: List[int] = field(default_factory=list)
    frames_per_second: Optional[float] = None
    named_patient: bool = False
    scene_names: List[str] = field(default_factory=list)
    labels: List[USLabel] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    split: str = ""

    @property
    def image_digests(self) -> Set[bytes]:
        return set(self.digests.values())

    @property
    def frames(self) -> int:
        return len(self.labels) + len(self.unlabelled)

    @property
    def pairs(self) -> Pairs:
        labelled = [label.frame for label in self.labels]
        return Pairs.of(labelled, self.before, [*labelled, *self.unlabelled])

    @property
    def scenes(self) -> int:
        return len(self.scene_names)


@dataclass
class USImportLog(ImportLog):
    """Everything that an import saw, for the report. step: frames to the previous one. clipped, outside: boxes cut by
    the region's edge, and lost. skip_copies: a recording that is there twice is taken once, instead of refused.
    """

    files: int = 0
    step: int = 1
    classes: Tuple[str, ...] = ()
    taken: List[RecordingResult] = field(default_factory=list)
    clipped: int = 0
    outside: int = 0
    skip_copies: bool = False

    def note_twins(self, split_by: str) -> Groups:
        """Note recordings that share frames; groups of patients or scenes for one split, none of images."""
        self.note_same_images(self.taken, "frames", split_by)
        pairs = [pair.cases for pair in self.twins]
        patient_of = {one.case: one.patient for one in self.taken}
        if split_by == "patient":
            return joined((patient_of[one], patient_of[other]) for one, other in pairs)
        return joined(self._scenes_alike(pairs)) if split_by == "scene" else []

    def _scenes_alike(self, pairs: Iterable[Tuple[str, str]]) -> Iterator[Tuple[str, str]]:
        """Scenes of two recordings that show the same frame."""
        digests = {one.case: one.digests for one in self.taken}
        scenes: Dict[str, Dict[bytes, str]] = {case: {} for case in digests}
        before = {one.case: one.before for one in self.taken}
        for scene in scenes_of(self.labels):
            for frame in {*scene.frames, *(before[scene.case].get(frame, frame) for frame in scene.frames)}:
                if frame in digests[scene.case]:
                    scenes[scene.case][digests[scene.case][frame]] = scene.name
        for one, other in pairs:
            yield from ((scenes[one][same], scenes[other][same]) for same in scenes[one].keys() & scenes[other].keys())

    @property
    def labels(self) -> List[USLabel]:
        return [label for one in self.taken for label in one.labels]


def build_report(log: USImportLog, splits: Splits, split_by: str) -> Dict[str, Any]:
    """The JSON-able content of import-report.json."""
    labels, scenes = log.labels, scenes_of(log.labels)
    pairs = Pairs.of_all(one.pairs for one in log.taken)
    report = {
        "format": 1,
        "files": {"found": log.files},
        "taken": [fields_of(one, "case patient kind region frames scenes height width notes") for one in log.taken],
        "same_examination": [fields_of(one, "cases images") for one in log.twins],
        "quarantined": [vars(one) for one in log.quarantined],
        "labels": {
            **label_counts([label.labels for label in labels], log.classes),
            "clipped": log.clipped,
            "outside": log.outside,
            "not_taken": log.labels_not_taken.to_json(),
        },
        "scenes": {
            "count": len(scenes),
            "with_gaps": sum(not scene.consecutive for scene in scenes),
            "frames_without_previous": pairs.first + pairs.missing,
        },
        "previous_frames": _previous(log, pairs, _shown(log, splits) if split_by == "image" else 0),
        "split_by": split_by,
        "splits": split_sizes(splits),
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
        f"scenes: {scenes['count']}, {scenes['with_gaps']} with gaps between labelled frames",
        *_previous_lines(report["previous_frames"]),
        sizes_line(f"split by {report['split_by']}", report["splits"]),
    ]
    lines += not_taken_lines(report) + summary_of("quarantined", report["quarantined"])
    notes = Counter(note for one in taken for note in one["notes"])
    lines += [f"note: {count} recording(s): {note}" for note, count in notes.items()]
    return lines + [f"note: {note}" for note in report["notes"]]


def write_private(
    log: USImportLog, folder: Path, salt: str, source: Path, left_out: Sequence[Tuple[str, str]] = ()
) -> None:
    """The listing that leads back to patients. left_out: (path, reason) of what a layout could not take."""
    root = source if source.is_dir() else source.parent
    key = ((one.case, one.patient, os.path.relpath(one.path, root)) for one in log.taken)
    scenes = ((one.case, number, name) for one in log.taken for number, name in enumerate(one.scene_names, 1))
    tables: Dict[str, Table] = {"key.csv": (("case", "patient", "recording"), key)}
    tables["scenes.csv"] = ("case", "scene", "name"), scenes
    if left_out:
        tables["left-out.csv"] = ("path", "reason"), left_out
    write_private_files(folder, {"salt": salt + "\n"}, tables)


def _add_notes(log: USImportLog, report: Dict[str, Any]) -> None:
    log.note_phantoms([one.phantom for one in log.taken], "recordings")
    nameless = sum(not one.named_patient for one in log.taken)
    if nameless:
        unnamed = "recording(s) name no patient, in the file or by key 'patient' of the label file"
        log.notes.append(f"{nameless} {unnamed}: each counts as a patient of its own. {MIXES}")
    meant: Dict[str, Set[str]] = defaultdict(set)
    for one in log.taken:
        for name in {image.patient for image in one.images} - {""}:
            meant[name].add(one.patient)
    parted = sum(len(patients) > 1 for patients in meant.values())
    if parted:
        log.notes.append(f"{parted} patient(s) of the label file are several by their PatientIDs, which count. {MIXES}")
    log.notes += _previous_notes(report["previous_frames"])
    if report["split_by"] in LEAKS:
        log.notes.append(LEAKS[report["split_by"]])
    if log.clipped or log.outside:
        log.notes.append(
            f"{log.clipped} box(es) were clipped to the picture; {log.outside} box(es) outside of it were left out"
        )


def _previous(log: USImportLog, pairs: Pairs, held_out_and_shown: int) -> Dict[str, Any]:
    distances = Counter(
        distance for one in log.taken for distance in label_distances({each.frame: each.scene for each in one.labels})
    )
    stored_bytes = sum(len(one.unlabelled) * one.height * one.width * 3 for one in log.taken)
    return {
        "step": log.step,
        "rates": sorted({one.frames_per_second for one in log.taken}, key=lambda rate: rate or 0),
        **pairs._asdict(),
        "stored_for_it": sum(len(one.unlabelled) for one in log.taken),
        "megabytes_for_it": round(stored_bytes / 1e6, 1),
        "usual_distance": distances.most_common(1)[0][0] if distances else None,
        "held_out_and_shown": held_out_and_shown,
    }


def _previous_lines(previous: Dict[str, Any]) -> Iterator[str]:
    """What became of previous frames, for the screen."""
    step, rates = previous["step"], previous["rates"]
    alone = previous["first"] + previous["missing"]
    missing = f", {previous['missing']} whose previous one no picture of the folder is" if previous["missing"] else ""
    yield (
        f"previous frames: {step} before{seconds(step, rates)}; {previous['paired']} frame(s) have one, {alone} are "
        f"their own ({previous['first']} at the beginning of their scene{missing})"
    )
    if previous["stored_for_it"]:
        yield (
            f"stored without labels, as previous frames alone: {previous['stored_for_it']} frame(s), "
            f"{previous['megabytes_for_it']} MB; they are neither trained on nor scored by themselves"
        )


def _previous_notes(previous: Dict[str, Any]) -> List[str]:
    """What a user should do, or know, about previous frames."""
    pairs, step = Pairs(previous["paired"], previous["first"], previous["missing"]), previous["step"]
    notes = pairs.faults(step, "labelled frames", remedy="no picture of its folder")
    usual = previous["usual_distance"]
    if usual not in (None, step):
        notes.append(
            f"labelled frames are mostly {usual} apart{seconds(usual, previous['rates'])}: the previous frame is the "
            f"labelled one before with --step {usual}"
        )
    if previous["held_out_and_shown"]:
        notes.append(
            f"{previous['held_out_and_shown']} image(s) of val and test are the previous frame of a training image: "
            "us-flow is trained with these pictures, without their boxes"
        )
    return notes


def _shown(log: USImportLog, splits: Splits) -> int:
    """How many images of val and test are the previous frame of a training image."""
    shown, trained = set(), set(splits.train)
    for one in log.taken:
        shown |= {
            frame_name(one.case, wanted)
            for frame, wanted in one.before.items()
            if frame_name(one.case, frame) in trained
        }
    return len(shown & {*splits.val, *splits.test})
