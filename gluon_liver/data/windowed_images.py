"""8-bit images of a data set, windowed once and read by memory map: DATA/images/<window>-<storage>/<case>.npy.

:func:`use_cache` keeps them elsewhere, for data that are read-only.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Optional, Sequence

import cv2
import numpy as np
from tqdm import tqdm

from gluon_liver.config.windows import Window, window_values
from gluon_liver.errors import ConfigError, DatasetError
from gluon_liver.files.atomic import PARTIAL, whole_file
from gluon_liver.files.digest import hash_file
from gluon_liver.files.output_folder import why_not_written

from .ct_dataset import CTDataset
from .images import to_grey
from .study import DamagedArrayError, open_array

STORAGES = ("raw", "jpeg")
JPEG_QUALITY = 95
SLICES_AT_ONCE = 16  # that are windowed: it takes eight times the memory of their HU
NAME_LENGTH = 16  # of the hexadecimal digits of a hash that name a data set's folder in a cache

_cache: Optional[Path] = None


def use_cache(folder: Optional[Path]) -> None:
    """From now on images are kept below ``folder``, a folder of its own for each data set; None: beside the data."""
    global _cache
    _cache = folder


@functools.lru_cache(maxsize=None)
def _name_in_cache(description: Path) -> str:
    return hash_file(description)[:NAME_LENGTH]


def images_folder(dataset: CTDataset, window: Window, storage: str) -> Path:
    """The folder of one window and storage. Raises ConfigError for an unknown one."""
    if storage not in STORAGES:
        raise ConfigError(f"there is no image storage {storage!r}; it is one of {', '.join(STORAGES)}")
    width, level = window_values(window)
    name = window if isinstance(window, str) else f"w{width:g}l{level:g}"
    images = dataset.folder / "images"
    if _cache is not None:
        images = _cache / _name_in_cache((dataset.folder / "dataset.json").resolve())
    return images / f"{name}-{storage}"


def prepare_images(
    dataset: CTDataset,
    *,
    window: Window,
    storage: str = "raw",
    cases: Optional[Sequence[str]] = None,
    progress: bool = False,
) -> Path:
    """Write uint8 (P, Z, Y, X) at stored size for ``cases`` (default: all), and return the folder.

    "jpeg" passes each slice through a JPEG of quality 95 (the paper stored JPEG), "raw" does not. A file that is there,
    fits the volume and is not older than it is kept. Each file appears whole or not at all.
    """
    folder = images_folder(dataset, window, storage)
    wanted = [info.case for info in dataset.cases] if cases is None else cases
    for case in tqdm(wanted, desc="images", unit="study", disable=None if progress else True):
        path = folder / f"{case}.npy"
        source = dataset.folder / "studies" / case / "volume.npy"
        study = dataset.study(case)
        if _is_current(path, source, study.hu.shape):
            continue
        images = windowed(study.hu, window, storage)
        try:
            # two trainings may prepare the same images
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path, "wb", ending=f".{os.getpid()}{PARTIAL}") as stream:
                np.save(stream, images)
        except OSError as error:
            why = f"the images of {case} cannot be written to {folder}: {why_not_written(error)}"
            elsewhere = "give --cache another folder" if _cache else "--cache FOLDER keeps them elsewhere"
            raise DatasetError(f"{why}; {elsewhere}") from error
    return folder


def windowed(hu: np.ndarray, window: Window, storage: str) -> np.ndarray:
    """HU (P, Z, Y, X) -> uint8 of the same shape, as :func:`prepare_images` stores it."""
    images = np.empty(hu.shape, np.uint8)
    planes, slices = images.reshape(-1, *hu.shape[2:]), hu.reshape(-1, *hu.shape[2:])
    for first in range(0, len(slices), SLICES_AT_ONCE):
        planes[first : first + SLICES_AT_ONCE] = to_grey(slices[first : first + SLICES_AT_ONCE], window)
    if storage == "jpeg":
        for plane in planes:
            code = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            plane[...] = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return images


def open_images(dataset: CTDataset, case: str, window: Window, storage: str = "raw") -> np.ndarray:
    """uint8 (P, Z, Y, X) memory map of one case. Raises DatasetError unless `prepare_images` has been run."""
    path = images_folder(dataset, window, storage) / f"{case}.npy"
    return open_array(path, remedy="prepare the images again")


def _is_current(path: Path, source: Path, shape: Any) -> bool:
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        return False
    try:
        stored = open_array(path, remedy="")
    except DamagedArrayError:  # it is written again: it holds nothing that the volume does not
        return False
    return stored.shape == tuple(shape) and stored.dtype == np.uint8
