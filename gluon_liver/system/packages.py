"""Packages that are installed and cannot be imported: which they are, why, and what puts them right.

A package of another version beside it, protobuf say, or a missing library makes an import raise anything.
"""

from __future__ import annotations

import dis
import os
import re
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Iterator, List, Optional, Sequence, Tuple

from .runtime import installed_version

OWN = __name__.partition(".")[0]
HERE = str(Path(__file__).resolve().parents[1]) + os.sep
# package -> what pip may have installed it as, the usual name first
DISTRIBUTIONS = {
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "google": ("protobuf",),
    "mxnet": ("mxnet", "mxnet-cu112"),
    "PIL": ("Pillow",),
    "yaml": ("PyYAML",),
}
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
            if getattr(import_module(module), "__file__", None) is None:
                return f"the package {package}, of which only an empty folder is there: pip install {install}"
        except ModuleNotFoundError as error:
            if error.name == package:
                return f"the package {package}, which is not installed: pip install {install}"
            return f"the package {package}, {_broken(package, error)}"
        except (Exception, SystemExit) as error:  # whatever it raises
            return f"the package {package}, {_broken(package, error)}"
    return ""


def failed_import(error: BaseException) -> str:
    """What to say where ``error`` ended an import of another package; "" for any other error."""
    if not isinstance(error, (Exception, SystemExit)):
        return ""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
        return ""  # of the machine, whatever was imported just then
    places = [(module, code) for module, code in _frames(error.__traceback__) if module not in PYTHONS]
    package = ""
    for (caller, _), (called, code) in zip(places, places[1:]):
        if caller == OWN and called != OWN:
            package = called if code == "<module>" else ""
    if isinstance(error, ImportError) and error.name and not package:
        package = error.name.partition(".")[0]
    package = package or _unreadable(error)
    if package in ("", OWN):
        return ""
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return f"this needs the package {package}, which is not installed: pip install {_requirement(package)}"
    return f"this needs the package {package}, {_broken(package, error)}"


def _broken(package: str, error: BaseException) -> str:
    said = " ".join(str(error).split())[:LONGEST]
    reason = f"which is installed but cannot be imported ({type(error).__name__}: {said})"
    if "cannot open shared object file" in said:
        return f"{reason}: a library of the system is missing; `python -m {OWN} doctor` says which, and what has it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        lacking = error.name.partition(".")[0]
        if lacking not in (package, OWN) and find_spec(lacking) is None:
            return f"{reason}: pip install {_requirement(lacking)}"
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
        yield _top(trace), trace.tb_frame.f_code.co_name
        trace = trace.tb_next


def _unreadable(error: BaseException) -> str:
    """The package whose file, which no frame is of, Python could not make code of; "" where it was none."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _top(trace.tb_next) not in PYTHONS:
        trace = trace.tb_next
    if trace is None or _top(trace) != OWN or str(getattr(error, "filename", "")).startswith(HERE):
        return ""
    last = [one for one in dis.get_instructions(trace.tb_frame.f_code) if one.offset == trace.tb_lasti]
    package = str(last[0].argval).partition(".")[0] if last and last[0].opname == "IMPORT_NAME" else ""
    return package if package and find_spec(package) is not None else ""


def _top(trace: TracebackType) -> str:
    """The top-level package of a frame."""
    return str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]


def _distribution(package: str) -> Optional[str]:
    """The name that pip knows an installed package by, None where it knows none."""
    names = DISTRIBUTIONS.get(package, (package,))
    return next((name for name in names if installed_version(name) is not None), None)


def _requirement(package: str) -> str:
    """What pip installs it with: of this package's own requirements with their limits, else the name alone."""
    name = _distribution(package) or DISTRIBUTIONS.get(package, (package,))[0]
    try:
        wanted: List[str] = metadata.requires(OWN) or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        wanted = []
    ours = re.compile(rf"{re.escape(name)}(?![\w-])", re.IGNORECASE)
    own = [one.partition(";")[0].strip() for one in wanted if ours.match(one)]
    return f"'{own[0]}'" if own else name
