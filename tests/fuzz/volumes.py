"""Volumes and masks: NIfTI, plain and compressed, NRRD and MetaImage."""

import gzip
import re
import struct
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from gluon_liver.errors import GluonLiverError
from gluon_liver.readers.volumes.open import open_mask, open_volume
from gluon_liver.readers.volumes.reading import VolumeReading, volumes_read
from tests.sets.written import write_itk, write_nifti

from .harness import Target
from .recipe import HOSTILE, WHOLE, change_bytes

_MASK = np.zeros((6, 8, 10), np.int16)
_MASK[2:4, 2:5, 3:6] = 1
_HU = np.random.default_rng(0).integers(-900, 900, _MASK.shape).astype(np.int16)
# place and kind of the fields of a NIfTI-1 header (nifti1.h)
FIELDS = [(0, "i"), (39, "B"), *((40 + 2 * i, "h") for i in range(8)), (70, "h"), (72, "h"), (108, "f"), (112, "f")]
FIELDS += [
    *((76 + 4 * i, "f") for i in range(8)),
    (116, "f"),
    (123, "B"),
    (252, "h"),
    (254, "h"),
    (344, "I"),
    (348, "B"),
]
FIELDS += [(256 + 4 * i, "f") for i in range(18)]
NUMBERS = (0.0, -1.0, 1e38, -1e38, 1e-38, float("nan"), float("inf"), 352.0, 2e9)
ITK = ("a.nrrd", "a.mha")


@lru_cache(maxsize=None)
def _plain(voxels):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.nii")
        write_nifti(path, (_HU, _MASK)[voxels])
        return path.read_bytes()


@lru_cache(maxsize=None)
def itk(name, voxels):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write_itk(path, (_HU, _MASK)[voxels])
        return path.read_bytes()


def _nifti(recipe):
    content = bytearray(_plain(recipe.below(2)))
    for _ in range(recipe.below(4)):
        place, kind = recipe.of(FIELDS)
        number = recipe.of(NUMBERS) if kind == "f" else recipe.of(WHOLE) % (1 << (8 * struct.calcsize(kind)))
        kind = {"i": "I", "h": "H"}.get(kind, kind)
        content[place : place + struct.calcsize(kind)] = struct.pack("<" + kind, number)
    changed = change_bytes(recipe, content) if recipe.below(3) == 2 else bytes(content)
    if recipe.below(2):
        return "a.nii", changed
    packed = gzip.compress(changed, 1)
    return "a.nii.gz", change_bytes(recipe, packed) if recipe.below(4) == 3 else packed


def _header_and_rest(recipe):
    name = recipe.of(ITK)
    content = itk(name, recipe.below(2))
    if recipe.below(3) == 2:
        return name, change_bytes(recipe, content)
    lines = content.split(b"\n", 14)
    place = recipe.below(len(lines) - 1)
    words = re.split(rb"([ ,()]+)", lines[place])
    words[recipe.below(len(words))] = str(recipe.of(HOSTILE)).encode("utf-8", "surrogatepass")
    lines[place] = b"".join(words)
    if recipe.below(4) == 3:
        lines.insert(place, recipe.of((b"data file: /etc/passwd", b"ElementDataFile = ../a", b"sizes: 1 1", lines[-2])))
    return name, b"\n".join(lines)


def _read(content, folder):
    name, code = content
    path = folder / name
    path.write_bytes(code)
    with volumes_read(VolumeReading("sform", True)):
        for value in ("hu", "mri"):
            try:
                open_volume(path, value=value).decode(lambda z, plane: None)
            except GluonLiverError:
                pass
        open_mask(path)


TARGETS = [Target("nifti", _nifti, _read), Target("nrrd", _header_and_rest, _read)]
