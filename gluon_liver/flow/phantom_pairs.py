"""Pairs of ultrasound phantom frames with their exact motion, from a folder that ``phantom us`` wrote."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from gluon_liver.errors import DatasetError
from gluon_liver.phantoms.folder import DICOM_FOLDER
from gluon_liver.phantoms.us.folder import FLOW_FOLDER, TRUTH_FILE
from gluon_liver.readers.frames import read_frames

from .flying_shapes import FlowPair

HELD_OUT = 0.2  # share of the patients
MOST_WINDOWS = 1000  # drawn of one pair; a share of 1 % with a valid pixel is missed once in 20,000 times


class PhantomPairs(NamedTuple):
    """Successive frames of whole scenes; a patient's scenes are all in ``train`` or all in ``held_out``.

    scenes: how many are in each of the two.
    """

    train: List[FlowPair]
    held_out: List[FlowPair]
    scenes: Tuple[int, int]


def read_pairs(folder: Path) -> PhantomPairs:
    """All pairs of a folder in memory (11 bytes a pixel), cropped to the picture as ``import us`` crops.

    The last fifth of the patients, one or more, is held out, whatever the seed of a training. Raises
    :class:`DatasetError` when the folder is not of ultrasound phantoms, is incomplete or has fewer than two patients
    with two frames or more.
    """
    patients: Dict[int, List[List[FlowPair]]] = {}
    for name, patient in _scenes(folder):
        pairs = scene_pairs(folder, name)
        if pairs:
            patients.setdefault(patient, []).append(pairs)
    if len(patients) < 2:
        raise DatasetError(
            f"{folder} has {len(patients)} patients with two frames or more; 2 are needed, one to hold out: write it "
            "with phantom us --scenes 10 or more"
        )
    first = len(patients) - max(1, round(HELD_OUT * len(patients)))
    scenes = [scenes for _, scenes in sorted(patients.items())]
    parts = [[scene for group in half for scene in group] for half in (scenes[:first], scenes[first:])]
    train, held_out = ([pair for scene in part for pair in scene] for part in parts)
    return PhantomPairs(train, held_out, (len(parts[0]), len(parts[1])))


def scene_pairs(folder: Path, name: str) -> List[FlowPair]:
    """The pairs of one scene; those without a pixel in both frames are left out. Raises :class:`DatasetError`."""
    path = folder / FLOW_FOLDER / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            flow, valid = arrays["flow"], arrays["valid"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read as flow ({error!r}); write the phantoms again") from error
    source = read_frames(folder / DICOM_FOLDER / f"{name}.dcm", name=f"{DICOM_FOLDER}/{name}.dcm")
    frames = list(source)
    x1, y1, x2, y2 = source.region
    size = (len(frames) - 1, source.height, source.width)
    if valid.shape != size or flow.shape != (size[0], 2) + size[1:]:
        raise DatasetError(f"{path} holds flow {flow.shape} for {len(frames)} frames of {size[1:]}: not of one scene")
    flow, valid = flow[..., y1:y2, x1:x2], valid[:, y1:y2, x1:x2]
    pairs = map(FlowPair, frames, frames[1:], flow, valid)
    return [pair for pair in pairs if pair.valid.any()]


def random_crop(pair: FlowPair, size: int, rng: np.random.Generator) -> FlowPair:
    """A window (size, size) of the pair, mirrored or not along each axis.

    A smaller picture is filled up at the right and bottom with black that is not valid, as is what moves out of the
    window. A window without a valid pixel is drawn again; raises :class:`DatasetError` when none is found.
    """
    rows, columns = pair.valid.shape
    missing = [(0, max(size - rows, 0)), (0, max(size - columns, 0))]
    first, second = (np.pad(image, missing + [(0, 0)]) for image in pair[:2])
    flow, valid = np.pad(pair.flow, [(0, 0)] + missing), np.pad(pair.valid, missing)
    for _ in range(MOST_WINDOWS):
        top, left = rng.integers(0, valid.shape[0] - size + 1), rng.integers(0, valid.shape[1] - size + 1)
        window = slice(top, top + size), slice(left, left + size)
        cut = flow[(slice(None),) + window]
        y, x = np.mgrid[:size, :size] + cut[::-1]
        in_sight = valid[window] & (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)
        if in_sight.any():
            break
    else:
        length = float(np.hypot(*pair.flow)[pair.valid].mean()) if pair.valid.any() else 0.0
        raise DatasetError(
            f"none of {MOST_WINDOWS} windows of {size}x{size} pixels keeps a pixel of a phantom pair in sight, which "
            f"moves by {length:.0f} pixels on average: train with a larger --size, or on phantoms that move less"
        )
    steps = rng.choice((1, -1), 2)
    mirror = slice(None, None, steps[0]), slice(None, None, steps[1])
    turned = (cut * steps[::-1, None, None].astype(np.float32))[(slice(None),) + mirror]
    return FlowPair(first[window][mirror], second[window][mirror], turned, in_sight[mirror])


def _scenes(folder: Path) -> List[Tuple[str, int]]:
    """(name, patient) of each scene."""
    path = folder / TRUTH_FILE
    try:
        return [(scene["scene"], scene["patient"]) for scene in json.loads(path.read_text(encoding="utf-8"))["scenes"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{folder} is no folder of `phantom us` ({path.name}: {error!r})") from error
