"""JSON files that this package writes, read back with errors that name the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from gluon_liver.errors import RunError


def parse_object(text: str, path: Path) -> Dict[str, Any]:
    """The JSON object of a file's text. Raises :class:`RunError` that names the place."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise RunError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path}: holds a {type(found).__name__}; an object is needed")
    return found
