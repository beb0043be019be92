"""Writes tiny ultrasound recordings and label files for the tests."""

from __future__ import annotations

import json

import cv2
import numpy as np

from .ct_writer import item, set_tags, uid, write

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def write_video(path, frames, codec="MJPG"):
    """frames: uint8 (n, H, W, 3) RGB."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def grey_frames(values, height=48, width=64):
    """One even frame for each value."""
    return np.stack([np.full((height, width, 3), value, np.uint8) for value in values])


def us_dataset(pixels, *, photometric="RGB", number=1, patient="P1", region=None, **tags):
    """pixels: bytes of (frames, rows, columns[, samples]) uint8; region: first and last pixel, both inside."""
    ds = item(SOPClassUID=US_MULTI_FRAME, SOPInstanceUID=uid(7, number), StudyInstanceUID=uid(7), Modality="US")
    ds.PatientID, ds.PatientName, ds.PhotometricInterpretation = patient, "Secret^Name", photometric
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape[:3]
    ds.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    if region is not None:
        ds.SequenceOfUltrasoundRegions = [us_region(region)]
    return set_tags(ds, tags)


def us_region(edges, *, spatial=1, data=1):
    places = {"RegionLocation" + name: edge for name, edge in zip("MinX0 MinY0 MaxX1 MaxY1".split(), edges)}
    return item(RegionSpatialFormat=spatial, RegionDataType=data, **places)


def write_us(path, pixels, **options):
    return write(us_dataset(pixels, **options), path)


def write_labels(path, images, boxes=(), *, width=64, height=48, classes=("tumor", "vessel"), **extra):
    """A label file. images: dicts that say which; boxes: (image number from 1, category, xywh)."""
    record = {
        "images": [{"id": i, "width": width, "height": height, **image} for i, image in enumerate(images, 1)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": list(bbox)}
            for i, (image, category, bbox) in enumerate(boxes, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes, 1)],
        **extra,
    }
    path.write_text(json.dumps(record))
    return path
