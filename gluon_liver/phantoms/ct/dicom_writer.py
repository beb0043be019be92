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

from gluon_liver.phantoms.dicom_file import new_header, write_file

from .attenuation import PHASES
from .study import PhantomStudy

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
SERIES = {
    # phase: (SeriesDescription, SeriesNumber, time of the scan)
    "non_contrast": ("ABDOMEN NON CONTRAST", "2", "100000"),
    "arterial": ("LIVER ARTERIAL", "3", "100425"),
    "delayed": ("DELAYED 5 MIN", "4", "100900"),
}
PADDING_VALUE = -2000
_WRITING = 4


def write_study(study: PhantomStudy, folder: Path) -> Dict[Tuple[str, int], Tuple[str, str]]:
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
        header = _series_header(study, phase)
        header.RescaleIntercept, header.RescaleSlope, header.RescaleType = str(intercept), "1", "HU"
        rising = np.arange(len(study.hu[phase]))
        numbers = rng.permutation(rising) if numbering == "shuffled" else rising[:: 1 if numbering == "rising" else -1]
        for z, number in enumerate(numbers):
            uid, name = study.uid(phase, z), f"{names[phase, z]:04d}.dcm"
            header.SOPInstanceUID, header.InstanceNumber = uid, str(number + 1)
            header.ImagePositionPatient = [_decimal(mm) for mm in study.geometry.index_to_world(np.array([z, 0, 0]))]
            header.SliceLocation = header.ImagePositionPatient[2]
            stored = study.hu[phase][z] - np.int16(intercept)
            stored[study.padded] = PADDING_VALUE
            header.add_new("PixelData", "OW", stored.astype("<i2").tobytes())
            write_file(header, folder / name)
            written[phase, z] = (name, uid)
    return written


def _series_header(study: PhantomStudy, phase: str) -> Dataset:
    """The elements that all slices of a series share."""
    date = datetime.date(2020, 1, 1) + datetime.timedelta(days=study.patient + 180 * study.visit)
    geometry, header = study.geometry, new_header()
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SOPClassUID, header.Modality = CT_IMAGE_STORAGE, "CT"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = date.strftime("%Y%m%d")
    header.SeriesDescription, header.SeriesNumber, time = SERIES[phase]
    header.StudyTime = SERIES[PHASES[0]][2]
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = time
    header.ManufacturerModelName, header.ConvolutionKernel = "CT phantom", "PHANTOM SOFT"
    header.StudyDescription, header.BodyPartExamined = "SYNTHETIC ABDOMEN 3 PHASES", "ABDOMEN"
    header.PatientName = f"PHANTOM^CT^{study.patient:04d}"
    header.PatientID = f"PHANTOM-{study.seed}-{study.patient:04d}"
    if phase != "non_contrast":
        header.ContrastBolusAgent = "SIMULATED IODINE"
    header.SliceThickness = _decimal(study.slice_thickness_mm)
    header.KVP, header.XRayTubeCurrent, header.GantryDetectorTilt = "120", "200", "0"
    header.DataCollectionDiameter = "500"
    header.ReconstructionDiameter = _decimal(geometry.spacing[1] * geometry.size[1])
    header.StudyInstanceUID, header.SeriesInstanceUID = study.study_uid, study.uid(phase)
    header.AccessionNumber, header.StudyID, header.AcquisitionNumber = f"PH{study.index:06d}", f"{study.index}", "1"
    header.PatientPosition, header.ImageOrientationPatient = "HFS", ["1", "0", "0", "0", "1", "0"]
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = study.uid("frame of reference"), ""
    _, header.Rows, header.Columns = geometry.size
    header.PixelSpacing = [_decimal(mm) for mm in geometry.spacing[1:]]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 1
    if study.padded.any():
        header.add_new("PixelPaddingValue", "SS", PADDING_VALUE)
    header.WindowCenter, header.WindowWidth = "80", "150"
    return header


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2), a tenth of a micrometre precise or better."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
