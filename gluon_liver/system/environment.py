"""What environment.json says of the machine and the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Optional

PACKAGES = ("mxnet", "mxnet-cu112", "gluoncv", "numpy", "scipy", "opencv-python", "pydicom", "SimpleITK", "pycocotools")


def describe_environment(seed: int) -> Dict[str, Any]:
    """Packages, code revision and machine, without the machine's or anybody's name."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES for version in [installed_version(name)] if version},
        "revision": _revision(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "seed": seed,
    }


def installed_version(package: str) -> Optional[str]:
    """The version of an installed distribution, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _revision() -> Optional[str]:
    """The git revision of the code if it runs from a checkout, with ``+`` where files differ from it."""
    root = str(Path(__file__).resolve().parents[2])
    try:
        top = subprocess.run(
            ["git", "-C", root, "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return top.stdout.strip() or None if top.returncode == 0 else None
