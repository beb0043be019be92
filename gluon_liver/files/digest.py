"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Iterable, Union


def hash_files(paths: Iterable[Union[str, Path]]) -> str:
    """SHA-256 (hex) over the content of files, one after the other. Raises OSError."""
    content = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                content.update(block)
    return content.hexdigest()


def hash_file(path: Union[str, Path]) -> str:
    """SHA-256 (hex) of one file. Raises OSError."""
    return hash_files([path])


def digest(path: Path) -> Dict[str, Any]:
    """``bytes`` and ``sha256`` of a plain file. Raises OSError."""
    return {"bytes": plain_file(path).stat().st_size, "sha256": hash_file(path)}


def plain_file(path: Path) -> Path:
    """``path`` itself. Raises :class:`FileNotFoundError`, for a folder or a pipe too."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there, or no plain file")
    return path
