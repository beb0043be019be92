"""An input that is nobody's picture, with MXNet's answer to it: what another machine compares its own with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import mxnet as mx
import numpy as np

from gluon_liver.nn.folding import folded
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.rcnn import RegionDetector

from .graphs import input_shape

CHECK = "check.npz"
BLOCK = 8  # pixels of a square of one grey, so that the file is small


def write_check(folder: Path, detector: RegionDetector) -> None:
    """Write ``folder``/check.npz: squares of random greys and what the detector says of them in float32.

    ``coarse`` uint8 (1, ..., h, w) stands for the input ``coarse * scale + shift``, each entry ``block`` pixels wide
    and cut to ``size``; ``present`` is there for several phases. ``boxes``, ``classes``, ``scores`` and ``check`` are
    outputs of detector.onnx.
    """
    shape = input_shape(detector)
    side, of_frames = -(-shape[-1] // BLOCK), len(shape) == 4
    coarse = np.random.default_rng(0).integers(0, 256, (1, *shape[:-2], side, side), np.uint8)
    stored: Dict[str, Any] = {"coarse": coarse, "block": BLOCK, "size": shape[-1]}
    # networks of frames take 0 to 1, those of studies greys around 0
    stored.update(scale=np.float32(1 / 255 if of_frames else 2 / 255), shift=np.float32(0 if of_frames else -1))
    inputs = [check_image(stored)]
    if detector.phases > 1:
        stored["present"] = np.ones((1, detector.phases), np.float32)
        inputs.append(stored["present"])
    net = DetectionNet(folded(detector, context=mx.cpu()))
    rows, check = (out.asnumpy() for out in net(*map(mx.nd.array, inputs)))
    stored.update(classes=rows[..., 0].astype(np.int64), scores=rows[..., 1], boxes=rows[..., 2:], check=check)
    np.savez_compressed(str(folder / CHECK), **stored)


def check_image(stored: Dict[str, Any]) -> np.ndarray:
    """The input that check.npz stands for, float32; scripts/check_onnx_gpu.py has the same lines."""
    block, size = int(stored["block"]), int(stored["size"])
    image = stored["coarse"].repeat(block, axis=-1).repeat(block, axis=-2)[..., :size, :size]
    return np.ascontiguousarray(image * stored["scale"] + stored["shift"], dtype=np.float32)
