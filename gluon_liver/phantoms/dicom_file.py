"""A phantom's DICOM file."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

IMPLEMENTATION_UID = "2.25.302014859273648201745528190463625187401"


def write_file(header: Dataset, path: Path) -> None:
    """One DICOM file (PS3.10), written the same way by pydicom 2.4 and 3."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "GLUON_LIVER"
    with path.open("wb") as raw:
        target = DicomFileLike(raw)
        target.is_little_endian, target.is_implicit_VR = True, False
        target.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(target, meta, enforce_standard=True)
        write_dataset(target, header)
