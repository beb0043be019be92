"""Time and memory of `import ct` for a study of many slices in three phases, from NIfTI and from DICOM.

    python scripts/measure_import.py [--slices 1500] [--side 512] [--kinds nii nii.gz dicom] [--scratch FOLDER]

The phases begin at other heights, so that two of them are resampled onto the grid of the reference phase; the NIfTI
study has a mask of liver and lesions on it. Prints for each kind the seconds and the peak of the process. Needs three
times the study's size on the disk of FOLDER (16 GB for the default) and deletes what it wrote.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, Sequence, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PHASES = ("arterial", "portal_venous", "delayed")
SHIFT_MM = 0.4  # between the phases, along z
SPACING = (1.0, 0.8, 0.8)
SET = "phases: [arterial, portal_venous, delayed]\nclasses: {2: hcc}\nignored: [1]\n"


def slices(count: int, side: int, seed: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """(HU int16, mask uint8) of each slice: a body in air with noise, a liver, and lesions in it."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) / side - 0.5
    body, liver = (x / 0.45) ** 2 + (y / 0.35) ** 2 < 1, (x + 0.15) ** 2 + y**2 < 0.03
    still = np.where(liver, 100, np.where(body, 40, -1000)).astype(np.int16)
    noise = rng.normal(0, 12, (8, side, side)).astype(np.int16)
    for z in range(count):
        lesion = (x + 0.15) ** 2 + y**2 < (0.002 if z % 50 < 12 else 0)
        hu = still + noise[rng.integers(8)]
        hu[lesion] -= 60
        yield hu, np.where(lesion, 2, liver).astype(np.uint8)


def write_nifti(folder: Path, count: int, side: int, ending: str) -> None:
    """A folder of the layout `nifti`, written plane by plane."""
    import nibabel

    (folder / "case").mkdir(parents=True)
    (folder / "set.yaml").write_text(SET)
    files = [(phase, 0, np.int16) for phase in PHASES] + [("mask", 1, np.uint8)]
    for seed, (name, which, kind) in enumerate(files):
        header = nibabel.Nifti1Header()
        header.set_data_dtype(kind)
        header.set_data_shape((side, side, count))
        affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
        affine[2, 3] = SHIFT_MM * (seed % len(PHASES))
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)
        header["vox_offset"], header["magic"] = 352, b"n+1"
        path = folder / "case" / f"{name}.{ending}"
        with gzip.open(path, "wb", compresslevel=1) if ending == "nii.gz" else open(path, "wb") as stream:
            stream.write(header.binaryblock + b"\0" * 4)
            for planes in slices(count, side, seed % len(PHASES)):
                stream.write(planes[which].astype(kind).tobytes())


def write_dicom(folder: Path, count: int, side: int) -> None:
    """A series a phase, a file a slice, uncompressed."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    study, frame = generate_uid(), generate_uid()
    for number, phase in enumerate(PHASES):
        (folder / phase).mkdir(parents=True)
        series = generate_uid()
        for z, (hu, _) in enumerate(slices(count, side, number)):
            one = Dataset()
            one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
            one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
            one.PatientID, one.PatientName, one.Modality = "measured", "measured", "CT"
            one.SeriesDescription, one.SeriesNumber, one.InstanceNumber = phase.replace("_", " "), number + 1, z + 1
            one.ImageType, one.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "AXIAL"], [1, 0, 0, 0, 1, 0]
            one.ImagePositionPatient = [0, 0, round(z * SPACING[0] + SHIFT_MM * number, 3)]
            one.PixelSpacing, one.SliceThickness = list(SPACING[1:]), SPACING[0]
            one.Rows = one.Columns = side
            one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
            one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
            one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, 0, "HU"
            one.PixelData = hu.astype("<i2").tobytes()
            one["PixelData"].VR = "OW"
            one.file_meta = FileMetaDataset()
            one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            one.save_as(folder / phase / f"{z:04d}.dcm", enforce_file_format=True)


def measure(command: Sequence[str]) -> Tuple[float, float]:
    """Seconds and peak in MB of a command and of what it starts. Raises where it fails."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    return time.perf_counter() - begun, float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1500)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--kinds", nargs="+", default=["nii", "nii.gz", "dicom"], choices=["nii", "nii.gz", "dicom"])
    parser.add_argument("--scratch", type=Path)
    args = parser.parse_args()
    print(f"{args.slices} slices of {args.side}x{args.side} in {len(PHASES)} phases")
    for kind in args.kinds:
        with tempfile.TemporaryDirectory(dir=args.scratch) as place:
            source, out = Path(place, "source"), Path(place, "data")
            layout = []
            if kind == "dicom":
                write_dicom(source, args.slices, args.side)
            else:
                write_nifti(source, args.slices, args.side, kind)
                layout = ["--layout", "nifti"]
            command = [sys.executable, "-m", "gluon_liver", "import", "ct", str(source), "--out", str(out), *layout]
            seconds, peak = measure(command)
            print(f"{kind:7} {seconds:7.1f} s {peak:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
