"""One side run in a process of its own, watched while it runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional

from .pairs import TORCH, Side

SIDES = "scripts.bench.sides"
ROOT = Path(__file__).resolve().parents[2]
# What a shell may have set; the sides set their own, and a peer as it comes has none.
SETTINGS = ("OMP_", "MXNET_", "OPENBLAS_", "MKL_", "MALLOC_", "KMP_", "GOTO_", "LD_PRELOAD", "TORCH_")
LEAST_AVAILABLE = 0.05  # share of the memory below which a side is ended: the machine would kill something else
LIMIT_SECONDS = 900.0
Record = Dict[str, Any]


def run_side(side: Side, *, build: Path, torch: Optional[Path]) -> Record:
    """The record that the side prints (see :mod:`.sides.report`), with ``wall`` and ``others``.

    ``others`` is the share of the cores that other processes took meanwhile. A side that fails gives ``failed``, one
    that has no Python to run in ``left_out``, with the reason. One that prints no record only prepares.
    """
    python = torch if side.python == TORCH else Path(sys.executable)
    if python is None:
        return {"left_out": "PyTorch and torchvision are not installed: make bench says how"}
    arguments = [word.format(build=build) for word in shlex.split(side.arguments)]
    command = [str(python), "-m", f"{SIDES}.{side.module}", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    environment["PYTHONPATH"] = str(ROOT)
    cpus = sorted(os.sched_getaffinity(0))
    before, begin, log = busy_seconds(), time.monotonic(), build / "last-side.log"
    with open(log, "w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, cpus[: side.cores])), *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        reason = watch(process)
        output = process.stdout.read() if process.stdout else ""
        _, process.returncode, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    if reason or process.returncode:
        said = [line for line in log.read_text(encoding="utf-8").splitlines() if line and "engine.cc" not in line]
        return {
            "failed": reason
            or f"exit status {process.returncode >> 8 or -process.returncode}: {' / '.join(said[-2:])}",
            "wall": wall,
        }
    lines = output.strip().splitlines()
    record: Record = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    others = busy_seconds() - before - usage.ru_utime - usage.ru_stime
    return dict(record, wall=wall, others=max(0.0, others) / wall / (os.cpu_count() or 1))


def watch(process: subprocess.Popen) -> Optional[str]:
    """Wait until a process has ended, without reaping it; ends it, and says why, where it takes too much."""
    begin = time.monotonic()
    while True:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return None
        reason = None
        if available_share() < LEAST_AVAILABLE:
            reason = f"ended at {resident_bytes(process.pid) / 1e9:.1f} GB: the machine has no more memory"
        elif time.monotonic() - begin > LIMIT_SECONDS:
            reason = f"ended after {LIMIT_SECONDS:.0f} seconds"
        if reason is not None:
            process.kill()
            return reason
        time.sleep(0.05)


def resident_bytes(pid: int) -> int:
    """VmRSS of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return 0


def available_share() -> float:
    """The share of the machine's memory that processes can still get."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available, total = (float(lines[name].split()[0]) for name in ("MemAvailable", "MemTotal"))
    return available / total


def busy_seconds() -> float:
    """CPU seconds that all processes, the kernel and the machine's host have taken so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
