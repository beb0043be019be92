"""Files that appear whole or not at all: written to a sibling NAME.partial, which takes the name when it is on disk."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Iterator, Optional, Set, Tuple, Union

PARTIAL = ".partial"
# of fsync, where a file system has none for a kind of file; 524 is the kernel's own ENOTSUPP, which NFS lets through
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, 524)

_told: Set[Tuple[int, str]] = set()  # file systems, and what they cannot flush


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
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # of a full disk the system does not say where
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
    """Have the disk hold what a file or folder holds before anything else is done.

    A file system that cannot is put up with and named once; what the disk itself says (full, broken) is raised.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # a descriptor for reading alone: of folders some systems say EBADF
        if error.errno not in NO_SYNC and not (error.errno == errno.EBADF and path.is_dir()):
            error.filename = str(path)
            raise
        what = "folders" if path.is_dir() else "files"
        place = os.fstat(handle).st_dev, what
        if place not in _told:
            _told.add(place)
            risk = f"what was written last to {path.absolute().parent} may be lost where the machine fails"
            print(f"warning: the file system cannot flush {what} ({error.strerror}): {risk}", file=sys.stderr)
    finally:
        os.close(handle)
