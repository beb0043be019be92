"""A public set of CT or MRI -> prepared data, by its layout: parallel over cases, and gone on with after a break."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from gluon_liver.data.coco import save_labels
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.splits import SPLIT_NAMES, Splits, make_splits
from gluon_liver.errors import InputError, SplitError
from gluon_liver.files.output_folder import check_output, why_not_written
from gluon_liver.files.unfinished import PARTS, unfinished_folder
from gluon_liver.prepare.folder import describe, write_records
from gluon_liver.prepare.grid_report import label_notes
from gluon_liver.prepare.pseudonyms import salt_notes, salt_or_random, salted_hash
from gluon_liver.prepare.report import Table, private_file, write_private_files
from gluon_liver.prepare.study_log import StudyLog, study_lines
from gluon_liver.readers.volumes.hu_check import CHECKS
from gluon_liver.readers.volumes.reading import VolumeReading, volumes_read
from gluon_liver.structures.shared_images import Groups

from .case_import import CaseRecord, CaseRules, modality_of, open_phases, reason_of
from .case_jobs import import_cases
from .layout import Found, Layout, MaskLabels, SetCase
from .registry import LAYOUTS

NAN = "nan"
ACCEPTED = (*CHECKS, NAN)
FRACTIONS = (0.7, 0.1, 0.2)
TESTED = {
    "layout": "tested on files in this form that tests wrote, and on no real ones",
    "real files": "tested on real files",
}


def layout_of(name: str) -> Layout:
    """The layout of a name. Raises :class:`InputError` that lists those there are."""
    if name not in LAYOUTS:
        raise InputError(f"--layout {name}: there is none of that name for CT; known are {', '.join(sorted(LAYOUTS))}")
    return LAYOUTS[name]()


def plan_lines(
    layout: Layout, source: Union[str, Path], *, affine: Optional[str] = None, accept: Sequence[str] = ()
) -> List[str]:
    """What :func:`import_set` would take, for the screen: headers are read, no voxel is, and nothing is written."""
    source = Path(source)
    found = _find(layout, source)
    rules = _rules(layout, 0.0, affine, accept)
    taken: List[SetCase] = []
    why: Counter[str] = Counter()
    log = StudyLog(reference=layout.reference)
    with volumes_read(rules.reading):
        for case in found.cases:
            try:
                stacks = open_phases(case, rules, "", log, source)
                taken.append(replace(case, phases={phase: case.phases[phase] for phase in stacks}))
            except InputError as error:
                why[f"{reason_of(error, case, source)} (the case)"] += 1
    why.update(f"{one.reason} ({one.where.strip()})" for one in log.quarantined)
    why.update(one.reason for one in found.left_out)
    lines = [f"would take: {len(taken)} case(s) of {len({case.patient for case in taken})} patient(s)"]
    lines += [f"  {phase}: {sum(phase in case.phases for case in taken)} case(s)" for phase in layout.phases]
    kinds = Counter("masks" if isinstance(one.labels, MaskLabels) else "boxes" for one in taken if one.labels)
    said = ", ".join(f"{kind} of {count} case(s)" for kind, count in sorted(kinds.items())) or "none"
    lines.append(f"labels: {said}; classes {', '.join(layout.classes)}")
    split = Counter(case.split for case in taken)
    official = ", ".join(f"{name} {split[name]}" for name in SPLIT_NAMES)
    lines.append(f"splits: the set's own ({official} cases)" if not split[""] else "splits: by patient, at random")
    lines += [f"left out: {count} time(s): {reason}" for reason, count in sorted(why.items())]
    return lines + [f"note: {note}" for note in _notes(layout, found, rules)]


def import_set(
    layout: Layout,
    source: Union[str, Path],
    out: Union[str, Path],
    *,
    salt: Optional[str] = None,
    min_lesion_mm: float = 0.0,
    fractions: Optional[Sequence[float]] = None,
    seed: int = 0,
    affine: Optional[str] = None,
    accept: Sequence[str] = (),
    jobs: int = 1,
    overwrite: bool = False,
    progress: bool = False,
) -> Dict[str, Any]:
    """Import what the layout finds below ``source`` into the new data folder ``out``; returns the report.

    salt: of the ids; by default the layout's name, which is public as the set is, and random for a layout of private
    data. min_lesion_mm: lesions of masks whose longest side in the plane is shorter are dropped. fractions: of train,
    val and test, refused where the set has splits of its own. affine: see :class:`VolumeReading`. accept: of
    :data:`ACCEPTED`, what is taken as it is. jobs: processes, each of which holds one phase of a case.

    Cases that are done stay in ``out`` + ".unfinished" when the import is interrupted, and are not done again unless
    their files or the options changed. A case or phase that cannot be used is left out with its reason. Raises
    :class:`InputError` where no case is taken and where an option is wrong.
    """
    source, out = Path(source), Path(out)
    _rules(layout, min_lesion_mm, affine, accept)  # before anything is looked for
    make_splits(["any"], fractions=fractions or FRACTIONS, seed=seed)
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: it is a number of processes, 1 or more")
    check_output(out, source, overwrite=overwrite)
    found = _find(layout, source)
    rules = _rules(layout, min_lesion_mm, affine, accept)
    official = all(case.split for case in found.cases)
    if official and fractions is not None:
        raise InputError("the set has splits of its own, which are kept: leave --split-fractions out")
    if official != any(case.split for case in found.cases):
        raise InputError(f"layout {layout.name} gives some cases a split and others none")
    try:
        with unfinished_folder(out, replace=overwrite) as folder:
            salt = _salt(salt, layout, folder / PARTS / "salt")
            records = import_cases(found, rules, salt, source, folder, jobs, progress)
            log = StudyLog(notes=_notes(layout, found, rules), reference=layout.reference)
            log.notes += _salt_notes(salt, layout)
            for record in records:
                record.add_to(log)
            if not log.taken:
                raise InputError(log.refusal(f"no case was taken of {len(found.cases)} that were found"))
            report = _write(layout, found, log, records, rules, folder, official, fractions or FRACTIONS, seed)
            _write_private(found, log, folder / "private", salt)
            if overwrite:
                check_output(out, source, overwrite=True)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {why_not_written(error)}") from error
    return report


def report_lines(report: Dict[str, Any]) -> List[str]:
    """The report for the screen."""
    lesions = report["lesions"]
    lines = [f"set: {report['layout']['title']}", *study_lines(report)]
    if lesions["of_masks"] or lesions["too_small"]:
        small = f", {lesions['too_small']} below {lesions['min_mm']:g} mm were dropped"
        lines.insert(1, f"3D lesions: {lesions['of_masks']}" + small * bool(lesions["too_small"]))
    place = len(lines) - len(report["notes"])
    lines[place:place] = [
        f"left out: {one['count']} time(s): {one['reason']}; private/left-out.csv" for one in report["left_out"]
    ]
    return lines


def _rules(layout: Layout, min_mm: float, affine: Optional[str], accept: Sequence[str]) -> CaseRules:
    unknown = sorted({*accept} - {*ACCEPTED})
    if unknown:
        raise InputError(f"--accept {unknown[0]}: what can be accepted is {', '.join(ACCEPTED)}")
    if not 0 <= min_mm < float("inf"):
        raise InputError(f"--min-lesion-mm {min_mm}: it is a length in mm, 0 or more")
    accepts = tuple(sorted({*layout.accepts, *accept}))
    reading = VolumeReading(affine, NAN in accepts)
    return CaseRules(layout.name, layout.classes, layout.phases, layout.reference, min_mm, accepts, reading)


def _find(layout: Layout, source: Path) -> Found:
    """The cases. Raises :class:`InputError` where there is none, and where two have one name."""
    if not source.is_dir():
        raise InputError(f"{source} is no folder")
    found = layout.find(source)
    twice = [name for name, count in Counter(case.name for case in found.cases).items() if count > 1]
    if twice:
        raise InputError(f"{len(twice)} name(s) of cases are those of several: one copy of the set is taken at a time")
    if not found.cases:
        reasons = Counter(one.reason for one in found.left_out).most_common(3)
        raise InputError(f"{source}: no case of {layout.title}" + "".join(f"; {n} times: {why}" for why, n in reasons))
    return found


def _salt(given: Optional[str], layout: Layout, kept: Path) -> str:
    """The salt; a random one is kept with what is unfinished, so that ids stay what they are."""
    if given is not None or layout.public:
        return salt_or_random(layout.name if given is None else given)
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    salt = salt_or_random(None)
    with private_file(kept) as stream:
        stream.write(salt)
    return salt


def _salt_notes(salt: str, layout: Layout) -> List[str]:
    if layout.public and salt == layout.name:
        return [f"ids are made with the salt {salt!r}, which is public, as the set is: they are reproducible"]
    return salt_notes(salt)


def _notes(layout: Layout, found: Found, rules: CaseRules) -> List[str]:
    notes = [f"layout {layout.name}: {TESTED[layout.tested]}", *found.notes]
    notes += sorted({note for case in found.cases for note in case.notes})
    if rules.accepts:
        notes.append(f"taken as they are, though they look wrong: volumes that are {', '.join(rules.accepts)}")
    return notes


def _write(
    layout: Layout,
    found: Found,
    log: StudyLog,
    records: Sequence[CaseRecord],
    rules: CaseRules,
    folder: Path,
    official: bool,
    fractions: Sequence[float],
    seed: int,
) -> Dict[str, Any]:
    """Everything of the data folder beside studies/ and private/."""
    together = log.note_twins()
    split_of = {case.name: case.split for case in found.cases}
    if official:
        splits, together = _official(log, records, split_of, together, seed)
    else:
        patients = [one.patient for one in log.taken]
        splits = make_splits(patients, fractions=fractions, seed=seed, together=together)
    save_labels(log.images, layout.classes, folder / "labels.json")
    modality = max((modality_of(case.phases) for case in found.cases), key=("CT", "MRI").index)
    if modality == "CT":
        log.note_airless()
    drawn = sorted({case.labels.phase for case in found.cases if case.labels is not None} - {layout.reference})
    log.notes += label_notes(log.label_slices, log.not_carried, " and ".join(drawn), layout.reference)
    left_out = Counter(one.reason for one in found.left_out)
    lesions = [sum(getattr(record, name) for record in records) for name in ("lesions", "too_small")]
    report = {
        "format": 1,
        "layout": {"name": layout.name, "title": layout.title, "tested": layout.tested},
        "accepted": list(rules.accepts),
        "lesions": {"min_mm": rules.min_mm, "of_masks": lesions[0], "too_small": lesions[1]},
        "left_out": [{"reason": reason, "count": count} for reason, count in sorted(left_out.items())],
        **log.report(layout.phases, [], splits, layout.classes),
    }
    own = {
        "layout": layout.name,
        "modality": modality,
        "phases": list(layout.phases),
        "reference_phase": layout.reference,
        "classes": list(layout.classes),
        **({"labels_on": " and ".join(drawn)} if log.label_slices["images", "carried"] else {}),
    }
    description = describe(CTDataset, own, log.taken, "case patient slices fingerprint", together)
    write_records(folder, splits, report, description)
    return report


def _official(
    log: StudyLog, records: Sequence[CaseRecord], split_of: Dict[str, str], together: Groups, seed: int
) -> Tuple[Splits, Groups]:
    """The set's own splits, and the groups of patients with shared images that one of them holds whole.

    Raises :class:`SplitError` where the set has a patient in two.
    """
    of: Dict[str, str] = {}
    for record, result in zip(records, log.studies):
        if result.taken:
            split = split_of[record.name]
            if of.setdefault(result.patient, split) != split:
                raise SplitError(f"the set's own splits have {result.patient} in {of[result.patient]} and in {split}")
    parts = {name: tuple(sorted(one for one, split in of.items() if split == name)) for name in SPLIT_NAMES}
    parted = [group for group in together if len({of[patient] for patient in group}) > 1]
    for group in parted:
        log.notes.append(f"the set's own splits part {' and '.join(group)}, who share images: kept as the set has it")
    return Splits(**parts, seed=seed), [group for group in together if group not in parted]


def _write_private(found: Found, log: StudyLog, folder: Path, salt: str) -> None:
    """What leads back to the names of the set and its files."""
    by_id = {salted_hash("case", salt, case.name): case for case in found.cases}
    cases = []
    for one in log.studies:
        case = by_id[one.case]
        files = [f"{phase}: {volume.name}" for phase, volume in case.phases.items()]
        cases.append((one.case, one.patient, case.name, case.patient, int(one.taken), "; ".join(files)))
    header = ("case", "patient", "name", "patient_name", "taken", "files")
    left_out = [(one.path, one.reason) for one in found.left_out]
    tables: Dict[str, Table] = {"case-ids.csv": (header, cases), "left-out.csv": (("path", "reason"), left_out)}
    for name in ("salt.txt", *tables):
        (folder / name).unlink(missing_ok=True)
    write_private_files(folder, {"salt.txt": salt + "\n"}, tables)
