"""Checks of the machine for ``python -m gluon_liver doctor``: each gives rows of what is there and what to do.

Nothing here imports MXNet: a child process does, so that a missing library or a crash is a row and not an end.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .environment import installed_versions
from .runtime import Runtime, prepare_mxnet, release, usable_cores
from .shared_libraries import DRIVER_LIBRARIES, MissingLibrary, missing_libraries

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"

OLDEST_PYTHON, NEWEST_PYTHON = (3, 8), (3, 13)
# NVIDIA's CUDA 11 release notes: any CUDA 11 runs on drivers from here on (minor version compatibility).
OLDEST_DRIVER = (450, 80)
# The machine code inside mxnet-cu112 1.9.1, which holds no PTX to compile for other GPUs.
GPU_CODE = ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6))
WHEELS = "gluoncv jinja2 matplotlib numpy opencv-python pycocotools pydicom PyYAML scipy SimpleITK tqdm".split()
MXNET_BUILDS = ("mxnet", "mxnet-cu112")

PROBE = """
import json
import gluon_liver
import mxnet
features = sorted(name for name, feature in mxnet.runtime.Features().items() if feature.enabled)
try:
    gpus, error = mxnet.context.num_gpus(), None
except mxnet.base.MXNetError as caught:
    gpus, error = 0, str(caught).strip().splitlines()[0]
print(json.dumps({"version": mxnet.__version__, "features": features, "gpus": gpus, "gpu_error": error}))
"""


class Row(NamedTuple):
    """One line of the doctor's report; ``advice`` is empty where there is nothing to do."""

    check: str
    status: str  # OK, NOTE or PROBLEM
    finding: str
    advice: str = ""


class Probe(NamedTuple):
    """What a child process said of MXNet: the fields of PROBE's JSON, or its last error line."""

    answer: Optional[Mapping[str, Any]]
    error: str


class Gpu(NamedTuple):
    """One GPU as nvidia-smi describes it; ``capability`` is None where nvidia-smi is too old to tell."""

    name: str
    driver: str
    capability: Optional[Tuple[int, int]]


def examine() -> List[Row]:
    """Every check of this machine, in the order in which a problem should be solved."""
    versions = installed_versions((*WHEELS, *MXNET_BUILDS))
    missing = missing_libraries() if sys.platform == "linux" else []
    rows = [python_row(sys.version_info[:2], platform.machine())]
    rows += package_rows(versions)
    rows += library_rows(missing)
    blocking = [lib for lib in missing if lib.module == "mxnet"]
    importable = not blocking and any(name in versions for name in MXNET_BUILDS)
    rows += mxnet_rows(versions, blocking, probe_mxnet() if importable else None)
    rows += thread_rows(prepare_mxnet(), os.environ)
    rows.append(load_row(os.getloadavg()[0], usable_cores()[0]))
    rows += gpu_rows(query_gpus(), cuda_build="mxnet-cu112" in versions)
    return rows


def python_row(version: Tuple[int, int], machine: str) -> Row:
    """Is this a Python, and a processor, that MXNet's wheels run on?"""
    finding = f"{version[0]}.{version[1]} on {machine}"
    if machine not in ("x86_64", "AMD64"):
        return Row("Python", PROBLEM, finding, "MXNet 1.9.1 has wheels for x86-64 only: use such a machine")
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return Row("Python", PROBLEM, finding, "use Python 3.8 to 3.13, best 3.11: make setup PYTHON=python3.11")
    return Row("Python", OK, finding)


def package_rows(versions: Mapping[str, str]) -> List[Row]:
    """NumPy and the other wheels that the package needs."""
    rows = []
    absent = ", ".join(name for name in WHEELS if name not in versions)
    if absent:
        rows.append(Row("packages", PROBLEM, "not installed: " + absent, "make setup"))
    if "numpy" in versions:
        rows.append(numpy_row(versions["numpy"]))
    others = ", ".join(f"{name} {versions[name]}" for name in WHEELS if name in versions and name != "numpy")
    return rows + [Row("packages", OK, others)] if others else rows


def numpy_row(version: str) -> Row:
    """MXNet 1.9.1 imports with NumPy 1 and 2.2 only, and needs removed names put back from 1.24 on."""
    if release(version) >= (2, 0) and release(version) != (2, 2):
        advice = "MXNet 1.9.1 needs NumPy 1, or 2.2 on Python 3.13: make setup, or pip install 'numpy<2'"
        return Row("NumPy", PROBLEM, version, advice)
    if release(version) >= (1, 24):
        return Row("NumPy", OK, f"{version}, with the names that MXNet uses put back by gluon_liver")
    return Row("NumPy", OK, version)


def library_rows(missing: Sequence[MissingLibrary]) -> List[Row]:
    """Shared libraries that MXNet or OpenCV needs and the machine lacks."""
    if not missing:
        return [Row("libraries", OK, "every shared library of MXNet and OpenCV is there")]
    return [Row("libraries", PROBLEM, f"{lib.name} is missing ({lib.module} needs it)", lib.advice) for lib in missing]


def probe_mxnet(*, timeout: float = 120.0) -> Probe:
    """Import MXNet in a child process and ask it for its version, features and GPUs."""
    try:
        command = [sys.executable, "-W", "ignore", "-c", PROBE]
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return Probe(None, f"no answer within {timeout:g} s")
    if child.returncode == 0:
        return Probe(json.loads(child.stdout.splitlines()[-1]), "")
    if child.returncode < 0:
        return Probe(None, f"the process died of signal {-child.returncode}")
    return Probe(None, error_line(child.stderr) or f"exit code {child.returncode}")


def error_line(traceback: str) -> str:
    """The first line of the message at the end of a traceback; empty when there is no text."""
    lines = traceback.strip().splitlines()
    frames = [index for index, line in enumerate(lines) if line.startswith('  File "')]
    after = [line for line in lines[frames[-1] + 1 if frames else 0 :] if not line.startswith(" ")]
    return after[0] if after else ""


def mxnet_rows(versions: Mapping[str, str], missing: Sequence[MissingLibrary], probe: Optional[Probe]) -> List[Row]:
    """The installed build of MXNet, whether it can be imported, and its features."""
    builds = [name for name in MXNET_BUILDS if name in versions]
    if not builds:
        advice = "make setup (or EXTRAS=cu112,test for NVIDIA GPUs), or pip install --no-deps mxnet==1.9.1"
        return [Row("MXNet", PROBLEM, "not installed", advice)]
    finding = " and ".join(f"{name} {versions[name]}" for name in builds)
    if len(builds) > 1:
        advice = "they overwrite each other: make clean-venv, then make setup EXTRAS=... with one of them"
        return [Row("MXNet", PROBLEM, finding, advice)]
    if probe is None:
        names = ", ".join(lib.name for lib in missing)
        return [Row("MXNet", PROBLEM, f"{finding} cannot be imported without {names}", "install them as above")]
    if probe.answer is None:
        advice = f"{sys.executable} -c 'import gluon_liver, mxnet' shows the whole error; then make setup"
        return [Row("MXNet", PROBLEM, f"{finding} cannot be imported: {probe.error}", advice)]
    rows = [Row("MXNet", OK, finding), Row("features", OK, " ".join(probe.answer["features"]))]
    if probe.answer["gpu_error"] is None:
        return [*rows, Row("GPUs", OK, f"MXNet sees {probe.answer['gpus']}")]
    advice = "the driver does not work: nvidia-smi should list the GPUs"
    return [*rows, Row("GPUs", PROBLEM, str(probe.answer["gpu_error"]), advice)]


def thread_rows(runtime: Runtime, environ: Mapping[str, str]) -> List[Row]:
    """The thread and BLAS settings that MXNet sees, who set them and why; CUDA wheels that could not be loaded."""
    rows = [
        Row("threads", OK, f"{setting.name}={setting.value} (set by {setting.set_by}: {setting.reason})")
        for setting in runtime.settings
    ]
    if environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        finding = "OMP_WAIT_POLICY=ACTIVE: idle threads spin and take time from other processes"
        rows.append(Row("threads", NOTE, finding, "unset OMP_WAIT_POLICY"))
    for preload in runtime.preloads:
        if preload.error is not None:
            advice = "pip install --force-reinstall the nvidia-*-cu11 wheel that holds it, as pinned in setup.py"
            rows.append(Row("CUDA", PROBLEM, f"{preload.library} could not be loaded: {preload.error}", advice))
    return rows


def load_row(load: float, threads: int) -> Row:
    """Are the cores free for ``threads`` threads? ``load`` is the last minute's mean number of running processes."""
    finding = f"{load:.1f} running processes on average in the last minute"
    if threads > 1 and load > 0.5 * threads:
        advice = "MXNet's threads wait for each other: while others use the cores, OMP_NUM_THREADS=1 may be faster"
        return Row("load", NOTE, finding, advice)
    return Row("load", OK, finding)


def query_gpus() -> Optional[List[Gpu]]:
    """The GPUs that nvidia-smi lists, or None where there is no nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        return None
    for fields in ("name,driver_version,compute_cap", "name,driver_version"):
        command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
        child = subprocess.run(command, capture_output=True, text=True, timeout=60)
        # Drivers before 510 refuse compute_cap.
        if child.returncode == 0:
            return [parse_gpu(line) for line in child.stdout.splitlines() if line.strip()]
    return []


def parse_gpu(line: str) -> Gpu:
    """One line of ``nvidia-smi --query-gpu=name,driver_version[,compute_cap] --format=csv,noheader``."""
    name, driver, *capability = [part.strip() for part in line.split(",")]
    if not capability:
        return Gpu(name, driver, None)
    major, minor = capability[0].split(".")
    return Gpu(name, driver, (int(major), int(minor)))


def gpu_rows(gpus: Optional[Sequence[Gpu]], *, cuda_build: bool) -> List[Row]:
    """Can the machine code of mxnet-cu112 run on these GPUs, and is MXNet a build that uses them?"""
    if gpus is None:
        return [Row("nvidia-smi", OK, "not there: no NVIDIA driver")]
    if not gpus:
        return [Row("nvidia-smi", NOTE, "lists no GPU", "run nvidia-smi to see why, if this machine has one")]
    rows = [gpu_row(gpu) for gpu in gpus]
    if not cuda_build and any(row.status == OK for row in rows):
        rows.append(Row("nvidia-smi", NOTE, "this is the CPU build of MXNet", "make setup EXTRAS=cu112,test"))
    return rows


def gpu_row(gpu: Gpu) -> Row:
    """One GPU against GPU_CODE: code runs on GPUs of the same major and the same or a higher minor number."""
    if release(gpu.driver) < OLDEST_DRIVER:
        advice = "CUDA 11 needs driver 450.80 or newer: update it"
        return Row("nvidia-smi", PROBLEM, f"{gpu.name}, driver {gpu.driver}", advice)
    if gpu.capability is None:
        advice = "mxnet-cu112 runs on compute capability 5.0 to 8.9: look yours up on NVIDIA's list"
        return Row("nvidia-smi", NOTE, f"{gpu.name}, compute capability unknown", advice)
    major, minor = gpu.capability
    finding = f"{gpu.name}, compute capability {major}.{minor}"
    code = [have for have in GPU_CODE if have[0] == major and have[1] <= minor]
    if code:
        return Row("nvidia-smi", OK, f"{finding}: runs the sm_{code[-1][0]}{code[-1][1]} code of mxnet-cu112")
    why = "mxnet-cu112 holds machine code for sm_50, 60, 70, 80 and 86 and no PTX, so this GPU cannot run it"
    advice = f"{why} (Hopper and newer never can): use a GPU of capability 5.0 to 8.9, or the CPU"
    return Row("nvidia-smi", PROBLEM, finding, advice)


def driver_only(missing: Sequence[MissingLibrary]) -> bool:
    """Is NVIDIA's driver all that is missing, as while an image for GPU machines is built?"""
    return bool(missing) and all(lib.name in DRIVER_LIBRARIES for lib in missing)


def format_rows(rows: Sequence[Row]) -> str:
    """The report as text: one line a row, its advice indented below it."""
    width = max(len(row.check) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.status:<7}  {row.check:<{width}}  {row.finding}")
        if row.advice:
            lines.append(f"{'':<7}  {'':<{width}}  -> {row.advice}")
    return "\n".join(lines)


def exit_code(rows: Sequence[Row]) -> int:
    """1 when any row is a PROBLEM, else 0."""
    return int(any(row.status == PROBLEM for row in rows))
