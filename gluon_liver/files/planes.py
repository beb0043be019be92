"""Grey pictures of one size in one file, each compressed by itself, so that any of them is read alone.

The file: ``MAGIC``; the number of axes and the shape, whose last two are a picture's; where each picture begins, in
bytes from the file's beginning, and where the last one ends; the pictures in C order, each a zlib stream, which holds a
check sum. All numbers are uint64, little-endian.
"""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, Iterable, Optional, Tuple

import numpy as np

from gluon_liver.structures.arrays import Array

MAGIC = b"GLPLANE1"
LEVEL = 1  # of zlib: higher ones take several times as long for a tenth of the bytes
MOST_AXES = 8
MOST_SHRUNK = 1100  # deflate does not compress more than 1,032 times


def compress(plane: Array) -> bytes:
    """A uint8 picture as :func:`write_planes` takes it."""
    return zlib.compress(np.ascontiguousarray(plane).data, LEVEL)


def write_planes(stream: IO[bytes], shape: Tuple[int, ...], planes: Iterable[bytes]) -> None:
    """Write compressed pictures, in C order, to an empty file. One at a time is in memory."""
    ends = [_index_end(shape)]
    stream.seek(ends[0])
    for code in planes:
        stream.write(code)
        ends.append(ends[-1] + len(code))
    if len(ends) != math.prod(shape[:-2]) + 1:
        raise ValueError(f"{len(ends) - 1} pictures for the shape {shape}")
    stream.seek(0)
    stream.write(MAGIC + np.array([len(shape), *shape, *ends], "<u8").tobytes())


class PlaneFile:
    """A file of :func:`write_planes`, open for reading from any thread; ``file[i, j]`` is one picture, uint8 (Y, X).

    Raises OSError where it cannot be opened, and :class:`ValueError` where it is damaged, when a damaged picture is
    read at the latest.
    """

    def __init__(self, path: Path):
        self.path = path
        self._stream = open(path, "rb", buffering=0)
        head = self._read(0, 16)
        axes = int(np.frombuffer(head[8:], "<u8")[0]) if len(head) == 16 and head.startswith(MAGIC) else 0
        size = os.fstat(self._stream.fileno()).st_size
        if not 2 <= axes <= MOST_AXES or size < _index_start(axes):
            raise self._damaged()
        self.shape: Tuple[int, ...] = tuple(map(int, np.frombuffer(self._read(16, 8 * axes), "<u8")))
        # before anything is read that a damaged head may have made enormous
        start = _index_end(self.shape)
        if start > size or math.prod(self.shape) > MOST_SHRUNK * size:
            raise self._damaged()
        first = _index_start(axes)
        self._places = np.frombuffer(self._read(first, start - first), "<u8").astype(np.int64)
        if self._places[0] != start or self._places[-1] != size or (np.diff(self._places) <= 0).any():
            raise self._damaged()

    def __getitem__(self, place: Tuple[int, ...]) -> Array:
        number = 0
        for index, length in zip(place, self.shape[:-2]):
            if not 0 <= index < length:
                raise IndexError(f"{self.path} has no picture {tuple(place)}, its shape is {self.shape}")
            number = number * length + index
        begin, end = map(int, self._places[number : number + 2])
        height, width = self.shape[-2:]
        try:
            pixels = zlib.decompress(self._read(begin, end - begin), bufsize=height * width)
            return np.frombuffer(pixels, np.uint8).reshape(height, width)
        except (ValueError, zlib.error) as error:
            raise self._damaged() from error

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> Array:
        """All pictures at once."""
        planes = [self[place] for place in np.ndindex(*self.shape[:-2])]
        return np.reshape(planes, self.shape).astype(dtype or np.uint8, copy=False)

    def _read(self, begin: int, size: int) -> bytes:
        return os.pread(self._stream.fileno(), size, begin)

    def _damaged(self) -> ValueError:
        return ValueError(f"{self.path} is damaged")


def _index_start(axes: int) -> int:
    return len(MAGIC) + 8 * (1 + axes)


def _index_end(shape: Tuple[int, ...]) -> int:
    return _index_start(len(shape)) + 8 * (math.prod(shape[:-2]) + 1)
