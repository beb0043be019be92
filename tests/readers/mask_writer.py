"""Writes masks as DICOM SEG and as DICOM mask series for the tests, on the planes of given CT slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from .ct_writer import item, set_tags, uid, write

SEG, LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
WHOSE = "PatientID PatientName StudyInstanceUID FrameOfReferenceUID".split()


def read_headers(folder):
    """The headers of the CT slices below a folder, z rising."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.suffix != ".json"]
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return sorted(headers, key=lambda one: float(one.ImagePositionPatient[2]))


def _code(value, meaning, scheme="SCT"):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def seg_dataset(headers, segments, *, kind="BINARY", empty=False, order=None, wrong_references=True, **tags):
    """A SEG of segments: number -> (label, mask (z, y, x) on the slices of ``headers``; fractions for FRACTIONAL).

    empty: write frames of empty planes too. order: of the frames. wrong_references: frames name the image of another
    slice, as those of public sets do.
    """
    first = headers[0]
    ds = item(SOPClassUID=LABELMAP if kind == "LABELMAP" else SEG, Modality="SEG", SegmentationType=kind)
    set_tags(ds, {keyword: first.get(keyword) for keyword in WHOSE})
    ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(77, 1), uid(77, 1, 1)
    ds.SeriesDescription, ds.SeriesNumber = "Segmentation", 300
    ds.ReferencedSeriesSequence = [item(SeriesInstanceUID=first.SeriesInstanceUID)]
    ds.SegmentSequence = [
        item(
            SegmentNumber=number,
            SegmentLabel=label,
            SegmentAlgorithmType="MANUAL",
            SegmentedPropertyCategoryCodeSequence=[_code("49755003", "Morphologically Altered Structure")],
            SegmentedPropertyTypeCodeSequence=[_code("108369006", "Neoplasm")],
        )
        for number, (label, _) in segments.items()
    ]
    planes = [
        (number, place, mask[place])
        for number, (_, mask) in segments.items()
        for place in range(len(headers))
        if empty or mask[place].any()
    ]
    if kind == "LABELMAP":
        whole = sum(number * (mask > 0).astype(np.uint8) for number, (_, mask) in segments.items())
        planes = [(0, place, whole[place]) for place in range(len(headers))]
    planes = planes if order is None else [planes[place] for place in order(len(planes))]
    frames = []
    for number, place, _ in planes:
        of = headers[(place + 7) % len(headers)] if wrong_references else headers[place]
        source = item(ReferencedSOPClassUID=of.SOPClassUID, ReferencedSOPInstanceUID=of.SOPInstanceUID)
        frame = item(
            PlanePositionSequence=[item(ImagePositionPatient=headers[place].ImagePositionPatient)],
            DerivationImageSequence=[item(SourceImageSequence=[source])],
        )
        if kind != "LABELMAP":
            frame.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=number)]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    ds.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
            PixelMeasuresSequence=[item(PixelSpacing=first.PixelSpacing, SliceThickness=99)],
        )
    ]
    ds.Rows, ds.Columns, ds.NumberOfFrames = first.Rows, first.Columns, len(planes)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = 1 if kind == "BINARY" else 8
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    stack = np.stack([plane for *_, plane in planes])
    if kind == "FRACTIONAL":
        ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", 200
        stack = np.rint(stack * 200)
    stack = stack.astype(np.uint8)
    data = np.packbits(stack.ravel(), bitorder="little").tobytes() if bits == 1 else stack.tobytes()
    ds.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
    return set_tags(ds, tags)


def write_seg(path, headers, segments, **options):
    return write(seg_dataset(headers, segments, **options), path)


def write_mask_series(folder, headers, mask, *, series=901, marked=255, **tags):
    """A CT Image Storage series, ORIGINAL, of 0 and ``marked``, one file for each slice of ``headers``."""
    for place, header in enumerate(headers):
        ds = item(SOPClassUID=header.SOPClassUID, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
        set_tags(ds, {keyword: header.get(keyword) for keyword in WHOSE})
        ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(78, series), uid(78, series, place + 1)
        for keyword in "ImagePositionPatient ImageOrientationPatient PixelSpacing Rows Columns".split():
            setattr(ds, keyword, header.get(keyword))
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        # the names do not rise with z, as those of public sets do not
        ds.PixelData = ((mask[place] > 0) * marked).astype(np.uint16).tobytes()
        write(set_tags(ds, tags), Path(folder) / f"image_{len(headers) - place}")
    return Path(folder)
