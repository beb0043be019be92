"""Detections of the ONNX graphs beside this file, as ``gluon-liver detect`` writes them, without MXNet.

    python predict.py STUDY --phase venous=FOLDER --out detections.json      CT
    python predict.py liver.mp4 --out detections.json                        ultrasound

CT: a folder with one axial DICOM series of the reference phase (FOLDER@4 where it holds several, or one that is derived
of others: that of SeriesNumber 4), a NIfTI, or an array .npy or .npz, HU (z, y, x) with z to the head, rows to the back
and columns to the left. Other phases are put on the grid of the reference phase by their places in the patient; phases
that are not named are absent.
Ultrasound: a video, a folder of numbered pictures, or an array of frames (n, h, w, 3), uint8 RGB.

Needs numpy and onnxruntime; DICOM pydicom, videos and pictures cv2 or ffmpeg. What an import of gluon_liver would mend
(uneven slices, gantry tilt, pixels that are no squares) is refused. Research use: no medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

AIR_HU = -1024
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
NIFTI, ARRAY = "NIfTI", "array"  # in place of a FrameOfReferenceUID
NOT_LOADED = (EOFError, KeyError, MemoryError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)  # by np.load
# SOP classes, with a dot at the end their beginnings, and words of ImageType and of descriptions, as an import has them
STORAGE = "1.2.840.10008.5.1.4.1.1."
NOT_CT = {
    "1.2.840.10008.1.3.10": "a media directory (DICOMDIR)",
    STORAGE + "7": "a secondary capture",
    STORAGE + "7.": "a secondary capture",
    STORAGE + "88.": "a structured report (a dose report is one)",
    STORAGE + "481.2": "a radiotherapy dose",
    STORAGE + "11.": "a presentation state",
    STORAGE + "66.": "a segmentation or registration object",
}
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
SCREENS = {"DOSE", "DOSE_INFO", "SCREEN SAVE", "REPORT"}
PROJECTION_TYPE = re.compile(
    r"(?<![A-Z])(MIP|MAXIP|MINIP|MPVR|VRT|SSD|PROJECTION|CPR|CURVED|RAYSUM|MAXIMUM|MINIMUM|MAX[_ ]IP|MIN[_ ]IP"
    r"|PROJECTION[_ ]IMAGE|VOLUME[_ ]REND\w*|SURFACE[_ ]REND\w*)(?![A-Z])"
)
PROJECTION_NAME = re.compile(r"(?<![A-Z])(MIPS?|MAX[_ -]?IP|MIN[_ -]?IPS?|CPR|VRT|CURVED|VOLUME[_ -]REND\w*)(?![A-Z])")
FEWEST = 3  # images that make a part of a series; fewer beside more are strays
LARGEST = 4096  # rows or columns
# what a damaged or odd data set raises, in pydicom and in numpy
ODD = (AttributeError, EOFError, KeyError, NotImplementedError, OverflowError, TypeError, ValueError, struct.error)


class Unusable(Exception):
    """Input that cannot be read, with what to do."""


# ---- pixels


def to_grey(hu: np.ndarray, given: Dict[str, Any]) -> np.ndarray:
    """HU -> uint8 by the window, through a JPEG where training had one."""
    width, level = given["window"]["width"], given["window"]["level"]
    shown = (hu.astype(np.float64) - (level - width / 2)) / width
    grey = np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    return through_jpeg(grey, given["jpeg_quality"]) if given["storage"] == "jpeg" else grey


# The transform of libjpeg's jfdctint.c and, transposed, jidctint.c, times 2**13; quantisation of ITU-T T.81, table K.1
DCT = """8192 8192 8192 8192 8192 8192 8192 8192 11363 9633 6437 2260 -2260 -6437 -9633 -11363
10703 4433 -4433 -10703 -10703 -4433 4433 10703 9633 -2259 -11362 -6436 6436 11362 2259 -9633
8192 -8192 -8192 8192 8192 -8192 -8192 8192 6437 -11362 2261 9633 -9633 -2261 11362 -6437
4433 -10704 10704 -4433 -4433 10704 -10704 4433 2260 -6436 9633 -11363 11363 -9633 6436 -2260"""
LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""


def through_jpeg(grey: np.ndarray, quality: int) -> np.ndarray:
    """A picture (h, w) as libjpeg, which OpenCV has, gives it back: the same to the bit. quality: from 50 up."""
    dct, base = (np.array(text.split(), np.float64).reshape(8, 8) for text in (DCT, LUMINANCE))
    table = np.clip(np.floor((base * (200 - 2 * quality) + 50) / 100), 1, 255)

    def shifted(values: np.ndarray, bits: int) -> np.ndarray:
        return np.floor((values + 2.0 ** (bits - 1)) / 2.0**bits)

    height, width = grey.shape
    padded = np.pad(grey.astype(np.float64), ((0, -height % 8), (0, -width % 8)), mode="edge") - 128
    blocks = padded.reshape(len(padded) // 8, 8, -1, 8).swapaxes(1, 2)
    numbers = shifted(dct @ shifted(blocks @ dct.T, 11), 15)
    stored = np.sign(numbers) * np.floor((np.abs(numbers) + 4 * table) / (8 * table)) * table
    found = np.clip(shifted(shifted(dct.T @ stored, 11) @ dct, 18) + 128, 0, 255)
    return found.swapaxes(1, 2).reshape(padded.shape)[:height, :width].astype(np.uint8)


@lru_cache(maxsize=None)
def cubic_weights(source: int, target: int) -> np.ndarray:
    """OpenCV's INTER_CUBIC along one axis, (target, source): Keys' kernel with -0.75, borders repeated."""
    x = (np.arange(target) + 0.5) * (source / target) - 0.5
    first, a = np.floor(x).astype(int) - 1, -0.75
    weights = np.zeros((target, source))
    for tap in range(4):
        d = np.abs(x - first - tap)
        near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        np.add.at(weights, (np.arange(target), np.clip(first + tap, 0, source - 1)), np.where(d <= 1, near, far))
    return weights


@lru_cache(maxsize=None)
def area_weights(source: int, target: int) -> np.ndarray:
    """OpenCV's INTER_AREA along one axis, (target, source): how much of each target pixel lies on a source pixel."""
    begin = np.arange(target)[:, None] * (source / target)
    end, pixel = np.minimum(begin + source / target, source), np.arange(source)
    overlap = np.clip(np.minimum(end, pixel + 1) - np.maximum(begin, pixel), 0, 1)
    overlap[overlap < 1e-3] = 0
    return overlap / (end - begin)


def resized(plane: np.ndarray, size: int) -> Tuple[np.ndarray, float]:
    """uint8 (h, w) -> ((size, size), scale), zeros below and to the right: bicubic when enlarging, else by area."""
    height, width = plane.shape
    scale = size / max(height, width)
    tall, wide = (max(int(round(side * scale)), 1) for side in (height, width))
    target = np.zeros((size, size), np.uint8)
    if scale == 1:
        target[:height, :width] = plane
        return target, scale
    weights = cubic_weights if scale > 1 else area_weights
    values = weights(height, tall) @ plane.astype(np.float64) @ weights(width, wide).T
    halves = height == 2 * tall and width == 2 * wide  # where OpenCV rounds halves up
    values = np.floor(values + 0.5) if halves else np.rint(np.round(values, 9))
    target[:tall, :wide] = np.clip(values, 0, 255)
    return target, scale


# ---- volumes


class Volume(NamedTuple):
    """HU int16 (z, y, x), z to the head, rows to the back, columns to the left, as near as quarter turns come to it.

    origin, steps: voxel (z, y, x) lies at origin + (z, y, x) @ steps, LPS mm. frame: FrameOfReferenceUID. turned,
    flip_y, flip_x: what led from the pixels of a source to these; None for an array, which is as it came. series,
    patient: SeriesInstanceUID and PatientID, where they are known.
    """

    hu: np.ndarray
    origin: np.ndarray
    steps: np.ndarray
    frame: str = ""
    turn: Optional[Tuple[bool, bool, bool]] = None
    series: str = ""
    patient: str = ""

    def index_of(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in mm -> indices (z, y, x), fractions."""
        return (points - self.origin) @ np.linalg.inv(self.steps)

    def source_box(self, box: np.ndarray) -> List[float]:
        """Corners in the pixels of the source."""
        _, height, width = self.hu.shape
        turned, flip_y, flip_x = self.turn or (False, False, False)
        x, y = box[[0, 2]].astype(np.float64), box[[1, 3]].astype(np.float64)
        x, y = width - x if flip_x else x, height - y if flip_y else y
        x, y = (y, x) if turned else (x, y)
        corners = np.array([x.min(), y.min(), x.max(), y.max()], np.float32)
        return [round(float(one), 2) for one in corners]


def oriented(voxels: np.ndarray, origin: np.ndarray, steps: np.ndarray, frame: str = "") -> Volume:
    """Voxels along axes with ``steps`` (3, 3), one a row, in mm -> the volume."""
    lengths = np.linalg.norm(steps, axis=1)
    if not (np.isfinite(steps).all() and np.isfinite(origin).all() and lengths.min() > 0):
        raise Unusable("its axes have no length, or numbers that are not finite")
    units = steps / lengths[:, None]
    if np.abs(units @ units.T - np.eye(3)).max() > 1e-3:
        raise Unusable("its axes are not at right angles (a tilted gantry?): resample it")
    across = max((0, 1, 2), key=lambda axis: abs(units[axis, 2]) - 1e-6 * axis)
    order = [across, *(axis for axis in range(3) if axis != across)]
    voxels, steps, units = voxels.transpose(order), steps[order], units[order]
    along_y, along_x = units[1], units[2]
    turned = bool(abs(along_x[1]) + abs(along_y[0]) > abs(along_x[0]) + abs(along_y[1]) + 1e-6)
    if turned:
        voxels, steps, units = voxels.transpose(0, 2, 1), steps[[0, 2, 1]], units[[0, 2, 1]]
    check_squares(np.linalg.norm(steps[1:], axis=1))
    flips = [bool(units[axis, at] < 0) for axis, at in ((0, 2), (1, 1), (2, 0))]
    for axis, flip in enumerate(flips):
        if flip:
            origin = origin + steps[axis] * (voxels.shape[axis] - 1)
            steps = np.where(np.arange(3)[:, None] == axis, -steps, steps)
            voxels = np.flip(voxels, axis)
    return Volume(np.ascontiguousarray(voxels), origin, steps, frame, (turned, flips[1], flips[2]))


def check_squares(sides: np.ndarray) -> None:
    if sides.max() / sides.min() - 1 > 0.01:
        raise Unusable("its pixels are {:.3f} x {:.3f} mm, no squares: import it with gluon_liver".format(*sides))


def to_hu(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def read_volume(path: Path, args: argparse.Namespace) -> Volume:
    """A phase, as the options say."""
    try:
        if path.name.lower().endswith((".nii", ".nii.gz")):
            return with_air(read_nifti(path), args.no_air)
        if path.suffix.lower() in (".npy", ".npz"):
            return with_air(read_array(path, args.spacing), args.no_air)
        return read_dicom(path)
    except OSError as error:
        raise Unusable(f"{error.filename or path} cannot be read: {error.strerror or error}") from error
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error


def needed(package: str, what: str) -> Any:
    """The package, imported; one that is damaged, or does not go with another, may raise anything."""
    name = {"cv2": "opencv-python-headless"}.get(package, package)
    if importlib.util.find_spec(package) is None:
        raise Unusable(f"{what} needs the package {package}: pip install {name}")
    try:
        return importlib.import_module(package)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        again = f"pip install --force-reinstall {name}, or make a new environment"
        raise Unusable(f"{what} needs the package {package}, which cannot be imported ({said}): {again}") from error


def files_below(folder: Path) -> List[Path]:
    """All files below a folder, and below linked ones, each once. Raises OSError for a folder that cannot be listed."""
    seen, found = set(), []

    def closed(error: OSError) -> None:
        raise error

    for place, below, names in os.walk(folder, onerror=closed, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        found += [Path(place, name) for name in names]
    return sorted(found)


def open_dicom(path: Path) -> Any:
    """The data set of a file, also of one without the 128 bytes and DICM at its beginning; None for another file."""
    pydicom = needed("pydicom", "a folder of DICOM files")
    try:
        return pydicom.dcmread(path)
    except pydicom.errors.InvalidDicomError:
        begin = path.read_bytes()[:4]
        if len(begin) < 4 or struct.unpack("<H", begin[:2])[0] not in (2, 8):
            return None
    bare = pydicom.dcmread(path, force=True)
    if not bare.file_meta.get("TransferSyntaxUID"):
        names = {(True, True): "ImplicitVRLittleEndian", (False, True): "ExplicitVRLittleEndian"}
        encoding = getattr(bare, "original_encoding", None) or (bare.is_implicit_VR, bare.is_little_endian)
        bare.file_meta.TransferSyntaxUID = getattr(pydicom.uid, names.get(encoding, "ExplicitVRBigEndian"))
    return bare


def read_dicom(folder: Path) -> Volume:
    """The one axial CT series in a folder, or that of the SeriesNumber or SeriesInstanceUID behind @."""
    needed("pydicom", "a folder of DICOM files")

    named = re.fullmatch(r"(.+)@(-?[0-9.]+)", str(folder)) if not folder.is_dir() else None
    folder = Path(named[1]) if named else folder
    if not folder.is_dir():
        raise Unusable("there is no such folder, NIfTI (.nii, .nii.gz) or array (.npy, .npz)")
    series: Dict[str, List[Any]] = {}
    left_out: Dict[str, int] = {}
    for path in files_below(folder):
        if not path.exists():
            left_out["a link to what is not there"] = left_out.get("a link to what is not there", 0) + 1
            continue
        try:
            slice_ = open_dicom(path)
            if slice_ is not None and named and not is_named(slice_, named[2]):
                continue
            why = "no DICOM" if slice_ is None else no_slice(slice_) or ("" if named else no_plain_slice(slice_))
            if why:
                left_out[why] = left_out.get(why, 0) + 1
                continue
            if str(slice_.SOPClassUID) != CT_IMAGE:
                raise Unusable(f"{path.name} is an Enhanced CT of several frames: import it with gluon_liver")
            for tag in ("Rows", "Columns", "PixelData"):  # the last of a file that is whole
                if tag not in slice_:
                    raise Unusable(
                        f"{path.name} has no {tag}: it is damaged or cut short; take it out, or fetch it anew"
                    )
            series.setdefault(str(slice_.SeriesInstanceUID), []).append(slice_)
        except ODD as error:
            raise Unusable(f"{path.name} is damaged ({error}): take it out, or fetch it anew") from error
    told = "; ".join(f"{count} file(s): {why}" for why, count in left_out.items())
    if len(series) != 1:
        numbers = [one[0].get("SeriesNumber") for one in series.values()]
        by_uid = None in numbers or len({*numbers}) < len(numbers)
        names = [*series] if by_uid else numbers
        found = sorted(f"{name} of {len(one)} images" for name, one in zip(names, series.values()))
        what = "SeriesInstanceUID" if by_uid else "NUMBER"
        say = f"; name one, {folder}@{what}, for its phase: series {', '.join(found)}" if found else ""
        say += f"; left out: {told}" if told else ""
        raise Unusable(f"{len(series)} series of CT images are there, one is wanted{say}")
    if told:
        note(f"left out of {folder}: {told}")
    ((uid, slices),) = series.items()
    try:
        volume = stacked(without_strays(slices, folder))
        return volume._replace(series=uid, patient=str(slices[0].get("PatientID") or ""))
    except ODD as error:
        raise Unusable(f"a tag that is needed is missing or damaged ({error})") from error


def is_named(image: Any, name: str) -> bool:
    """Whether an image is of the series of this number or UID."""
    if name == str(image.get("SeriesInstanceUID")):
        return True
    return "." not in name and str(image.get("SeriesNumber")) == str(int(name))


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def words_of(image: Any) -> List[str]:
    value = image.get("ImageType") or []
    return [str(word).strip().upper() for word in ([value] if isinstance(value, str) else value)]


def no_slice(image: Any) -> str:
    """Why an image is no axial slice of a CT, "" where it is one."""
    sop_class = str(image.get("SOPClassUID") or getattr(image, "file_meta", {}).get("MediaStorageSOPClassUID", ""))
    for uid, what in NOT_CT.items():
        if sop_class == uid or (uid[-1] == "." and sop_class.startswith(uid)):
            return f"{what}, not a CT image"
    if sop_class not in (CT_IMAGE, CT_IMAGE + ".1", CT_IMAGE + ".2"):
        return "its SOP class is not a CT image"
    image.SOPClassUID = sop_class
    if str(image.get("Modality") or "CT") != "CT":
        return "its modality is not CT"
    words = {*words_of(image)}
    if words & LOCALIZERS:
        return "a localizer by ImageType"
    if words & SCREENS:
        return "a dose or screen page by ImageType"
    if image.get("ImageOrientationPatient"):
        row, column = np.reshape([*map(float, image.ImageOrientationPatient)], (2, 3))
        normal = np.abs(np.cross(row, column))
        if normal[2] < normal[:2].max():
            return "not axial by orientation (a coronal or sagittal reformat, or a localizer)"
    return ""


def no_plain_slice(image: Any) -> str:
    """Why an image is taken only where its series is named: a projection, or one derived of others."""
    words, what = words_of(image), ""
    if any(map(PROJECTION_TYPE.search, words)):
        what = "a projection or curved reformat by ImageType (MIP, MinIP and the like)"
    elif PROJECTION_NAME.search(str(image.get("SeriesDescription") or "").upper()):
        what = "a projection or curved reformat by its description (MIP, MinIP and the like)"
    elif words[:1] == ["DERIVED"]:
        what = "derived by ImageType (a reformat, or a copy that an archive compressed)"
    return what and f"{what}, series {image.get('SeriesNumber')}; if it is needed, name it, FOLDER@NUMBER"


def without_strays(slices: List[Any], folder: Path) -> List[Any]:
    """Without the few images that do not say where they lie (pages), or look otherwise than all others."""
    looks: Dict[Tuple[Any, ...], List[Any]] = {}
    for one in slices:
        lies = bool(one.get("ImagePositionPatient") and one.get("ImageOrientationPatient"))
        looks.setdefault((lies, *look_of(one)) if lies else (), []).append(one)
    usual = max(looks, key=lambda look: (look != (), len(looks[look])))
    strays = len(slices) - len(looks[usual])
    few = all(len(looks[look]) < FEWEST for look in looks if look != usual) and len(looks[usual]) >= FEWEST
    if not (strays and usual and few):
        return slices
    note(f"left out of {folder}: {strays} image(s) without a place, or of another size, orientation or pixel spacing")
    return looks[usual]


def look_of(image: Any) -> Tuple[Any, ...]:
    """What the slices of a volume have in common."""
    numbers = np.round([*map(float, image.ImageOrientationPatient)], 3) + 0.0
    sides = np.round([*map(float, image.PixelSpacing)], 4)
    if not (1 <= image.Rows <= LARGEST and 1 <= image.Columns <= LARGEST and sides.min() > 0):
        size = f"{image.Rows} x {image.Columns} pixels of {' x '.join(map(str, sides))} mm"
        raise Unusable(f"an image has {size}: 1 to {LARGEST} rows and columns of sizes above 0 are read")
    return image.Rows, image.Columns, str(image.get("FrameOfReferenceUID", "")), *numbers, *sides


def stacked(slices: List[Any]) -> Volume:
    """Slices of one series -> the volume, by their positions alone."""
    if len({(*look_of(one), str(one.get("PatientID", ""))) for one in slices}) > 1:
        raise Unusable("its images differ in size, orientation, pixel spacing, frame of reference or patient")
    if len(slices) < 2:
        raise Unusable("it has one slice; spacing is taken from positions, so a series needs two or more")
    row, column = np.reshape([*map(float, slices[0].ImageOrientationPatient)], (2, 3))
    normal = np.cross(row, column)
    normal = normal / np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)
    positions = np.array([[*map(float, one.ImagePositionPatient)] for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    slices, positions = [slices[at] for at in order], positions[order]
    acquisitions = [str(one.get("AcquisitionNumber")) for one in slices]
    if sum(one != other for one, other in zip(acquisitions, acquisitions[1:])) >= len({*acquisitions}):
        raise Unusable("slices of several acquisitions alternate in it: several phases in one series? Take them apart")
    steps = np.diff(positions @ normal)
    if steps.min() < 1e-3:
        raise Unusable("two of its slices lie at one position: several phases in one series, or copies?")
    if np.abs(steps - steps.mean()).max() > 0.01 * steps.mean():
        wide = f"from {steps.min():.3f} to {steps.max():.3f} mm"
        raise Unusable(f"its slices lie unevenly, {wide} apart (files missing?): import it with gluon_liver")
    dy, dx = map(float, slices[0].PixelSpacing)
    drift = np.stack([positions @ row / dx, positions @ column / dy])
    if np.ptp(drift, axis=1).max() > 0.5:
        raise Unusable("its slices are shifted against each other (a tilted gantry?): import it with gluon_liver")
    hu = np.stack([hounsfield(one) for one in slices])
    axes = np.stack([normal * steps.mean(), column * dy, row * dx])
    return oriented(hu, positions[0], axes, str(slices[0].get("FrameOfReferenceUID", "")))


def hounsfield(image: Any) -> np.ndarray:
    """HU of one slice; padding and all below -1024 become -1024."""
    allocated, stored = int(image.BitsAllocated), int(image.BitsStored)
    high, signed = int(image.get("HighBit", stored - 1)), bool(image.PixelRepresentation)
    if image.get("SamplesPerPixel", 1) != 1 or allocated not in (8, 16) or not float(image.RescaleSlope):
        raise Unusable("an image has colours, an odd number of bits, or a RescaleSlope of 0")
    if not 1 <= stored <= high + 1 <= allocated or int(image.get("NumberOfFrames") or 1) != 1:
        frames = int(image.get("NumberOfFrames") or 1)
        raise Unusable(f"an image has {frames} frames, and bits {high + 1 - stored} to {high} of {allocated}")
    syntax = image.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        try:
            words = image.pixel_array
        except Exception as error:  # whatever a decoder raises, or that there is none
            raise Unusable(f"its pixels ({syntax.name}) cannot be decoded: {error}") from error
    else:
        kind = np.dtype(f"{'>' if syntax == '1.2.840.10008.1.2.2' else '<'}{'i' if signed else 'u'}{allocated // 8}")
        pixels = image.Rows * image.Columns
        if len(image.PixelData) < pixels * kind.itemsize:
            raise Unusable("an image is cut short: it has fewer pixels than its header announces")
        words = np.frombuffer(image.PixelData, kind, pixels).reshape(image.Rows, image.Columns)
    values = words
    if stored != allocated:
        values = (words.astype(np.int32) >> (high + 1 - stored)) & ((1 << stored) - 1)
        values = values - ((values >> (stored - 1)) << stored) if signed else values
    hu = values * np.float64(image.RescaleSlope) + float(image.RescaleIntercept)
    padding = [one for one in (image.get("PixelPaddingValue"), image.get("PixelPaddingRangeLimit")) if one is not None]
    if padding and image.get("PixelPaddingValue") is not None:
        half = 1 << (allocated - 1) if signed else 0  # the bits count, whatever sign they were written with
        ends = [(int(one) + half) % (1 << allocated) - half for one in padding]
        for one in (values, words):
            hu[(one >= min(ends)) & (one <= max(ends))] = AIR_HU
    return to_hu(hu)


def read_nifti(path: Path) -> Volume:
    """NIfTI-1 in one file, with its scaling and its place."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, ValueError, zlib.error) as error:
        raise Unusable(f"it is damaged or cut short ({error})") from error
    order = "<" if raw[:4] == struct.pack("<i", 348) else ">"
    if len(raw) < 352 or raw[:4] != struct.pack(order + "i", 348) or raw[344:348] != b"n+1\0":
        raise Unusable("it is no NIfTI-1 file of one part (.nii, .nii.gz)")

    def numbers(kind: str, at: int) -> Tuple[Any, ...]:
        return struct.unpack_from(order + kind, raw, at)

    rank, *dims = numbers("8h", 40)
    shape = [*dims[:rank]]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    (code,), (units,) = numbers("h", 70), numbers("B", 123)
    kinds = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
    if len(shape) != 3 or min(shape) < 1 or code not in kinds or units & 7 not in (0, 2):
        raise Unusable(f"it holds {'x'.join(map(str, shape))} of kind {code}: one volume of numbers, in mm, is wanted")
    if not 352 <= numbers("f", 108)[0] <= len(raw):
        raise Unusable("its header says that the voxels begin inside of it, or nowhere (vox_offset)")
    begin, slope, intercept = (int(numbers("f", 108)[0]), *numbers("2f", 112))
    kind, size = np.dtype(order + kinds[code]), int(np.prod(shape, dtype=np.int64))
    if len(raw) < begin + size * kind.itemsize:
        raise Unusable("it is cut short: it has fewer voxels than its header announces")
    values = np.frombuffer(raw, kind, size, begin).reshape(shape[::-1]).astype(np.float64)  # (k, j, i)
    if np.isfinite(slope) and slope:
        values = values * slope + intercept
    affine = place_of(numbers) * np.array([-1, -1, 1])[:, None]  # RAS -> LPS
    return oriented(values, affine[:, 3], affine[:, 2::-1].T, NIFTI)


def place_of(numbers: Any) -> np.ndarray:
    """Index (i, j, k, 1) -> RAS mm, (3, 4), by sform or qform, which must not contradict each other."""
    (qform, sform), sides = numbers("2h", 252), np.array(numbers("8f", 76)[:4], np.float64)
    found = []
    if sform > 0:
        found.append(np.reshape(numbers("12f", 280), (3, 4)).astype(np.float64))
    if qform > 0:
        b, c, d, *offset = map(float, numbers("6f", 256))
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        found.append(np.column_stack([turn * sides[1:] * [1, 1, -1 if sides[0] < 0 else 1], offset]))
    if not found:
        raise Unusable("its header says nothing of its place (sform_code and qform_code are 0)")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in numbers("3h", 42)], [1])).reshape(4, -1)
    if np.abs((found[0] - found[-1]) @ corners).max() > 0.1 * np.abs(sides[1:]).min():
        raise Unusable("its sform and qform contradict each other: write it again with the right one")
    return found[0]


def read_array(path: Path, spacing: Optional[Sequence[float]]) -> Volume:
    """An array (z, y, x); of an .npz the one named hu, with spacing (dz, dy, dx) beside it."""
    try:
        read = np.load(path, allow_pickle=False, mmap_mode="r")  # an .npy that is cut short is told before it is read
        if not isinstance(read, np.ndarray):
            own = [*map(float, np.ravel(read["spacing"]))] if "spacing" in read else spacing
            if spacing is not None and [*spacing] != own:
                raise Unusable(f"it tells its spacing, {own} mm: leave --spacing out")
            spacing, read = own, read["hu"]
    except NOT_LOADED as error:
        raise Unusable(f"it is no array of numbers, or has none named hu ({error})") from error
    if read.ndim != 3 or read.dtype.kind not in "iuf" or not read.size:
        raise Unusable(f"it is {read.dtype} {read.shape}: numbers (z, y, x) are wanted")
    if spacing is None or len(spacing) != 3 or not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise Unusable("its spacing is not known: give --spacing DZ DY DX in mm")
    check_squares(np.array(spacing[1:], np.float64))
    return Volume(np.asarray(read), np.zeros(3), np.diag(np.array(spacing, np.float64))[:, ::-1], ARRAY)


def with_air(volume: Volume, accepted: bool) -> Volume:
    """Checked to hold HU. Arrays and NIfTI come from anywhere: pictures windowed before, or without their intercept."""
    if not np.isfinite(volume.hu).all():
        raise Unusable("it holds values that are not finite")
    if volume.hu.min() > -500 and not accepted:
        raise Unusable(f"its lowest value is {volume.hu.min():g}: HU have air at -1000 (--no-air takes it as it is)")
    return volume._replace(hu=to_hu(volume.hu))


def on_grid(moving: Volume, fixed: Volume) -> Tuple[np.ndarray, np.ndarray]:
    """A phase on the grid of the reference phase, int16 HU, and which slices (z,) it has: linear, air outside."""
    shape = fixed.hu.shape
    if not fixed.frame or moving.frame != fixed.frame:
        raise Unusable("nothing says that it shares a frame of reference with the reference phase")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    if (
        moving.hu.shape == shape
        and np.abs(moving.index_of(fixed.origin + corners @ fixed.steps) - corners).max() <= 1e-3
    ):
        return moving.hu, np.ones(shape[0], bool)
    if fixed.frame == ARRAY:
        raise Unusable(f"it is {moving.hu.shape}, the reference phase {shape}, or its spacing is another one")
    middle = np.array([(z, (shape[1] - 1) / 2, (shape[2] - 1) / 2) for z in range(shape[0])])
    height = moving.index_of(fixed.origin + middle @ fixed.steps)[:, 0]
    present = (height > -0.499) & (height < len(moving.hu) - 0.501)
    if not present.any():
        raise Unusable("no slice of it overlaps the reference phase")
    hu, met = np.full(shape, AIR_HU, np.int16), False
    last = np.array(moving.hu.shape) - 1
    plane = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij"), -1) @ fixed.steps[1:]
    for z in np.flatnonzero(present):
        index = moving.index_of(fixed.origin + z * fixed.steps[0] + plane)
        inside = ((index >= -0.5) & (index < last + 0.5)).all(-1)
        index = np.clip(index, 0, last)
        low = np.minimum(np.floor(index).astype(int), np.maximum(last - 1, 0))
        share, value = index - low, 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.where(corner, share, 1 - share).prod(-1)
            value = value + weight * moving.hu[tuple(np.moveaxis(np.minimum(low + corner, last), -1, 0))]
        hu[z] = np.where(inside, np.rint(np.float32(value)), AIR_HU)
        met = met or bool(inside.any())
    if not met:
        raise Unusable("no pixel of it overlaps the reference phase: it lies beside it")
    return hu, present


def stacks(hu: np.ndarray, present: np.ndarray, dz: float, given: Dict[str, Any]) -> Iterator[Any]:
    """(image (P, 1, D, S, S) uint8, present (P,), scale) of every slice; hu, present: (P, Z, ...), reference first."""
    grey: Dict[Tuple[int, float], Tuple[np.ndarray, float]] = {}  # of what neighbouring stacks share

    def plane(phase: int, place: float) -> Tuple[np.ndarray, float]:
        if (phase, place) not in grey:
            low, share = int(place), np.float32(place % 1)
            values = hu[phase, low]
            if share:
                below, above = hu[phase, low : low + 2].astype(np.float32)
                values = np.rint(below + share * (above - below)).astype(np.int16)
            grey[phase, place] = resized(to_grey(values, given), given["size"])
        return grey[phase, place]

    depth, step = given["slices"], (given["slice_step_mm"] or dz) / dz
    for z in range(hu.shape[1]):
        image, scale = [], 1.0
        for phase, there in enumerate(present[:, z]):
            shown = phase if there and not given["repeat_reference"] else 0
            first, last = np.flatnonzero(present[shown])[[0, -1]]
            offsets = [0] * depth if given["repeat_centre"] else range(-(depth // 2), depth // 2 + 1)
            for offset in offsets:
                place = min(max(z - first + step * offset, 0.0), float(last - first))
                place = float(round(place)) if abs(place - round(place)) < 0.01 else place
                one, scale = plane(shown, first + place)
                image.append(one)
        yield np.reshape(image, (len(present), 1, depth, *image[0].shape)), present[:, z], scale
        for key in [one for one in grey if one[1] < z - step * (depth // 2) - 1]:
            del grey[key]


# ---- frames


def read_frames(path: Path) -> Iterator[Tuple[int, np.ndarray]]:
    """Frames (h, w, 3), uint8 RGB, behind their numbers."""
    if path.is_dir():
        there = (one for one in path.iterdir() if one.suffix.lower() in PICTURES and one.name[0] != ".")
        paths, first = sorted(there, key=natural), None
        if not paths:
            raise Unusable(f"{path} holds no pictures ({', '.join(PICTURES)})")
        numbers = file_numbers([one.name for one in paths])
        if numbers is None:
            note(f"the names in {path} are no numbers of frames: they are counted from 0 as their names sort")
        for number, one in zip(numbers or range(len(paths)), paths):
            if one.suffix.lower() in (".jpg", ".jpeg") and not jpeg_has_end(one.read_bytes()):
                raise Unusable(f"{one} is cut short: the end of the JPEG is missing")
            frames = list(pictures(one))
            if len(frames) != 1:
                raise Unusable(f"{one}: {len(frames)} pictures in it can be decoded, one is wanted")
            first = first or frames[0].shape
            if frames[0].shape != first:
                raise Unusable(f"{one} has another size than {paths[0].name}")
            yield number, frames[0]
    elif not path.is_file():
        raise Unusable(f"{path}: there is no such video, folder of pictures or array")
    elif path.suffix.lower() == ".npy":
        try:
            frames = np.load(path, allow_pickle=False)
        except (OSError, *NOT_LOADED) as error:
            raise Unusable(f"{path} is no array of numbers ({error})") from error
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise Unusable(f"{path} is {frames.dtype} {frames.shape}: frames (n, h, w, 3), uint8 RGB, are wanted")
        yield from enumerate(frames)
    else:
        yield from enumerate(pictures(path))


def file_numbers(names: Sequence[str]) -> Optional[List[int]]:
    """The number of the frame in each name: names are alike but for numbers, of which the last rises from name to name;
    of several that rise the one with the smallest steps counts. None where there is none."""
    parts = [re.split(r"([0-9]+)", Path(name).stem.casefold()) for name in names]
    if len({tuple(part[::2]) for part in parts}) != 1:
        return None
    columns = [[int(part[place]) for part in parts] for place in range(1, len(parts[0]), 2)]
    varying = [column for column in columns if len(set(column)) > 1] if len(names) > 1 else columns
    rising = [column for column in varying if all(one < other for one, other in zip(column, column[1:]))]
    if not varying or (len(names) == 1 and len(varying) > 1) or varying[-1] not in rising:
        return None
    return min(reversed(rising), key=lambda column: column[-1] - column[0])


def jpeg_has_end(code: bytes) -> bool:
    """Whether a JPEG image has its end marker (ITU-T T.81 B.1.1), behind which cameras write what they like."""
    place = code.find(b"\xff", 2)
    while 0 <= place < len(code) - 1:
        marker = code[place + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF:  # fill
            place += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # inside the coded pixels; no length follows
            place += 2
        else:
            place += 2 + int.from_bytes(code[place + 2 : place + 4], "big")
        place = code.find(b"\xff", place)
    return False


def check_whole(path: Path) -> None:
    """Raise :class:`Unusable` for an AVI or MP4 that is shorter than its container announces (ISO 14496-12 4.2)."""
    size, announced = path.stat().st_size, 0
    with open(path, "rb") as stream:
        start = stream.read(12)
        if start[:4] == b"RIFF" and len(start) == 12:
            announced = 8 + struct.unpack("<I", start[4:8])[0]
        elif start[4:8] == b"ftyp":
            while announced < size:
                stream.seek(announced)
                head = stream.read(16).ljust(16, b"\0")
                length = struct.unpack(">I", head[:4])[0]
                length = struct.unpack(">Q", head[8:])[0] if length == 1 else length
                if length < 8:  # 0: to the end of the file
                    return
                announced += length
    if announced > size:
        raise Unusable(f"{path} is cut short: it has {size} bytes, its container announces {announced}")


def natural(path: Path) -> List[Any]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", path.name) if part]


def pictures(path: Path) -> Iterator[np.ndarray]:
    """The pictures of a video or picture file, by cv2 or else by ffmpeg."""
    if importlib.util.find_spec("cv2"):
        cv2 = needed("cv2", "a video or picture")
        if path.suffix.lower() in PICTURES:
            several, stills = cv2.imreadmulti(str(path))
            yield from (one[..., ::-1] for one in stills if several)
            return
        check_whole(path)
        capture = cv2.VideoCapture(str(path))
        if capture.get(cv2.CAP_PROP_ORIENTATION_META):
            raise Unusable(f"{path} wants to be shown turned: turn it with ffmpeg")
        for there, frame in iter(capture.read, None):
            if not there:
                return
            yield frame[..., ::-1]
        return
    if shutil.which("ffmpeg") is None:
        raise Unusable(f"{path} needs OpenCV (pip install opencv-python-headless), or ffmpeg on the PATH")
    check_whole(path)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "image2pipe", "-vsync", "0"]
    with subprocess.Popen([*command, "-c:v", "ppm", "-"], stdout=subprocess.PIPE) as process:
        stream: Any = process.stdout
        while stream.readline() == b"P6\n":
            width, height = map(int, stream.readline().split())
            stream.readline()
            pixels = stream.read(3 * width * height)
            yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    if process.returncode:
        raise Unusable(f"{path}: ffmpeg ended with {process.returncode}: the file is damaged or cut short")


# ---- detections


class Graph:
    """A graph of the folder, ready to run."""

    def __init__(self, path: Path, threads: int):
        onnxruntime = needed("onnxruntime", "predict.py")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own have no other base
            raise Unusable(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from error
        self.inputs = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> Dict[str, np.ndarray]:
        found = self._session.run(self._outputs, {name: inputs[name] for name in self.inputs})
        outputs = dict(zip(self._outputs, found))
        if not np.isfinite(outputs.get("check", np.zeros(1))).all():
            raise Unusable("the network's scores are not finite: it cannot detect anything")
        return outputs


def rows_of(outputs: Dict[str, np.ndarray], scale: float, shape: Sequence[int]) -> Iterator[Tuple[int, float, Any]]:
    """(class, score, corners in pixels of the image) of one image, the best first, clipped to the image."""
    classes, scores, boxes = (outputs[name][0] for name in ("classes", "scores", "boxes"))
    height, width = shape
    for at in np.argsort(-scores, kind="stable"):
        box = np.clip(boxes[at] / np.float32(scale), 0, np.array([width, height, width, height], np.float32))
        if classes[at] >= 0 and (box[2:] > box[:2]).all():
            yield int(classes[at]), float(scores[at]), box


def coco(image_id: int, found: Tuple[int, float, Any], **place: int) -> Dict[str, Any]:
    label, score, box = found
    x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
    bbox = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    return {"image_id": image_id, "category_id": label + 1, "bbox": bbox, "score": round(score, 5), **place}


def detect_study(args: argparse.Namespace, config: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    given = config["input"]
    named = dict(one.partition("=")[::2] for one in args.phase)
    wrong = [name for name in named if name not in given["phases"][1:] or not named[name]]
    if wrong or len(named) < len(args.phase):
        others = ", ".join(given["phases"][1:]) or "none"
        raise Unusable(f"--phase NAME=PATH: INPUT is {given['phases'][0]}, the others of this network are: {others}")
    if given["modality"] != "CT" and args.input.suffix.lower() not in (".npy", ".npz"):
        raise Unusable(f"the network reads {given['modality']}: give an array of gluon_liver.mri_volume with --no-air")
    paths = [args.input, *(Path(one) for one in named.values())]
    arrays = [one for one in paths if one.suffix.lower() in (".npy", ".npz")]
    if args.spacing and not arrays:
        raise Unusable("--spacing is for arrays: the others tell their own")
    if args.no_air and not arrays and not any(one.name.lower().endswith((".nii", ".nii.gz")) for one in paths):
        raise Unusable("--no-air is for arrays and NIfTI: DICOM is read as it is")
    fixed = read_volume(args.input, args)
    read = {given["phases"][0]: fixed}
    hu = np.full((len(given["phases"]), *fixed.hu.shape), AIR_HU, np.int16)
    present = np.zeros(hu.shape[:2], bool)
    hu[0], present[0] = fixed.hu, True
    for number, name in enumerate(given["phases"]):
        if name in named:
            moving = read_volume(Path(named[name]), args)
            try:
                check_apart(moving, read)
                hu[number], present[number] = on_grid(moving, fixed)
            except Unusable as error:
                raise Unusable(f"{named[name]}: {error}") from error
            read[name] = moving
        tell_phase(name, read.get(name), present[number], hu[number])
    graph, dz = Graph(args.folder / "detector.onnx", args.threads), float(np.linalg.norm(fixed.steps[0]))
    table = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(given["mean"])) / np.float32(given["std"])
    for z, (image, there, scale) in enumerate(stacks(hu, present, dz, given)):
        outputs = graph(image=table[image][None], present=there[None].astype(np.float32))
        for found in rows_of(outputs, scale, fixed.hu.shape[1:]):
            row: Dict[str, Any] = coco(-1 - z, found, slice=z)
            if fixed.turn is not None:
                x1, y1, x2, y2 = fixed.source_box(found[2])
                row["source"] = {"slice": z, "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]}
            yield row


def check_apart(moving: Volume, read: Dict[str, Volume]) -> None:
    """Raise :class:`Unusable` for a phase of another patient than those that were read, or that is one of them."""
    for name, other in read.items():
        if moving.patient and other.patient and moving.patient != other.patient:
            raise Unusable(f"its PatientID is not that of {name}: phases of one study are wanted")
        if (moving.series and moving.series == other.series) or np.array_equal(moving.hu, other.hu):
            raise Unusable(f"it is the same series as {name}: leave one of them out")


def tell_phase(name: str, volume: Optional[Volume], present: np.ndarray, hu: np.ndarray) -> None:
    """Say what was read for a phase."""
    if volume is None:
        note(f"{name}: absent")
        return
    said = [f"{len(volume.hu)} slices of {volume.hu.shape[1]} x {volume.hu.shape[2]}"]
    if not present.all():
        said.append(f"absent in {int((~present).sum())} of {len(present)} slices of the reference phase")
    if hu.shape != volume.hu.shape or not np.array_equal(hu, volume.hu):
        said.append("resampled onto its grid")
    note(f"{name}: {', '.join(said)}")


def detect_frames(args: argparse.Namespace, config: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """Frame by frame; the first frames are their own previous ones, as is one whose previous frame is not there."""
    if args.phase or args.spacing or args.no_air:
        raise Unusable("--phase, --spacing and --no-air are for CT; these are graphs of ultrasound")
    given, number, count = config["input"], -1, 0
    seen: Dict[int, Tuple[np.ndarray, np.ndarray]] = {}
    frame_net, stream_net = (Graph(args.folder / f"{name}.onnx", args.threads) for name in ("frame", "stream"))
    for number, frame in read_frames(args.input):
        planes = [resized(frame[..., colour], given["size"]) for colour in range(3)]
        current = (np.stack([one for one, _ in planes])[None] / np.float32(255)).astype(np.float32)
        frame_map = frame_net(frame=current)["frame_map"]
        before = current, frame_map
        if given["previous_frame"] == "before":
            wanted = number - given["step"]
            before = seen.get(wanted, before)
            seen = {key: value for key, value in seen.items() if key > wanted}
            seen[number] = current, frame_map
        outputs = stream_net(frame=current, frame_map=frame_map, previous=before[0], previous_map=before[1])
        for found in rows_of(outputs, planes[0][1], frame.shape[:2]):
            yield coco(number + 1, found, frame=number)
        count += 1
    if number < 0:
        raise Unusable(f"{args.input}: no frame of it can be decoded")
    note(f"{count} frames, the last is number {number}")


def checked_config(folder: Path) -> Dict[str, Any]:
    """config.json of a folder all of whose files are those that were exported."""
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        odd = [
            name
            for name in files
            # texts may have been changed by who reads them, or by git on Windows
            if not name.endswith((".md", ".py"))
            and hashlib.sha256((folder / name).read_bytes()).hexdigest() != files[name]["sha256"]
        ]
        config: Dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        graphs = ["detector.onnx"] if config["task"] == "ct" else ["frame.onnx", "stream.onnx"]
        lacking = [name for name in ("config.json", *graphs) if name not in files]
        if lacking:
            raise KeyError(f"manifest.json says nothing of {lacking[0]}")
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{folder} is no whole folder of `export --onnx`: {error}") from error
    if odd:
        raise Unusable(f"{folder / odd[0]} is damaged or was changed: its SHA-256 is not the manifest's")
    return config


def written(rows: List[Dict[str, Any]], classes: Sequence[str], out: Path, place: Optional[str]) -> None:
    """The file, and with ``place``, "frame" or "slice", the same as CSV beside it; they appear whole or not at all."""
    texts = {out: json.dumps(rows, indent=1) + "\n"}
    if place:
        lines = [f"{place},class,score,x,y,width,height"]
        for row in rows:
            name = classes[row["category_id"] - 1].replace('"', '""')
            lines.append(",".join(map(str, [row[place], f'"{name}"', row["score"], *row["bbox"]])))
        texts[out.with_suffix(".csv")] = "\n".join(lines) + "\n"
    partial = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in texts}
    try:
        for path, text in texts.items():
            partial[path].write_text(text, encoding="utf-8")
        for path in texts:
            os.replace(partial[path], path)
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        for one in partial.values():
            one.unlink(missing_ok=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, metavar="INPUT", help="study or recording, see above")
    text = "another contrast phase of CT; may be repeated"
    parser.add_argument("--phase", action="append", default=[], metavar="NAME=PATH", help=text)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="COCO results to write")
    parser.add_argument("--csv", action="store_true", help="write them as FILE.csv too")
    text = "lowest score that is written, 0 to 1 (default: all that the network gives)"
    parser.add_argument("--score", type=float, default=0.0, metavar="SHARE", help=text)
    text = "mm between slices, rows and columns, of an array that does not tell them"
    parser.add_argument("--spacing", type=float, nargs=3, metavar=("DZ", "DY", "DX"), help=text)
    parser.add_argument("--no-air", action="store_true", help="take arrays and NIfTI without air as they are")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of onnxruntime (default: its own choice)")
    return parser


def main(arguments: Optional[Sequence[str]] = None, folder: Optional[Path] = None) -> int:
    args = parser().parse_args(arguments)
    args.folder = folder or Path(__file__).resolve().parent
    try:
        if not 0 <= args.score <= 1:
            raise Unusable(f"--score {args.score:g}: it must be from 0 to 1")
        if args.threads < 0:
            raise Unusable(f"--threads {args.threads}: it must be 1 or more, or 0 for onnxruntime's own choice")
        for path in (args.out, *([args.out.with_suffix(".csv")] if args.csv else [])):
            if path.exists() or args.out.suffix != ".json":
                raise Unusable(f"--out {args.out}: give a new name that ends in .json; {path} exists or would be one")
        if not os.access(args.out.resolve().parent, os.W_OK | os.X_OK):
            raise Unusable(f"--out {args.out}: its folder is not there or not writable")
        for path in (args.input, *(Path(one.partition("=")[2]) for one in args.phase)):
            if path.is_dir() and path.resolve() in args.out.resolve().parents:
                raise Unusable(f"--out {args.out} lies inside {path}, which is read; choose a folder outside of it")
        config = checked_config(args.folder)
        detect = detect_study if config["task"] == "ct" else detect_frames
        rows = [row for row in detect(args, config) if row["score"] >= args.score]
        place = "slice" if config["task"] == "ct" else "frame"
        written(rows, config["classes"], args.out, place if args.csv else None)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    likely = sum(row["score"] >= 0.5 for row in rows)
    print(f"{len(rows)} boxes, {likely} at score 0.5 and above: {args.out}. Research use, not for diagnosis.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
