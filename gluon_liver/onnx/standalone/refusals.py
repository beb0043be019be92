"""What cannot be read, and what is told on the screen."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


class Unusable(Exception):
    """Input that cannot be read, with what to do."""


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def needed(package: str, what: str) -> Any:
    """The package, imported; one that is damaged, or does not go with another, may raise anything."""
    name = {"cv2": "opencv-python-headless"}.get(package, package)
    if importlib.util.find_spec(package) is None:
        raise Unusable(f"{what} needs the package {package}: pip install {name}")
    try:
        return importlib.import_module(package)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        again = f"pip install --force-reinstall {name}, or make a new environment"
        raise Unusable(f"{what} needs the package {package}, which cannot be imported ({said}): {again}") from error
