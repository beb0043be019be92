"""One axial CT series of a folder of DICOM files."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Any, Counter, Dict, List, Optional, Tuple

import numpy as np

from .ct_images import CT_IMAGE, is_named, no_plain_slice, no_slice, unit_of
from .refusals import Unusable, needed, note
from .volumes import AIR_HU, Volume, oriented, to_hu

FEWEST = 3  # images that make a part of a series; fewer beside more are strays
LARGEST = 4096  # rows or columns
# what a damaged or odd data set raises, in pydicom and in numpy
ODD = (AttributeError, EOFError, KeyError, NotImplementedError, OverflowError, TypeError, ValueError, struct.error)


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
    try:
        bare = pydicom.dcmread(path, force=True)
        bare.get("SOPClassUID")
    except Exception:  # whatever pydicom raises of another kind of file
        return None
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
    series, left_out = series_of(folder, named[2] if named else None)
    told = "; ".join(f"{count} file(s): {why}" for why, count in left_out.items())
    if len(series) != 1:
        left = f"; left out: {told}" if told else ""
        raise Unusable(f"{len(series)} series of CT images are there, one is wanted{how_to_name(series, folder)}{left}")
    if told:
        note(f"left out of {folder}: {told}")
    ((uid, slices),) = series.items()
    unsaid = sum(unit_of(one) not in ("", "HU", "HU_MOD") for one in slices)
    if unsaid:
        note(f"{folder}: {unsaid} image(s) have a RescaleType that does not say HU: their values are taken as HU")
    try:
        volume = stacked(without_strays(slices, folder))
        return volume._replace(series=uid, patient=str(slices[0].get("PatientID") or ""))
    except ODD as error:
        raise Unusable(f"a tag that is needed is missing or damaged ({error})") from error


def series_of(folder: Path, name: Optional[str]) -> Tuple[Dict[str, List[Any]], Counter[str]]:
    """The CT slices of a folder by their SeriesInstanceUID, and how many files were left out, by why.

    name: of the series that is wanted, None for those of plain slices.
    """
    series: Dict[str, List[Any]] = {}
    left_out: Counter[str] = Counter()
    for path in files_below(folder):
        if not path.exists():
            left_out["a link to what is not there"] += 1
            continue
        try:
            image = open_dicom(path)
            if image is not None and name and not is_named(image, name):
                continue
            why = "no DICOM" if image is None else no_slice(image) or ("" if name else no_plain_slice(image))
            if why:
                left_out[why] += 1
                continue
            check_plain(image, path)
            series.setdefault(str(image.SeriesInstanceUID), []).append(image)
        except (OSError, Unusable):
            raise
        except Exception as error:  # whatever pydicom raises
            raise Unusable(f"{path.name} is damaged ({error}): take it out, or fetch it anew") from error
    return series, left_out


def check_plain(image: Any, path: Path) -> None:
    """Raise :class:`Unusable` for a slice that is not in a file of its own, or that was cut."""
    if str(image.SOPClassUID) != CT_IMAGE:
        raise Unusable(f"{path.name} is an Enhanced CT of several frames: import it with gluon_liver")
    for tag in ("Rows", "Columns", "PixelData"):  # the last of a file that is whole
        if tag not in image:
            raise Unusable(f"{path.name} has no {tag}: it is damaged or cut short; take it out, or fetch it anew")


def how_to_name(series: Dict[str, List[Any]], folder: Path) -> str:
    """What to write for one of several series, "" where there is none."""
    numbers = [one[0].get("SeriesNumber") for one in series.values()]
    by_uid = None in numbers or len({*numbers}) < len(numbers)
    names = [*series] if by_uid else numbers
    found = sorted(f"{name} of {len(one)} images" for name, one in zip(names, series.values()))
    what = "SeriesInstanceUID" if by_uid else "NUMBER"
    return f"; name one, {folder}@{what}, for its phase: series {', '.join(found)}" if found else ""


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
    if sum(one != other for one, other in zip(acquisitions, acquisitions[1:])) > len(acquisitions) / 2:
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
