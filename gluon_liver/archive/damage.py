"""Unusable files of a series: where in its stack they lie, and what one can do about them."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from gluon_liver.errors import ConflictError, DicomError, NoPlaceError
from gluon_liver.files.listing import SKIP
from gluon_liver.readers.dicom.file_header import FileHeader, SliceHeader
from gluon_liver.readers.dicom.pixels import is_compressed, read_words
from gluon_liver.readers.dicom.series import Rejection, Scan, SeriesFiles, file_range
from gluon_liver.readers.dicom.slice_grid import project_positions

MAX_PAGES = 2  # images without a place in a series of up to 20; a tenth of longer ones
FIRST, LAST, INSIDE = "the first slice", "the last slice", "inside the stack"


def without_pages(files: Sequence[FileHeader], name: str, scan: Scan) -> List[FileHeader]:
    """The files of a series without the few that do not say where they lie: pages, not slices.

    Where many do not, or nothing else is left, they stay defects.
    """
    pages = [header for header in files if isinstance(header.defect, NoPlaceError)]
    slices = sum(len(header.slices) for header in files)
    if not pages or slices < 2 or len(pages) > max(MAX_PAGES, slices // 10):
        return list(files)
    what = "pages of text, localizers, or slices that lost their place"
    reason = f"{len(pages)} image(s): of {name}, without ImagePositionPatient or ImageOrientationPatient ({what})"
    scan.rejected.append(Rejection(file_range(pages), reason, "no-place", len(pages)))
    scan.unused.update((header.sop_instance_uid, "it does not say where it lies") for header in pages)
    return [header for header in files if header not in pages]


def judge_damage(files: Sequence[FileHeader], name: str, scan: Scan, *, skip: bool) -> List[FileHeader]:
    """Say of each damaged file of a series where it lies and how to go on; with ``skip``, leave it out."""
    if skip:
        for header in files:
            if header.slices and is_compressed(header.slices[0].transfer_syntax):
                _try_to_decode(header)
    slices = [one for header in files for one in header.slices]
    sound: List[FileHeader] = []
    for header in files:
        if header.defect is None or isinstance(header.defect, ConflictError) or not slices:
            sound.append(header)
            continue
        where = _where(header.position, slices)
        if skip:
            reason = f"{header.defect}; left out of {name}" + f" ({where})" * bool(where)
            scan.rejected.append(Rejection(f"file {header.file:04d}", reason, type(header.defect).__name__))
            scan.unused[header.sop_instance_uid] = "its file is unusable"
        else:
            header.defect = type(header.defect)(f"{header.defect}; {_advice(where, name)}")
            sound.append(header)
    return sound


def advice_on(error: DicomError, series: SeriesFiles) -> str:
    """How to go on after ``error`` in decoding one file of a series; "" where it has nothing to do with one file."""
    own = [one for one in series.slices if one.file == error.file]
    others = [one for one in series.slices if one.file != error.file]
    return f"; {_advice(_where(own[0].position, others), series.name)}" if own and others else ""


def _try_to_decode(header: FileHeader) -> None:
    """Give the file a defect where its compressed pixels cannot be decoded."""
    try:
        read_words(header.slices[0], f"file {header.file:04d}")
    except DicomError as error:
        header.fail(error)


def _where(position: Optional[Tuple[float, ...]], slices: Sequence[SliceHeader]) -> str:
    """Where a slice lies among the others, "" where that is not known."""
    if position is None:
        return ""
    upward, along = project_positions(slices)
    place: Any = sum(x * axis for x, axis in zip(position, upward))
    return LAST if place > along.max() else FIRST if place < along.min() else INSIDE


def _advice(where: str, name: str) -> str:
    if where == INSIDE:
        return f"it lies inside {name}: import with {SKIP} to leave it out, and with --regrid to fill the gap"
    is_end = f"it is {where} of {name}: " if where else ""
    return f"{is_end}import with {SKIP} to go on without it"
