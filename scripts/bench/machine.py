"""What is worth knowing of the machine, and nothing that names it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Dict

ROOT = Path(__file__).resolve().parents[2]
# flags of /proc/cpuinfo -> how the instruction set is called
ISA = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI (int8)", "avx512_bf16": "bfloat16", "amx_tile": "AMX"}


def machine_facts() -> Dict[str, Any]:
    """CPU model, cores that this process may use, instruction sets, memory, kernel and Python."""
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    info = {name.strip(): value.strip() for name, _, value in lines[:40]}
    flags = info.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = f"{info.get('model name', 'unknown')} (family {info.get('cpu family')}, model {info.get('model')})"
    return {
        "CPU": model,
        "cores": len(os.sched_getaffinity(0)),
        "instruction sets": ", ".join(name for flag, name in ISA.items() if flag in flags),
        "memory": f"{memory / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
    }


def revision() -> str:
    """The commit of the checkout, with + where files differ from it; unknown outside a repository."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "gluon_liver", "scripts")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
