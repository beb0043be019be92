"""The names of all parts of predict.py together."""

from types import SimpleNamespace

from gluon_liver.onnx.standalone import (
    ct_images,
    detections,
    dicom_series,
    frames,
    main,
    pixels,
    refusals,
    volume_files,
    volumes,
)

PARTS = (refusals, pixels, volumes, ct_images, dicom_series, volume_files, frames, detections, main)
predict = SimpleNamespace(**{name: value for part in PARTS for name, value in vars(part).items() if name[:2] != "__"})
