"""A folder of files -> CT series, by their headers alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, List, Sequence, Tuple, Union

from gluon_liver.errors import DicomError, InputError, UnreadableFileError
from gluon_liver.files.listing import Listing, list_files
from gluon_liver.readers.dicom.file_header import FileHeader
from gluon_liver.readers.dicom.header import NotDicom, read_header
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.series import Rejection, Scan, SeriesFiles, file_range, split_series
from gluon_liver.system.terminal import progress_bar

from .copies import without_copies
from .damage import judge_damage, without_pages
from .identity import person_notes, with_conflicts
from .label_like import label_like


def scan_folder(
    folder: Union[str, Path], *, exclude: Sequence[str] = (), skip_damaged: bool = False, progress: bool = False
) -> Scan:
    """Read the header of every file below ``folder`` once and sort the CT slices into series.

    exclude: globs of paths below the folder, of files to leave out. skip_damaged: go on without files and folders
    that cannot be used. Files are numbered from 1 in the order of their paths, whether they are left out or not,
    series in the order of their identifiers. Files that are not DICOM, or not axial CT images, are rejections; a
    damaged CT image is a defect of its series. Raises :class:`InputError` where ``folder`` is no folder or is empty.
    """
    folder = Path(folder)
    listing = _list(folder, exclude, skip_damaged)
    scan = Scan(series=[], rejected=[], root=folder, paths=listing.paths, notes=listing.notes())
    by_series: Dict[Tuple[str, str, str], List[FileHeader]] = defaultdict(list)
    headers = _read_headers(listing, scan, progress)
    scan.notes += person_notes(headers)
    for header in without_copies(headers, scan):
        by_series[header.series_uid, header.study_uid, header.patient_id].append(header)
    for number, uids in enumerate(sorted(by_series), 1):
        name = f"series {number:02d}"
        files = without_pages(by_series[uids], name, scan)
        files = judge_damage(files, name, scan, skip=skip_damaged)
        scan.series.extend(_without_masks_beside(map(_with_kind, split_series(files, number, scan))))
    scan.series = with_conflicts(scan.series)
    return scan


def _with_kind(series: SeriesFiles) -> SeriesFiles:
    """The series, marked where it looks like labels."""
    reason = label_like(series)
    return replace(series, kind="labels", kind_reason=reason) if reason else series


def _without_masks_beside(pieces: Iterable[SeriesFiles]) -> List[SeriesFiles]:
    """The pieces of one series; one that shares it with masks alone is no acquisition among several."""
    pieces = list(pieces)
    if len(pieces) - sum(one.kind == "labels" for one in pieces) != 1:
        return pieces
    return [one if one.kind == "labels" else replace(one, acquisition=0) for one in pieces]


def _list(folder: Path, exclude: Sequence[str], skip_damaged: bool) -> Listing:
    if not folder.is_dir():
        is_file = f"{folder} is a file; give the folder that holds the DICOM files"
        raise InputError(is_file if folder.exists() else f"{folder}: there is no such folder")
    listing = list_files(folder, exclude, skip_closed=skip_damaged)
    if not listing.paths:
        raise InputError(f"{folder} is empty: there is no file in it or below it")
    return listing


def _read_headers(listing: Listing, scan: Scan, progress: bool) -> List[FileHeader]:
    """The CT images of the files; what is none is rejected, what is damaged has a defect."""
    headers: List[FileHeader] = []
    dropped: Dict[Tuple[str, str, str], List[FileHeader]] = defaultdict(list)
    total = len(listing.paths)
    with quiet_pydicom():
        bar = progress_bar(listing.paths, text="headers", unit="file", show=progress)
        for number, path in enumerate(bar, 1):
            if path in listing.excluded:
                continue
            try:
                header = read_header(path, number, f"file {number:04d} of {total:04d}")
            except (NotDicom, DicomError) as error:
                kind = error.kind if isinstance(error, NotDicom) else type(error).__name__
                if isinstance(error, DicomError):
                    scan.dicom_files += not isinstance(error, UnreadableFileError)
                    scan.lost.append(number)
                scan.rejected.append(Rejection(f"file {number:04d}", str(error), kind))
                continue
            scan.dicom_files += 1
            if header.dropped:
                dropped[(header.series_uid,) + header.dropped].append(header)
                scan.unused[header.sop_instance_uid] = header.dropped[1]
            if header.slices or header.defect:
                headers.append(header)
    for (_, kind, reason), files in dropped.items():
        images = sum(header.dropped_images for header in files)
        scan.rejected.append(Rejection(file_range(files), f"{images} image(s): {reason}", kind, images))
    written = [header for header in headers if header.burned_in and not header.dropped]
    if written:
        says = f"{len(written)} CT image(s), {file_range(written)}, say that text is burned into their pixels"
        stays = "it stays; look at them, and import with --exclude what names a patient"
        scan.notes.append(f"{says} (BurnedInAnnotation): {stays}")
    unsaid = [header for header in headers if header.unit_unsaid]
    if unsaid:
        says = f"{len(unsaid)} CT image(s), {file_range(unsaid)}, have a RescaleType that does not say HU"
        scan.notes.append(f"{says} (US is unspecified): their values are taken as HU")
    padded = sum(header.surplus > 0 for header in headers)
    if padded:
        scan.notes.append(f"{padded} file(s) hold more bytes than their pixels take: padding, not read")
    return headers
