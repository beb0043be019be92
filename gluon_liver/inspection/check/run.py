"""``data check``: every check in turn, and what they found as text and JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from gluon_liver.data.check import check_volumes
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.description import read_description
from gluon_liver.data.open import TASKS, open_dataset
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import AnnotationError, InputError, SplitError
from gluon_liver.inspection.organs import organs_of
from gluon_liver.structures.arrays import FloatArray
from gluon_liver.system.terminal import progress_bar

from .copies import check_fingerprints, check_near, check_parts, descriptors
from .counts import check_boxes, check_counts, check_lesions
from .files import check_files
from .findings import NOTE, PROBLEM, SEVERITIES, WARNING, Finding, ordered
from .phases import findings_of_phases, meaning_of, swapped
from .pixels import boxes_on_air, check_frames, check_hu, findings_of_hu

SOUND = ("as imported", "not known")  # what check_volumes says of files that nobody changed


def check(folder: Path, *, progress: bool = False) -> List[Finding]:
    """Everything that is found in prepared data, the worst first.

    Raises :class:`gluon_liver.errors.DatasetError` where they cannot be read. Faults of labels and splits that keep the
    data from being opened are findings; what needs them open is then not checked, and said.
    """
    read_description(folder, kinds=list(TASKS))
    found = list(check_files(folder))
    try:
        dataset = open_dataset(folder)
    except InputError as error:
        if not (isinstance(error, (AnnotationError, SplitError)) or any(one.severity == PROBLEM for one in found)):
            raise
        advice = "mend labels.json or splits.json first: sizes, pixels, phases and copies were not checked"
        return ordered([*found, Finding(PROBLEM, "opening", [], f"the data cannot be opened: {error}", advice)])
    found += [
        *_changed(dataset),
        *check_counts(dataset),
        *check_boxes(dataset),
        *check_parts(dataset),
        *check_fingerprints(dataset),
    ]
    if isinstance(dataset, CTDataset):
        found += [*check_lesions(dataset), *_pixels(dataset, progress)]
    elif isinstance(dataset, USDataset):
        found += check_frames(dataset)
        described = {info.case: descriptors(dataset, info.case) for info in dataset.cases}
        found += check_near(dataset, described)
    return ordered(found)


def _changed(dataset: Dataset) -> Iterator[Finding]:
    """Stored pixels that are not those of the import."""
    places = [f"{case}: {state}" for case, state in check_volumes(dataset).items() if state not in SOUND]
    if places:
        advice = "runs and reports name the pixels of the import: import the data again, unless the change is meant"
        yield Finding(WARNING, "files", places, f"pixels of {len(places)} case(s) are not as imported", advice)


def _pixels(dataset: CTDataset, progress: bool) -> Iterator[Finding]:
    """HU, phases and near duplicates, each study read once; of MRI none of them."""
    if not dataset.holds_hu:
        yield Finding(NOTE, "pixels", [], "pixels are no HU: values, phases and near duplicates were not checked", "")
        return
    hu: Dict[str, List[str]] = defaultdict(list)
    phases: Dict[str, List[str]] = {}
    air: List[str] = []
    unseen: List[str] = []
    described: Dict[str, FloatArray] = {}
    for info in progress_bar(dataset.cases, text="studies", unit="study", show=progress):
        study = dataset.study(info.case)
        check_hu(study, hu)
        air += boxes_on_air(dataset, study)
        organs = organs_of(study)
        phases[info.case] = swapped(organs)
        if any(map(meaning_of, study.phases)) and not any(one.aorta is not None for one in organs.values()):
            unseen.append(info.case)
        described[info.case] = descriptors(dataset, info.case)
    yield from findings_of_hu(hu)
    if air:
        advice = "are the slices counted from the other end, or the boxes of another series?"
        yield Finding(WARNING, "boxes", air, f"{len(air)} boxes lie mostly on air", advice)
    yield from findings_of_phases(phases)
    if unseen:
        what = f"in {len(unseen)} study(s) no aorta was found: their phases were not checked"
        yield Finding(NOTE, "phases", unseen, what, "")
    yield from check_near(dataset, described)


def lines_of(findings: Sequence[Finding]) -> List[str]:
    """The findings for the screen, and how many there are."""
    counts = Counter(one.severity for one in findings)
    total = ", ".join(f"{counts[severity]} {severity}(s)" for severity in SEVERITIES if counts[severity])
    return [line for one in findings for line in one.lines()] + [total or "nothing found"]


def as_json(dataset_folder: Path, findings: Sequence[Finding]) -> Dict[str, Any]:
    """What --json writes; of the folder its name alone."""
    counts = Counter(one.severity for one in findings)
    return {
        "data": dataset_folder.name,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "findings": [one.to_json() for one in findings],
    }
