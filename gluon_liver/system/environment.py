"""What environment.json says of the machine and the code, and results of how they were made."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

from .command_line import command_typed
from .runtime import installed_version

PACKAGES = ("mxnet", "mxnet-cu112", "gluoncv", "numpy", "scipy", "opencv-python", "pydicom", "SimpleITK", "pycocotools")


def provenance() -> Dict[str, Any]:
    """What made a file: ``version`` of the package, code ``revision`` (None without a checkout), ``command`` as it was
    typed (words; None where the package is used as a library) and ``date`` (ISO 8601, UTC, to the second).

    The command is that of :func:`gluon_liver.system.command_line.shareable`.
    """
    return {
        "version": import_module(__name__.partition(".")[0]).__version__,
        "revision": _revision(),
        "command": command_typed(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def describe_environment(seed: int) -> Dict[str, Any]:
    """:func:`provenance`, packages and machine, without the machine's or anybody's name."""
    return {
        **provenance(),
        "python": platform.python_version(),
        "packages": installed_versions(PACKAGES),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "seed": seed,
    }


def installed_versions(names: Iterable[str]) -> Dict[str, str]:
    """Version by distribution name, of those that are installed."""
    return {name: version for name in names for version in [installed_version(name)] if version}


def _revision() -> Optional[str]:
    """The git revision of the code if it runs from a checkout, with ``+`` where files differ from it."""
    root = str(Path(__file__).resolve().parents[2])
    try:
        command = ["git", "-C", root, "describe", "--always", "--dirty=+", "--exclude=*"]
        top = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return top.stdout.strip() or None if top.returncode == 0 else None
