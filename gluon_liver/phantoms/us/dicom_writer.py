"""A phantom sweep as one DICOM file: Ultrasound Multi-frame Image Storage, Explicit VR Little Endian, uncompressed."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from gluon_liver.phantoms.dicom_file import new_header, write_file
from gluon_liver.structures.arrays import Array

from .sweep import PhantomScene

US_MULTI_FRAME_STORAGE = "1.2.840.10008.5.1.4.1.1.3.1"
CENTIMETRES = 3  # PS3.3 C.8.5.5.1.15: unit of PhysicalDelta


def write_us_dicom(scene: PhantomScene, frames: Array, path: Path) -> None:
    """Write ``frames``, uint8 (k, rows, columns), with whatever is burned in."""
    header = new_header()
    header.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
    header.SOPClassUID, header.SOPInstanceUID = US_MULTI_FRAME_STORAGE, scene.uid("image")
    header.StudyDate = header.ContentDate = "20200101"
    header.StudyTime = header.ContentTime = "100000"
    header.AccessionNumber, header.Modality, header.ManufacturerModelName = "", "US", "US phantom"
    header.SeriesDescription = "SYNTHETIC LIVER SWEEP"
    header.PatientName, header.PatientID = f"PHANTOM^US^{scene.patient:04d}", scene.patient_id
    header.SequenceOfUltrasoundRegions = [_region(scene)]
    header.StudyInstanceUID, header.SeriesInstanceUID = scene.uid("study"), scene.uid("series")
    header.StudyID, header.SeriesNumber, header.InstanceNumber = f"{scene.index}", "1", "1"
    header.NumberOfFrames, header.Rows, header.Columns = frames.shape
    header.FrameTime, header.FrameIncrementPointer = "50", 0x00181063
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.BurnedInAnnotation, header.LossyImageCompression = "YES", "00"
    header.add_new("PixelData", "OB", frames.tobytes())
    write_file(header, path)


def _region(scene: PhantomScene) -> Dataset:
    """The fan's rectangle; the tags name its first and last pixel."""
    x1, y1, x2, y2 = scene.fan.region
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = x1, y1
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = x2 - 1, y2 - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = CENTIMETRES
    region.PhysicalDeltaX = region.PhysicalDeltaY = float(scene.fan.pixel_mm) / 10.0
    return region
