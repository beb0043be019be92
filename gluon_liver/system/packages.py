"""Packages that are installed and cannot be imported: which they are, why, and what puts them right.

A package of another version beside it, protobuf say, or a missing library makes an import raise anything.
"""

from __future__ import annotations

import re
from importlib import import_module, metadata
from types import TracebackType
from typing import Iterator, List, Optional, Sequence, Tuple

from .runtime import installed_version

OWN = __name__.partition(".")[0]
DISTRIBUTIONS = {"cv2": "opencv-python", "google": "protobuf", "PIL": "Pillow", "yaml": "PyYAML"}
PYTHONS = ("importlib", "_frozen_importlib", "_frozen_importlib_external", "ctypes")  # that imports go through
LONGEST = 200  # letters of a reason


def why_unusable(modules: Sequence[str], install: str) -> str:
    """What is wrong with the first of ``modules`` that cannot be imported, and what to do; "" where all can.

    install: what pip installs a missing one with, quoted for a shell.
    """
    for module in modules:
        package = module.partition(".")[0]
        try:
            import_module(package)
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name == package:
                return f"the package {package}, which is not installed: pip install {install}"
            return f"the package {package}, {_broken(package, error)}"
        except Exception as error:  # whatever it raises
            return f"the package {package}, {_broken(package, error)}"
    return ""


def failed_import(error: BaseException) -> str:
    """What to say where ``error`` ended an import of another package; "" for any other error."""
    if not isinstance(error, Exception) or isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
        return ""  # of the machine, whatever was imported just then
    places = [(module, code) for module, code in _frames(error.__traceback__) if module not in PYTHONS]
    package = ""
    for (caller, _), (called, code) in zip(places, places[1:]):
        if caller == OWN and called != OWN:
            package = called if code == "<module>" else ""
    if isinstance(error, ImportError) and error.name and not package:
        package = error.name.partition(".")[0]
    if package in ("", OWN):
        return ""
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return f"this needs the package {package}, which is not installed: pip install {_requirement(package)}"
    return f"this needs the package {package}, {_broken(package, error)}"


def _broken(package: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:LONGEST]
    reason = f"which is installed but cannot be imported ({type(error).__name__}: {said})"
    if "cannot open shared object file" in said:
        return f"{reason}: a library of the system is missing; `python -m {OWN} doctor` says which, and what has it"
    involved = dict.fromkeys([package, *(module for module, _ in _frames(error.__traceback__))])
    if isinstance(error, ImportError) and error.name:
        involved[error.name.partition(".")[0]] = None
    # NumPy stays: MXNet wants the one that is there
    names = [name for name in involved if name not in (OWN, "numpy") and _distribution(name) is not None]
    again = f"pip install --force-reinstall --no-deps {' '.join(map(_requirement, names or [package]))}"
    return f"{reason}: {again}; `python -c 'import {package}'` shows more"


def _frames(trace: Optional[TracebackType]) -> Iterator[Tuple[str, str]]:
    """Top-level package and function of each frame, the outermost first."""
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0], trace.tb_frame.f_code.co_name
        trace = trace.tb_next


def _distribution(package: str) -> Optional[str]:
    """The name that pip knows a package by, None where it knows none."""
    name = DISTRIBUTIONS.get(package, package)
    return name if installed_version(name) is not None else None


def _requirement(package: str) -> str:
    """What pip installs it with: of this package's own requirements with their limits, else the name alone."""
    name = DISTRIBUTIONS.get(package, package)
    try:
        wanted: List[str] = metadata.requires(OWN) or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        wanted = []
    ours = re.compile(rf"{re.escape(name)}(?![\w-])", re.IGNORECASE)
    own = [one.partition(";")[0].strip() for one in wanted if ours.match(one)]
    return f"'{own[0]}'" if own else name
