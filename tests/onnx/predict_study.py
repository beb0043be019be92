"""A study of three phases, small enough for networks of no width; and what main makes of a command."""

import json

import cv2
import numpy as np

from gluon_liver.config.load import build_config
from tests.conftest import TINY
from tests.onnx.predict_names import predict
from tests.readers.ct_writer import ct_dataset, uid, write

RULES = f"""
order: [non_contrast, arterial, delayed]
reference: arterial
series:
  {uid(1, 1)}: non_contrast
  {uid(1, 2)}: arterial
  {uid(1, 3)}: delayed
"""


def config_of(network=(), **data):
    tree = json.loads(json.dumps(TINY))
    tree["network"].update(network)
    tree["network"]["head"]["score_threshold"] = 0.0
    tree["data"].update(data)
    return build_config({**tree, "row": None})


def body(shape, seed):
    """A volume with air around it and structure in it, smooth enough that its JPEG and its resize mean something."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 300, shape)
    volume = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in noise]) * 4 + 60
    volume[:, :4] = volume[:, :, :5] = -1000
    return np.rint(np.clip(volume, -1024, 1500)).astype(np.int16)


def write_phase(folder, hu, *, name, series, origin, orientation=(1, 0, 0, 0, 1, 0), spacing=(3.0, 0.8, 0.8), **tags):
    """(z, rows, columns) as the slices of a series, stored in a random order of files; frame of reference shared."""
    row, column = np.reshape(orientation, (2, 3))
    normal = np.cross(row, column)
    for z in range(len(hu)):
        at = np.array(origin) + normal * spacing[0] * z
        place = dict(ImagePositionPatient=[*at], ImageOrientationPatient=[*orientation], PixelSpacing=[*spacing[1:]])
        pixels = np.ascontiguousarray((hu[z].astype(np.int32) + 1024).astype(np.uint16))
        tags = {"RescaleIntercept": -1024, "PixelPaddingValue": 24, **tags}
        ds = ct_dataset(series=series, instance=z, pixels=pixels, description=name, **place, **tags)
        write(ds, folder / f"{(7 * z) % 11}-{z}.dcm")
    return folder


def options(*words):
    """What main makes of its arguments."""
    return predict.parser().parse_args([*map(str, words), "--out", "x.json"])
