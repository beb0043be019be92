"""Files that appear whole or not at all: written to a sibling NAME.partial, which takes the name when it is on disk."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Iterator, Optional, Union

PARTIAL = ".partial"


@contextmanager
def whole_path(path: Union[str, Path], *, ending: str = PARTIAL) -> Iterator[Path]:
    """Yield the path NAME + ``ending``, for writers that open a file by its name.

    What was written there takes the name ``path`` when the block ends. On an error it is removed, and what bore the
    name before stays.
    """
    path = Path(path)
    partial = path.with_name(path.name + ending)
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(path: Union[str, Path], mode: str = "w", *, ending: str = PARTIAL) -> Iterator[IO[Any]]:
    """:func:`whole_path`, opened: a stream of text ("w", UTF-8) or bytes ("wb")."""
    with whole_path(path, ending=ending) as partial:
        with open(partial, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream


def write_text(path: Union[str, Path], text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    with whole_file(path) as stream:
        stream.write(text)


def write_json(path: Union[str, Path], value: Any, *, indent: Optional[int] = 1) -> None:
    """Write JSON whole or not at all. Raises :class:`ValueError` for NaN and infinity."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Have the disk hold what a file or folder holds before anything else is done."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
