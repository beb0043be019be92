"""Importing one study of three phases with 500 slices of 512x512 each."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from .report import print_record, timed

SLICES, SIDE, PHASES = 500, 512, ("NON CONTRAST", "ARTERIAL", "DELAYED")
UID = "1.2.826.0.1.3680043.8.498.78."
CT = "1.2.840.10008.5.1.4.1.1.2"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--prepare", action="store_true", help="write the DICOM files and measure nothing")
    args = parser.parse_args()
    if args.prepare:
        prepare(args.source)
        return 0
    from gluon_liver.prepare.ct import import_ct

    shutil.rmtree(args.out, ignore_errors=True)
    seconds = timed(lambda: import_ct(args.source, args.out, salt="benchmark of memory"), warm_up=0, calls=1)
    volumes = len(PHASES) * SLICES * SIDE * SIDE * np.dtype(np.int16).itemsize
    shutil.rmtree(args.out)
    print_record(seconds, packages=("numpy", "pydicom"), constants={"volumes": volumes})
    return 0


def prepare(folder: Path) -> None:
    """Write the slices; nothing where they are."""
    if len(list(folder.rglob("*.dcm"))) == len(PHASES) * SLICES:
        return
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    old = pydicom.__version__.startswith("2.")  # on Python 3.8 and 3.9
    whole_file = {"write_like_original": False} if old else {"enforce_file_format": True}
    rng = np.random.default_rng(0)
    textures = rng.integers(-100, 200, (4, SIDE, SIDE)).astype(np.int16)
    for number, phase in enumerate(PHASES):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        for index in range(SLICES):
            ds = Dataset()
            ds.SOPClassUID, ds.Modality, ds.ImageType = CT, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
            ds.SOPInstanceUID = f"{UID}1.{number + 1}.{index + 1}"
            ds.SeriesInstanceUID, ds.StudyInstanceUID = f"{UID}1.{number + 1}", f"{UID}1"
            ds.FrameOfReferenceUID, ds.PatientID, ds.SeriesDescription = f"{UID}1.0", "P1", phase
            beside = 0.5 * (number - 1)
            ds.ImagePositionPatient = [-180 + beside, -180, round(index + beside / 2, 3)]
            ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.7]
            ds.InstanceNumber, ds.SliceThickness = index + 1, 1
            ds.Rows = ds.Columns = SIDE
            ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
            ds.RescaleSlope, ds.RescaleIntercept = 1, 0
            ds.PixelData = np.roll(textures[index % 4], index, 0).tobytes()
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CT, ds.SOPInstanceUID
            if old:
                ds.is_little_endian, ds.is_implicit_VR = True, False
            ds.save_as(folder / str(number) / f"{index:04d}.dcm", **whole_file)


if __name__ == "__main__":
    sys.exit(main())
