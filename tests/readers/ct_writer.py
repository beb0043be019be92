"""Writes tiny CT files for the tests, one rule broken at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = [1, 0, 0, 0, 1, 0]
UID_ROOT = "1.2.826.0.1.3680043.8.498.77."


def uid(*numbers):
    return UID_ROOT + ".".join(str(number) for number in numbers)


def ct_dataset(
    *, study=1, series=1, instance=0, z=0.0, pixels=None, patient="P1", description="ARTERIAL", typed=(), **tags
):
    """A CT slice; a tag set to None is left out. typed: (keyword, value representation, value) of further tags."""
    pixels = np.full((16, 16), instance, np.int16) if pixels is None else pixels
    ds = item(SOPClassUID=CT, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    ds.SOPInstanceUID, ds.SeriesInstanceUID = uid(study, series, instance + 1), uid(study, series)
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid(study), uid(study, 0)
    ds.PatientID, ds.PatientName, ds.SeriesDescription = patient, "Secret^Name", description
    ds.InstanceNumber, ds.SliceThickness = 100 - instance, 99
    ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = [-10, -20, z], AXIAL, [0.5, 0.5]
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.RescaleSlope, ds.RescaleIntercept, ds.PixelData = 1, 0, pixels.tobytes()
    for element in typed:
        ds.add_new(*element)
    return set_tags(ds, tags)


def set_tags(ds, tags):
    """Set the values by keyword; None leaves a tag out."""
    for keyword, value in tags.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def write(ds, path, *, syntax=ExplicitVRLittleEndian):
    """Save ``ds`` as a DICOM file, whatever its transfer syntax; pixel data are taken as they are."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CT)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", uid(9))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if pydicom.__version__.startswith("2."):
        ds.is_little_endian = ds.file_meta.TransferSyntaxUID.is_little_endian
        ds.is_implicit_VR = ds.file_meta.TransferSyntaxUID.is_implicit_VR
        ds.save_as(path, write_like_original=False)
    else:
        ds.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, *, zs=(0.0, 2.0, 4.0, 6.0), series=1, start=0, **common):
    """One file for each z; the pixels of slice i are all i unless given."""
    slices = (ct_dataset(series=series, instance=start + i, z=z, **common) for i, z in enumerate(zs))
    return [write(ds, Path(folder, f"s{series}", f"{start + i:03d}.dcm")) for i, ds in enumerate(slices)]


def cut(path, count):
    """Take the last ``count`` bytes off a file."""
    path.write_bytes(path.read_bytes()[:-count])


def item(**tags):
    return set_tags(Dataset(), tags)


def enhanced_dataset(frames, *, zs, intercepts, share_rescale=False, **tags):
    """Enhanced CT of ``frames`` (n, rows, columns) int16; rescale per frame, or shared with intercepts[0]."""
    ds = ct_dataset(**{"pixels": frames, "SOPClassUID": ENHANCED_CT, "NumberOfFrames": len(frames), **tags})
    for keyword in "ImagePositionPatient ImageOrientationPatient PixelSpacing RescaleSlope RescaleIntercept".split():
        del ds[keyword]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75])],
        CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
    )
    if share_rescale:
        shared.PixelValueTransformationSequence = [item(RescaleSlope=2, RescaleIntercept=intercepts[0])]
    ds.SharedFunctionalGroupsSequence = [shared]
    per_frame = []
    for z, intercept in zip(zs, intercepts):
        group = item(PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, z])])
        if not share_rescale:
            group.PixelValueTransformationSequence = [item(RescaleSlope=1, RescaleIntercept=intercept)]
        per_frame.append(group)
    ds.PerFrameFunctionalGroupsSequence = per_frame
    return ds
