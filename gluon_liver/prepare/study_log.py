"""What an import of studies took, whatever files these are in, beside what :mod:`.report` says of every import."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.splits import Splits
from gluon_liver.structures.enumerations import first_of
from gluon_liver.structures.shared_images import MIN_SHARED, Digests, Groups, joined

from .grid_report import grid_words
from .report import CaseResult, ImportLog, fields_of, label_counts, not_taken_lines, sizes_line, split_sizes, summary_of

MAX_CASES = 6  # that a note names


@dataclass
class StudyResult(CaseResult):
    """What became of one case.

    key, study_uids: see :class:`Case`, of a case of DICOM. phases: phase -> what was taken for it, counts and rules
    only. digests: phase -> those of its slices. airless: the reference phase holds no air.
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


@dataclass
class StudyLog(ImportLog):
    """The studies of an import and their labels.

    reference: the phase that labels are on. label_slices: (images or boxes, what became of their slices) -> how many.
    not_carried: ids of labelled images by the reason why they have no place.
    """

    reference: str = ""
    studies: List[StudyResult] = field(default_factory=list)
    images: List[CTLabel] = field(default_factory=list)
    label_slices: Counter[Tuple[str, str]] = field(default_factory=Counter)
    not_carried: Dict[str, List[Any]] = field(default_factory=dict)

    @property
    def taken(self) -> List[StudyResult]:
        """The studies that were taken."""
        return [study for study in self.studies if study.taken]

    def note_airless(self) -> None:
        """Note studies of which the values are no HU, or those of an organ alone."""
        airless = [one.case for one in self.taken if one.airless and not one.phantom]
        if airless:
            which = f"{first_of(airless, MAX_CASES)} ({len(airless)} of {len(self.taken)} studies)"
            self.notes.append(
                f"no air (all pixels above -500 HU) in {self.reference} of {which}: a map of probabilities, a picture "
                "of 8 bits, or a CT from which an organ was cut? Look at them; an import of DICOM leaves them out with "
                "--exclude"
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

    def report(
        self, phases: Sequence[str], rejected: Iterable[Mapping[str, Any]], splits: Splits, classes: Sequence[str]
    ) -> Dict[str, Any]:
        """What import-report.json has of any import of studies. rejected: what was no image of a study."""
        return {
            **self.account(phases, rejected),
            "same_examination": [fields_of(one, "cases images") for one in self.twins],
            "studies_not_taken": [one.case for one in self.studies if not one.taken],
            "labels": {
                **label_counts([image.labels for image in self.images], classes),
                "not_taken": self.labels_not_taken.to_json(),
                "on_changed_slices": {
                    what: {kind: self.label_slices[kind, what] for kind in ("images", "boxes")}
                    for what in ("interpolated", "blended", "shifted", "carried")
                },
            },
            "patients": split_sizes(splits),
        }

    def account(self, phases: Sequence[str], rejected: Iterable[Mapping[str, Any]]) -> Dict[str, Any]:
        """What was taken and what was left out, of labels nothing. rejected: what was no image of a study."""
        return {
            "phases": list(phases),
            "reference_phase": self.reference,
            "taken": [fields_of(one, "case patient slices phases") for one in self.taken],
            "rejected": list(rejected),
            "quarantined": [vars(one) for one in self.quarantined],
            "notes": self.notes,
        }


def study_lines(report: Mapping[str, Any]) -> List[str]:
    """What :meth:`StudyLog.report` says, for the screen."""
    labels = report["labels"]
    by_class = ", ".join(f"{count} {name}" for name, count in labels["boxes_by_class"].items())
    by_class = f" ({by_class})" if labels["boxes"] else ""
    lines = taken_lines(report)
    lines.append(
        f"labels: {labels['boxes']} box(es){by_class} on {labels['images'] - labels['background']} slice(s), "
        f"{labels['background']} background slice(s)"
    )
    lines += [*not_taken_lines(report), sizes_line("patients", report["patients"])]
    lines += left_out_lines(report)
    if report["studies_not_taken"]:
        lines.append(f"studies not taken: {len(report['studies_not_taken'])}")
    return lines + note_lines(report)


def taken_lines(report: Mapping[str, Any]) -> List[str]:
    """The studies that were taken and the series of each phase, for the screen."""
    taken = report["taken"]
    patients = len({one["patient"] for one in taken})
    lines = [
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
    return lines


def left_out_lines(report: Mapping[str, Any], *, whole: str = "; see import-report.json") -> List[str]:
    """What was left out, for the screen. whole: where reasons beyond the first lines stand."""
    return [
        *summary_of("left out", report["rejected"], whole=whole),
        *summary_of("quarantined", report["quarantined"], whole=whole),
    ]


def note_lines(report: Mapping[str, Any]) -> List[str]:
    """The notes, for the screen."""
    return [f"note: {note}" for note in report["notes"]]
