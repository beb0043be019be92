"""Sets of DICOM files with a folder for each series, as TCIA's downloads have them: told by one header a folder.

Both namings of the NBIA Data Retriever are read, for no name counts: ``Collection/PatientID/date-description/
number-description-00000/1-001.dcm`` and folders of UIDs below ``metadata.csv``, which repeats what the headers say.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Dict, FrozenSet, List, Optional, Tuple

import pydicom

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import DicomError, InputError
from gluon_liver.files.listing import list_files
from gluon_liver.readers.dicom.charset import decoded_text
from gluon_liver.readers.dicom.pixels import PARSE_ERRORS, check_inflated
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.series import SeriesFiles, slice_uid
from gluon_liver.readers.dicom.tags import text
from gluon_liver.readers.dicom.volume import SeriesStack, open_series
from gluon_liver.readers.masks.segmentation import SEG_CLASSES, Segmentation, open_segmentation

from .layout import Found, LeftOut, PhaseVolume

TRIED = 3  # files of a folder that may be no DICOM before it counts as none: licences, listings
FACTS = (
    "PatientID StudyInstanceUID SeriesInstanceUID SOPClassUID Modality SeriesDescription FrameOfReferenceUID "
    "SpecificCharacterSet"
).split()


@dataclass(frozen=True)
class DicomFolder:
    """A folder that holds one series, by its first file. The identifiers are those of a public set."""

    path: Path
    patient: str
    study: str
    series: str
    description: str
    frame: str
    is_seg: bool
    is_ct: bool

    def name(self, source: Path) -> str:
        """Its path below the set."""
        return self.path.relative_to(source).as_posix()


@dataclass(frozen=True)
class SegmentedSeries:
    """A SEG and the folder of the series that it was drawn on."""

    seg: DicomFolder
    header: Segmentation
    images: DicomFolder


def dicom_folders(source: Path, found: Found) -> List[DicomFolder]:
    """Every folder below ``source`` with DICOM files, in the order of their paths; what is damaged is left out."""
    by_folder: Dict[Path, List[Path]] = defaultdict(list)
    for path in list_files(source).paths:
        if "__MACOSX" not in path.parts and not path.name.startswith("."):
            by_folder[path.parent].append(path)
    folders: List[DicomFolder] = []
    with quiet_pydicom():
        for folder, paths in by_folder.items():
            header = next(filter(None, map(_header, paths[:TRIED])), None)
            if header is None:
                continue
            facts = {keyword: text(header, keyword) for keyword in FACTS}
            patient, study, series = (facts[key] for key in FACTS[:3])
            if not (patient and study and series):
                found.left_out.append(LeftOut(folder.relative_to(source).as_posix(), "a file without its identifiers"))
                continue
            kind = facts["SOPClassUID"] in SEG_CLASSES, facts["Modality"] == "CT"
            said = decoded_text(header, "SeriesDescription")
            folders.append(DicomFolder(folder, patient, study, series, said, facts["FrameOfReferenceUID"], *kind))
    return folders


def segmented_series(folders: List[DicomFolder], source: Path, found: Found) -> List[SegmentedSeries]:
    """The SEG of each patient and its series; what is of no use is added to what ``found`` left out, with the reason.

    The series is the one that the SEG names (its frames' images are not believed), else the only one of its study. Of
    several SEG of one patient none is taken: nothing says which counts.
    """
    by_patient: Dict[str, List[DicomFolder]] = defaultdict(list)
    for one in folders:
        by_patient[one.patient].append(one)
    result: List[SegmentedSeries] = []
    for patient in sorted(by_patient):
        segs = [one for one in by_patient[patient] if one.is_seg]
        why = "its patient has no segmentation" if not segs else f"its patient has {len(segs)} segmentations"
        pair = _pair(segs[0], by_patient[patient], source, found) if len(segs) == 1 else None
        if pair is not None:
            result.append(pair)
        elif len(segs) != 1:
            found.left_out += [LeftOut(one.name(source), why) for one in by_patient[patient]]
    return result


def _pair(seg: DicomFolder, folders: List[DicomFolder], source: Path, found: Found) -> Optional[SegmentedSeries]:
    files = list_files(seg.path).paths
    try:
        header = next(filter(None, (open_segmentation(path, "its segmentation") for path in files)), None)
    except DicomError as error:
        found.left_out.append(LeftOut(seg.name(source), str(error)))
        return None
    images = [one for one in folders if one.is_ct]
    named = [one for one in images if header is not None and one.series in header.series]
    of_study = [one for one in images if one.study == seg.study]
    chosen = named if len(named) == 1 else of_study
    if header is None or len(chosen) != 1:
        why = f"it names none of its patient's series, and its study has {len(of_study)}"
        found.left_out.append(LeftOut(seg.name(source), why))
        return None
    return SegmentedSeries(seg, header, chosen[0])


def phase_volume(folder: DicomFolder, source: Path, drawn_on: Tuple[str, ...] = ()) -> PhaseVolume:
    """The series of a folder. drawn_on: images that a SEG names, which tell one of several acquisitions."""
    return PhaseVolume(folder.name(source), partial(open_folder, folder.path, folder.series, frozenset(drawn_on)))


def open_folder(folder: Path, series_uid: str = "", images: FrozenSet[str] = frozenset()) -> SeriesStack:
    """The CT series of a folder. Raises InputError where it holds none, or several that nothing tells apart.

    series_uid: of the series, "" where the folder has one. images: SOPInstanceUIDs of images of one of several
    acquisitions; which slice each is does not count.
    """
    scan = scan_folder(folder)
    series = [one for one in scan.series if one.series_uid == (series_uid or one.series_uid)]
    series = [one for one in series if one.kind not in ("labels", "projection")]
    if len(series) > 1:
        series = [one for one in series if one.kind == ""] or series
    if len(series) > 1 and images:
        series = [one for one in series if _has_any(one, images)]
    if len(series) != 1:
        reasons = "; ".join(sorted({one.reason for one in scan.rejected})[:3])
        what = f"{len(series)} CT series or acquisitions" if series else "no CT series"
        raise InputError(f"a folder of one series holds {what}" + (f" ({reasons})" if reasons else ""))
    return open_series(series[0])


def _has_any(series: SeriesFiles, images: FrozenSet[str]) -> bool:
    return any(one.sop_instance_uid in images or slice_uid(one) in images for one in series.slices)


def _header(path: Path) -> Optional[pydicom.Dataset]:
    """The header of a DICOM file, None for other files."""
    try:
        with path.open("rb") as stream:
            check_inflated(stream, "a file")
            return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=FACTS)
    except (OSError, DicomError, *PARSE_ERRORS):
        return None
