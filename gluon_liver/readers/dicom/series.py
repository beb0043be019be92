"""DICOM headers -> series: one file for each image, one size and orientation for each series."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.errors import DicomError

from .acquisitions import completes, find_acquisitions
from .file_header import FileHeader, SliceHeader
from .rules import PLAIN, Kind

MIN_PART_SLICES = 3
DIGITS = [1.5e-3] * 6 + [2e-4] * 2  # by which cosines and pixel spacings (mm) differ that were written by two tools


@dataclass(frozen=True)
class Rejection:
    """Something that was not taken: where ("file 0037", "series 03"), why, a machine-readable kind, how many images."""

    where: str
    reason: str
    kind: str
    images: int = 1


@dataclass(frozen=True)
class SeriesFiles:
    """The axial CT slices of one series, or of one part or acquisition of a series that holds several.

    part, acquisition: 0 unless the series has several. A part differs in size, orientation, pixel spacing, frame of
    reference or kind; an acquisition lies over another at the same place.
    defects: what is wrong with files of the series that cannot be used.
    description: that of most of its slices; own_description: no other acquisition of the series has the same.
    phantom: the files say that they show one.
    kind, kind_reason: "" for plain images; "derived", "projection" or "labels" for images that are taken only where
    someone names them, and why. told_by: what tells its acquisitions apart. series_number: SeriesNumber. contrast:
    ContrastBolusAgent. folders: where its files lie, relative to the folder that was scanned.

    The identifiers are patient data: they may be compared and written to the private folder, never shown.
    """

    number: int
    part: int
    patient_id: str
    study_uid: str
    series_uid: str
    description: str
    slices: Tuple[SliceHeader, ...]
    defects: Tuple[DicomError, ...] = ()
    phantom: bool = False
    acquisition: int = 0
    kind: str = ""
    kind_reason: str = ""
    series_number: Optional[int] = None
    contrast: str = ""
    told_by: str = ""
    own_description: bool = False
    folders: Tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What is written after the UID or number of the series to mean this part and acquisition of it."""
        part, acquisition = f" part {self.part}" * bool(self.part), f" acquisition {self.acquisition}"
        return part + acquisition * bool(self.acquisition)

    @property
    def name(self) -> str:
        """The series in messages: "series 03 acquisition 2"."""
        return f"series {self.number:02d}{self.place}"

    @property
    def address(self) -> str:
        """What a phase file writes under `series`: "UID", "UID part 2", "UID acquisition 2"."""
        return self.series_uid + self.place

    @property
    def frame_of_reference(self) -> str:
        return self.slices[0].frame_of_reference if self.slices else ""

    def rejection(self, reason: str, kind: str) -> Rejection:
        """That the whole series was not taken."""
        return Rejection(self.name, reason, kind, len(self.slices) or len(self.defects))


@dataclass
class Scan:
    """What a folder holds.

    root: the folder. paths: file number - 1 -> path, for the private listing only.
    unused: SOPInstanceUID -> why images of this folder belong to no series (dropped, damaged, doubled).
    notes: what a reader of an import's report should know of the folder.
    lost: numbers of DICOM files, or files that may be, of which nothing tells the series.
    """

    series: List[SeriesFiles]
    rejected: List[Rejection]
    root: Path = Path()
    paths: List[Path] = field(default_factory=list)
    unused: Dict[str, str] = field(default_factory=dict)
    dicom_files: int = 0
    notes: List[str] = field(default_factory=list)
    lost: List[int] = field(default_factory=list)


def slice_uid(header: SliceHeader) -> str:
    """The name of a slice in label files: SOPInstanceUID, and "#<frame from 1>" in a multi-frame file."""
    return header.sop_instance_uid if header.frame is None else f"{header.sop_instance_uid}#{header.frame + 1}"


def split_series(files: Sequence[FileHeader], number: int, scan: Scan) -> List[SeriesFiles]:
    """The files of a series by size, orientation, pixel spacing, frame of reference and kind.

    A part of one or two images beside a longer one is a stray image (an unmarked localizer): rejected. Nothing
    depends on the order of ``files``, which is that of their names.
    """
    first = min(files, key=lambda header: (header.sop_instance_uid, header.description, header.patient_id))
    groups = _groups_of_one_look([one for header in files for one in header.slices]) or [[]]
    for stray in [group for group in groups[1:] if len(group) < MIN_PART_SLICES]:
        groups.remove(stray)
        of = f"{len(stray)} image(s) of series {number:02d} differ from its {len(groups[0])} others"
        reason = f"{of} in size, orientation, pixel spacing, frame of reference or ImageType"
        scan.rejected.append(Rejection(file_range(stray), reason, "mixed-series", len(stray)))
        scan.unused.update((slice_uid(one), "it differs from the rest of its series") for one in stray)
    defects = _defects_by_kind(files, groups, number, scan)
    whose = (first.patient_id, first.study_uid, first.series_uid)
    told: Dict[str, Any] = dict(phantom=any(header.phantom for header in files))
    result = []
    for part, group in enumerate(groups, 1) if len(groups) > 1 else [(0, groups[0])]:
        kind, reason = _kind_of(group, files)
        faults = defects[kind != ""]
        found = find_acquisitions(group)
        if found.strays:
            of = f"{len(found.strays)} image(s) of series {number:02d} belong to"
            why = f"{of} acquisitions of one or two images or places ({found.told_by})"
            scan.rejected.append(Rejection(file_range(found.strays), why, "mixed-series", len(found.strays)))
            scan.unused.update((slice_uid(one), "it belongs to an acquisition of its own") for one in found.strays)
        told.update(
            kind=kind, kind_reason=reason, told_by=found.told_by, own_description=_own_descriptions(found.stacks)
        )
        for acquisition, stack in found.stacks:
            said = sorted([one.series for one in stack] or [first.series])
            (counted, description, contrast), _ = Counter(said).most_common(1)[0]
            told.update(series_number=counted if counted >= 0 else None, contrast=contrast)
            told.update(folders=_folders(stack or files, scan.root))
            result.append(
                SeriesFiles(number, part, *whose, description, stack, faults, acquisition=acquisition, **told)
            )
    return result


def _own_descriptions(stacks: Sequence[Tuple[int, Sequence[SliceHeader]]]) -> bool:
    """Whether each of several acquisitions has a SeriesDescription that no other one has."""
    said = [{one.series[1] for one in stack} for _, stack in stacks]
    return len(said) > 1 and all(len(one) == 1 for one in said) and len(set().union(*said)) == len(said)


def _groups_of_one_look(slices: Sequence[SliceHeader]) -> List[List[SliceHeader]]:
    """Slices by what one volume must have in common: strays last, plain images first, then the larger groups."""
    groups: Dict[Tuple[Any, ...], List[SliceHeader]] = defaultdict(list)
    for one in slices:
        look = tuple(np.round(one.orientation, 3) + 0.0) + tuple(np.round(one.pixel_spacing, 4))
        groups[(one.rows, one.columns, one.frame_of_reference, one.layout) + look + (one.kind,)].append(one)
    for group in groups.values():
        group.sort(key=_by_uid)

    _join_what_was_written_otherwise(groups)
    _complete_by_derived(groups)

    def rank(look: Tuple[Any, ...]) -> Tuple[Any, ...]:
        return len(groups[look]) < MIN_PART_SLICES, look[-1], -len(groups[look]), look

    return [groups[look] for look in sorted(groups, key=rank)]


def _join_what_was_written_otherwise(groups: Dict[Tuple[Any, ...], List[SliceHeader]]) -> None:
    """Put a stack together of which a tool wrote some slices with other bits or digits, unless they lie over others."""
    looks = sorted(groups, key=lambda look: (-len(groups[look]), look))
    for look, other in combinations(looks, 2):
        same = look[:3] == other[:3] and look[-1] == other[-1]
        if same and look in groups and other in groups:
            off = np.abs(np.subtract(look[4:-1], other[4:-1]))
            if (off <= DIGITS).all() and completes(groups[look], groups[other]):
                groups[look] = sorted(groups[look] + groups.pop(other), key=_by_uid)


def _by_uid(one: SliceHeader) -> Tuple[str, int]:
    return one.sop_instance_uid, one.frame or 0


def _complete_by_derived(groups: Dict[Tuple[Any, ...], List[SliceHeader]]) -> None:
    """Put a stack together of which some slices are derived (an archive compressed them), unless they lie over others.

    Such a stack is derived as a whole: nobody gets it who did not ask for it.
    """
    for look in [look for look in groups if look[-1]]:
        plain = groups.get((*look[:-1], ""), [])
        if completes(plain, groups[look]):
            groups[look] = sorted(plain + groups[look], key=_by_uid)
            del groups[(*look[:-1], "")]


def _defects_by_kind(
    files: Sequence[FileHeader], groups: Sequence[Sequence[SliceHeader]], number: int, scan: Scan
) -> Dict[bool, Tuple[DicomError, ...]]:
    """What is wrong with files, for the plain groups (False) and for the others (True)."""
    faulty = [header for header in files if header.defect]
    scan.unused.update((header.sop_instance_uid, "its file is unusable") for header in faulty)
    plain, derived = (
        any(group and any(one.kind for one in group) == kind for group in groups) for kind in (False, True)
    )
    lost = [header for header in faulty if header.kind and plain and not derived]
    if lost:
        reason = f"{len(lost)} image(s) of series {number:02d}: derived, and their files are unusable"
        scan.rejected.append(Rejection(file_range(lost), reason, "derived", len(lost)))

    def of(kind: bool, other: bool) -> Tuple[DicomError, ...]:
        """A damaged file that has no group of its kind belongs to all, for it may hold one of their slices."""
        mine = [header for header in faulty if bool(header.kind) == kind or not (other or header in lost)]
        return tuple(header.defect for header in mine if header.defect)

    return {False: of(False, derived), True: of(True, plain)}


def _kind_of(group: Sequence[SliceHeader], files: Sequence[FileHeader]) -> Kind:
    """The kind of slices; of a series none of whose slices can be read, that of its files."""
    odd = [one for one in group if one.kind]
    if group:
        some = "" if len(odd) == len(group) else f"{len(odd)} of its {len(group)} images are "
        return (odd[0].kind, some + odd[0].kind_reason) if odd else PLAIN
    kinds = {header.kind for header in files}
    return (max(kinds), "derived by ImageType") if "" not in kinds else PLAIN


def _folders(files: Sequence[Union[FileHeader, SliceHeader]], root: Path) -> Tuple[str, ...]:
    parents = {one.path.parent for one in files}
    return tuple(sorted(Path(os.path.relpath(parent, root)).as_posix() for parent in parents))


def file_range(files: Sequence[Union[FileHeader, SliceHeader]]) -> str:
    """``file 0037``, or how many files and the first and last number."""
    numbers = sorted({one.file for one in files})
    if len(numbers) == 1:
        return f"file {numbers[0]:04d}"
    return f"{len(numbers)} files, {numbers[0]:04d} to {numbers[-1]:04d}"
