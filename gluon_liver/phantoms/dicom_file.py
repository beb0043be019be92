"""A phantom's DICOM file."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

IMPLEMENTATION_UID = "2.25.302014859273648201745528190463625187401"


def new_header() -> Dataset:
    """What the files of all phantoms say."""
    header = Dataset()
    header.SpecificCharacterSet, header.Manufacturer = "ISO_IR 100", "gluon_liver"
    header.ReferringPhysicianName = header.PatientBirthDate = ""
    header.PatientSex, header.QualityControlImage = "O", "YES"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    return header


def write_file(header: Dataset, path: Path) -> None:
    """One DICOM file (PS3.10), written the same way by pydicom 2.4 and 3."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "GLUON_LIVER"
    with path.open("wb") as raw:
        target = DicomFileLike(raw)
        target.is_little_endian, target.is_implicit_VR = True, False
        target.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(target, meta, enforce_standard=True)
        write_dataset(target, header)
