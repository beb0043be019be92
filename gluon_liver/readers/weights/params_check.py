"""The layout of MXNet's ``.params``, checked before MXNet reads a file: it believes what a file says of itself.

``mx.nd.load`` makes room for whatever a header announces, and a forged kind of storage or of number ends the process.
The layout is that of src/ndarray/ndarray.cc: a list of arrays, each with its shape, device and kind of number, then
their names.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO, Tuple

from gluon_liver.errors import InputError

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # of an array; before V1 it began with the number of its axes
DENSE = 0
ITEM_BYTES = (4, 8, 2, 1, 4, 1, 8, 1, 2, 2, 4, 8, 2)  # of each type flag of 3rdparty/mshadow/mshadow/base.h
DEVICES = (1, 2, 3, 5)  # CPU, GPU, pinned and shared memory
MOST_AXES = 32
MOST_DEVICES = 1024
LONGEST_NAME = 1 << 16


def check_params(path: Path) -> None:
    """Raise :class:`InputError`, without the path, unless ``path`` is a whole list of dense arrays in itself."""
    with path.open("rb") as stream:
        reader = _Reader(stream)
        magic, _ = reader.numbers("QQ")
        if magic != LIST_MAGIC:
            raise InputError("it is no parameter file of MXNet")
        (count,) = reader.numbers("Q")
        for number in range(reader.plausible(count, 4)):
            reader.array(f"array {number + 1} of {count}")
        (names,) = reader.numbers("Q")
        for _ in range(reader.plausible(names, 8)):
            (length,) = reader.numbers("Q")
            if length > LONGEST_NAME:
                raise InputError(f"it is damaged or cut: a name of {length} bytes")
            reader.skip(length)
        if names not in (0, count):
            raise InputError(f"it is damaged: {names} names for {count} arrays")


class _Reader:
    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size

    def numbers(self, kinds: str) -> Tuple[int, ...]:
        """The next numbers, as :mod:`struct` names their kinds."""
        form = struct.Struct("<" + kinds)
        content = self._stream.read(form.size)
        if len(content) < form.size:
            raise InputError(f"it is cut: its {self._size} bytes end inside a header")
        return form.unpack(content)

    def plausible(self, count: int, least: int) -> int:
        """A count of what takes ``least`` bytes each. Raises where the file is too short for so many."""
        if count * least > self._size:
            raise InputError(f"it is damaged or cut: it announces {count} entries in {self._size} bytes")
        return count

    def skip(self, length: int) -> None:
        if length > self._size - self._stream.tell():
            raise InputError(f"it is damaged or cut: {length} bytes are announced beyond its end")
        self._stream.seek(length, os.SEEK_CUR)

    def array(self, what: str) -> None:
        (magic,) = self.numbers("I")
        if magic in (V2, V3):
            (storage,) = self.numbers("i")
            if storage != DENSE:
                raise InputError(f"{what} is stored in a way ({storage}) that is not read: dense arrays are")
        axes = self.numbers("i")[0] if magic in (V1, V2, V3) else magic
        if axes == (-1 if magic == V3 else 0):
            raise InputError(f"{what} has no value")
        if not (0 if magic == V3 else 1) <= axes <= MOST_AXES:
            raise InputError(f"it is damaged or no list of arrays: {what} has {axes} axes")
        shape = self.numbers(f"{axes}" + ("q" if magic in (V1, V2, V3) else "I"))
        device, place, kind = self.numbers("iii")
        if min(shape, default=1) < (0 if magic == V3 else 1) or not 0 <= kind < len(ITEM_BYTES):
            raise InputError(f"it is damaged: {what} has the shape {shape[:8]} and numbers of kind {kind}")
        if device not in DEVICES or not 0 <= place < MOST_DEVICES:
            raise InputError(f"it is damaged: {what} was on device {place} of kind {device}")
        self.skip(math.prod(shape) * ITEM_BYTES[kind])
