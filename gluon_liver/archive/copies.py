"""Files that claim one identity: true copies count once, anything else is a conflict that names all of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from operator import attrgetter
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import numpy as np

from gluon_liver.errors import ConflictError, DicomError
from gluon_liver.readers.dicom.file_header import FileHeader
from gluon_liver.readers.dicom.pixels import read_words, stored_values
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.series import Rejection, Scan
from gluon_liver.structures.enumerations import all_of

from .label_like import looks_like_labels

WHOSE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "geometry or rescale", "pixels")
GEOMETRY = "rows columns position orientation pixel_spacing frame_of_reference slope intercept padding"
MAX_NAMED = 4
MASK = "labels", "a mask with the SOPInstanceUID of its CT"
DERIVED = "derived", "a derived copy with other pixels (same SOPInstanceUID)"
REMEDY = "nothing says which is right; import with --exclude to leave out the wrong ones"


def without_copies(headers: Sequence[FileHeader], scan: Scan) -> List[FileHeader]:
    """One file for each SOPInstanceUID, an intact one where there is one; all where they differ, each with a defect.

    Only where a SOPInstanceUID occurs twice are pixels read. A mask that keeps the identifiers of the CT that it was
    drawn on, and a derived copy of other pixels, are left out beside the image itself.
    """
    by_uid: Dict[str, List[FileHeader]] = defaultdict(list)
    for header in headers:
        by_uid[header.sop_instance_uid or f"file {header.file}"].append(header)
    files: List[FileHeader] = []
    conflicts: List[str] = []
    with quiet_pydicom():
        for copies in by_uid.values():
            files += copies if len(copies) == 1 else _one_of(copies, scan, conflicts)
    if conflicts:
        scan.notes.append(
            f"{len(conflicts)} SOPInstanceUID(s) are claimed by files that differ, the first: {conflicts[0]}"
        )
    return files


def _one_of(copies: Sequence[FileHeader], scan: Scan, conflicts: List[str]) -> List[FileHeader]:
    """The files of one SOPInstanceUID that count: one, or of each content one, all of them unusable."""
    contents: Dict[Tuple[Any, ...], List[FileHeader]] = defaultdict(list)
    masks: Set[Tuple[Any, ...]] = set()
    for header in copies:
        content, is_mask = _content(header) if header.slices else (None, False)
        if content is not None:
            contents[content].append(header)
            masks |= {content} if is_mask else set()
    if not contents:
        _reject(copies[1:], copies[0], "another copy (same SOPInstanceUID), as unusable", scan)
        return [copies[0]]
    damaged = [header for header in copies if not header.slices]
    kept = {content: files for content, files in contents.items() if content not in masks} or contents
    kept = {content: files for content, files in kept.items() if any(not one.kind for one in files)} or kept
    firsts = [min(files, key=lambda one: (one.kind, one.file)) for files in kept.values()]
    for files, first in zip(kept.values(), firsts):
        others = [one for one in files if one is not first]
        _reject(others, first, "another copy (same SOPInstanceUID)", scan)
    _reject(damaged, firsts[0], "a damaged copy (same SOPInstanceUID)", scan)
    for content, files in contents.items():
        if content not in kept:
            kind, what = MASK if content in masks else DERIVED
            _reject(files, firsts[0], what, scan, kind=kind)
    if len(kept) > 1:
        differ = [name for name, *values in zip(WHOSE, *kept) if len(set(values)) > 1]
        named = all_of((f"file {number:04d}" for number in sorted(one.file for one in firsts)), MAX_NAMED)
        conflicts.append(f"{named} differ in {', '.join(differ)}")
        for first in firsts:
            first.fail(ConflictError(f"{named} share a SOPInstanceUID but differ in {', '.join(differ)}: {REMEDY}"))
    return firsts


def _content(header: FileHeader) -> Tuple[Optional[Tuple[Any, ...]], bool]:
    """(whose a file is, where its slices lie and a digest of its pixels, whether these are those of a mask).

    A file that cannot be decoded gets a defect and has no content.
    """
    first = header.slices[0]
    geometry = tuple(map(attrgetter(*GEOMETRY.split()), header.slices))
    whose = (header.patient_id, header.study_uid, header.series_uid, header.description, geometry)
    try:
        words = read_words(first, f"file {header.file:04d}")
    except DicomError as error:
        header.fail(error)
        return None, False
    stored = np.ascontiguousarray(stored_values(words, first.layout), "<i4")
    return (*whose, hashlib.sha256(stored.data).hexdigest()), looks_like_labels(first, words)


def _reject(
    files: Iterable[FileHeader], first: FileHeader, reason: str, scan: Scan, *, kind: str = "duplicate"
) -> None:
    twin = f"beside file {first.file:04d}"  # not in the reason, so that equal ones are counted together
    scan.rejected.extend(Rejection(f"file {one.file:04d} {twin}", reason, kind) for one in files)
