"""Phantom studies as DICOM files: CT Image Storage, Explicit VR Little Endian, one file a slice.

Neither file names nor InstanceNumber tell the order of the slices reliably: names are shuffled over the whole
study and InstanceNumber rises, falls or is shuffled. Positions do.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Dict, Tuple

import numpy as np
from pydicom.dataset import Dataset

from gluon_liver.phantoms.dicom_file import write_file

from .attenuation import PHASES
from .study import PhantomStudy

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
SERIES = {
    # phase: (SeriesDescription, SeriesNumber, time of the scan, contrast medium)
    "non_contrast": ("ABDOMEN NON CONTRAST", 2, "100000", False),
    "arterial": ("LIVER ARTERIAL", 3, "100425", True),
    "delayed": ("DELAYED 5 MIN", 4, "100900", True),
}
PADDING_VALUE = -2000
_WRITING = 4

SliceKey = Tuple[str, int]


def write_study(study: PhantomStudy, folder: Path) -> Dict[SliceKey, Tuple[str, str]]:
    """Write every slice of every phase into ``folder``, which must exist.

    Returns (file name, SOPInstanceUID) by (phase, slice), slice 0 nearest to the feet.
    """
    rng = np.random.default_rng(np.random.SeedSequence([study.seed, _WRITING, study.index]))
    intercept = int(rng.choice((0, -1024)))
    numbering = str(rng.choice(("rising", "falling", "shuffled")))
    keys = [(phase, z) for phase in PHASES for z in range(len(study.hu[phase]))]
    names = dict(zip(keys, rng.permutation(len(keys))))
    written = {}
    for phase in PHASES:
        header = _series_header(study, phase, intercept)
        count = len(study.hu[phase])
        numbers = {"rising": np.arange(count), "falling": np.arange(count)[::-1]}.get(numbering)
        if numbers is None:
            numbers = rng.permutation(count)
        for z in range(count):
            uid = study.uid(phase, z)
            _fill_slice(header, study, phase, z, uid, int(numbers[z]) + 1, intercept)
            name = f"{names[phase, z]:04d}.dcm"
            write_file(header, folder / name)
            written[phase, z] = (name, uid)
    return written


def _series_header(study: PhantomStudy, phase: str, intercept: int) -> Dataset:
    """The elements that all slices of a series share."""
    description, number, time, contrast = SERIES[phase]
    date = datetime.date(2020, 1, 1) + datetime.timedelta(days=study.patient + 180 * study.visit)
    geometry = study.geometry[phase]
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SOPClassUID = CT_IMAGE_STORAGE
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = date.strftime("%Y%m%d")
    header.StudyTime = SERIES[PHASES[0]][2]
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = time
    header.AccessionNumber = f"PH{study.index:06d}"
    header.Modality = "CT"
    header.Manufacturer = "gluon_liver"
    header.ManufacturerModelName = "CT phantom"
    header.ReferringPhysicianName = ""
    header.StudyDescription = "SYNTHETIC ABDOMEN 3 PHASES"
    header.SeriesDescription = description
    header.PatientName = f"PHANTOM^CT^{study.patient:04d}"
    header.PatientID = f"PHANTOM-{study.seed}-{study.patient:04d}"
    header.PatientBirthDate = ""
    header.PatientSex = "O"
    header.QualityControlImage = "YES"
    if contrast:
        header.ContrastBolusAgent = "SIMULATED IODINE"
    header.BodyPartExamined = "ABDOMEN"
    header.SliceThickness = _decimal(study.slice_thickness_mm)
    header.KVP = "120"
    header.DataCollectionDiameter = "500"
    header.ReconstructionDiameter = _decimal(geometry.spacing[1] * geometry.size[1])
    header.GantryDetectorTilt = "0"
    header.XRayTubeCurrent = "200"
    header.ConvolutionKernel = "PHANTOM SOFT"
    header.PatientPosition = "HFS"
    header.StudyInstanceUID = study.study_uid
    header.SeriesInstanceUID = study.uid(phase)
    header.StudyID = f"{study.index}"
    header.SeriesNumber = str(number)
    header.AcquisitionNumber = "1"
    header.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    header.FrameOfReferenceUID = study.uid("frame of reference")
    header.PositionReferenceIndicator = ""
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    _, header.Rows, header.Columns = geometry.size
    header.PixelSpacing = [_decimal(geometry.spacing[1]), _decimal(geometry.spacing[2])]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit = 15
    header.PixelRepresentation = 1
    if study.padded.any():
        header.add_new("PixelPaddingValue", "SS", PADDING_VALUE)
    header.WindowCenter, header.WindowWidth = "80", "150"
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = str(intercept), "1", "HU"
    return header


def _fill_slice(
    header: Dataset, study: PhantomStudy, phase: str, z: int, uid: str, number: int, intercept: int
) -> None:
    x, y, height = study.geometry[phase].index_to_world(np.array([z, 0, 0]))
    header.SOPInstanceUID = uid
    header.InstanceNumber = str(number)
    header.ImagePositionPatient = [_decimal(x), _decimal(y), _decimal(height)]
    header.SliceLocation = _decimal(height)
    stored = study.hu[phase][z] - np.int16(intercept)
    stored[study.padded] = PADDING_VALUE
    header.add_new("PixelData", "OW", stored.astype("<i2").tobytes())


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2), a tenth of a micrometre precise or better."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
