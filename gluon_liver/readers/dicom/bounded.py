"""DICOM files opened so that no length in them asks for more memory than the file has bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Optional

SMALL = 1 << 16  # bytes that are read without asking what is left


class BoundedReader(io.BufferedReader):
    """A file open for reading. ``read(n)`` makes room for ``n`` bytes before it reads: here for no more than are left.

    An element of a damaged or forged header announces up to 4 GB.
    """

    def __init__(self, path: Path):
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is not None and size > SMALL:
            size = max(min(size, self._size - self.tell()), 0)
        return super().read(size)
