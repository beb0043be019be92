"""8-bit images of a data set, windowed once and kept compressed: DATA/images/<window>-<storage>/<case>.slices.

Each slice is compressed by itself (see :mod:`gluon_liver.files.planes`) and read alone.

:func:`use_cache` keeps them elsewhere, for data that are read-only.
"""

from __future__ import annotations

import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, Optional, Protocol, Sequence, Set, Tuple

import cv2
import numpy as np

from gluon_liver.config.windows import Window, check_window, window_name
from gluon_liver.errors import ConfigError, DatasetError
from gluon_liver.files.atomic import PARTIAL, whole_file
from gluon_liver.files.digest import hash_file
from gluon_liver.files.output_folder import why_not_written
from gluon_liver.files.planes import PlaneFile, compress, write_planes
from gluon_liver.system.runtime import compute_threads
from gluon_liver.system.terminal import progress_bar

from .ct_dataset import CTDataset
from .images import to_grey
from .study import DamagedArrayError, stored_file

STORAGES = ("raw", "jpeg")
JPEG_QUALITY = 95
SLICES_AT_ONCE = 64  # that are compressed by all threads
ENDING, OLD_ENDING = ".slices", ".npy"
NAME_LENGTH = 16  # of the hexadecimal digits of a hash that name a data set's folder in a cache

_cache: Optional[Path] = None
_told: Set[Path] = set()  # folders of whose old images was told


class Images(Protocol):
    """The windowed images of a study, uint8: an array (P, Z, Y, X), or a file of it."""

    @property
    def shape(self) -> Tuple[int, ...]: ...

    def __getitem__(self, place: Tuple[int, int]) -> np.ndarray:
        """One slice (Y, X) of one phase."""


def use_cache(folder: Optional[Path]) -> None:
    """From now on images are kept below ``folder``, a folder of its own for each data set; None: beside the data."""
    global _cache
    _cache = folder


@functools.lru_cache(maxsize=None)
def _name_in_cache(description: Path) -> str:
    return hash_file(description)[:NAME_LENGTH]


def images_folder(dataset: CTDataset, window: Window, storage: str) -> Path:
    """The folder of one window and storage. Raises ConfigError for an unknown one and a preset in HU of MRI."""
    check_window(window, dataset.modality)
    if storage not in STORAGES:
        raise ConfigError(f"there is no image storage {storage!r}; it is one of {', '.join(STORAGES)}")
    name = window_name(window)
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
    _tell_of_old_images(folder)
    wanted = [info.case for info in dataset.cases] if cases is None else cases
    for case in progress_bar(wanted, text="images", unit="study", show=progress):
        path = folder / f"{case}{ENDING}"
        source = dataset.folder / "studies" / case / "volume.npy"
        study = dataset.study(case)
        if _is_current(path, source, study.hu.shape):
            continue
        try:
            # two trainings may prepare the same images
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path, "wb", ending=f".{os.getpid()}{PARTIAL}") as stream:
                write_planes(stream, study.hu.shape, _compressed(study.hu, window, storage))
        except OSError as error:
            what = f"the images of {case} cannot be written to {folder}: {why_not_written(error)}"
            elsewhere = (
                "give --cache another folder"
                if _cache
                else "--cache FOLDER (of train, evaluate and detect) keeps them elsewhere"
            )
            raise DatasetError(f"{what}; {elsewhere}") from error
    return folder


def windowed(hu: np.ndarray, window: Window, storage: str) -> np.ndarray:
    """HU of any shape (..., Y, X) -> uint8 of the same shape, as :func:`prepare_images` stores it."""
    images = np.empty(hu.shape, np.uint8)
    for plane, values in zip(images.reshape(-1, *hu.shape[-2:]), hu.reshape(-1, *hu.shape[-2:])):
        plane[...] = to_grey(values, window)
        if storage == "jpeg":
            code = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            plane[...] = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return images


def _compressed(hu: np.ndarray, window: Window, storage: str) -> Iterator[bytes]:
    """The slices of (P, Z, Y, X) windowed and compressed, in their order, on all cores."""
    slices = hu.reshape(-1, *hu.shape[2:])
    with ThreadPoolExecutor(compute_threads()) as pool:
        for first in range(0, len(slices), SLICES_AT_ONCE):
            some = slices[first : first + SLICES_AT_ONCE]
            yield from pool.map(lambda plane: compress(windowed(plane, window, storage)), some)


def open_images(dataset: CTDataset, case: str, window: Window, storage: str = "raw") -> StoredImages:
    """uint8 (P, Z, Y, X) of one case, read slice by slice. Raises DatasetError unless `prepare_images` has been run."""
    return StoredImages(images_folder(dataset, window, storage) / f"{case}{ENDING}")


class StoredImages(PlaneFile):
    """What :func:`prepare_images` wrote of a case. Raises DatasetError where it cannot be read."""

    def __init__(self, path: Path):
        with stored_file(path, remedy="prepare the images again"):
            super().__init__(path)

    def __getitem__(self, place: Tuple[int, ...]) -> np.ndarray:
        with stored_file(self.path, remedy="delete it, and it is made again"):
            return super().__getitem__(place)


def _is_current(path: Path, source: Path, shape: Any) -> bool:
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        return False
    try:
        return StoredImages(path).shape == tuple(shape)
    except DamagedArrayError:  # it is written again: it holds nothing that the volume does not
        return False


def _tell_of_old_images(folder: Path) -> None:
    """Of the images that versions before wrote uncompressed, which nothing reads any more."""
    sizes = [path.stat().st_size for path in folder.glob(f"*{OLD_ENDING}")]
    if sizes and folder not in _told:
        _told.add(folder)
        what = f"{len(sizes)} files {folder}/*{OLD_ENDING} ({sum(sizes) / 1e9:.1f} GB) are images of an older version"
        print(f"note: {what}, which nothing reads any more: delete them", file=sys.stderr)
