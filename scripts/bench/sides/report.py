"""What a side prints: one line of JSON, the last of its output.

seconds: list of float, one for each timed call.
peak_bytes: the most memory that the process held (VmHWM), with its libraries.
work: what a call does, for a rate: images, frames. 1 where it is not said.
versions: packages and their versions.
checks: name -> a sentence or a number that shows that both sides compute the same.
constants: name -> a number to compare with, the bytes of the volumes say.
"""

from __future__ import annotations

import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence


def timed(call: Callable[[], Any], *, warm_up: int, calls: int) -> List[float]:
    """Seconds of each of ``calls`` calls, after ``warm_up`` that do not count."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return seconds


def peak_bytes() -> int:
    """The most resident memory of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status has no VmHWM")


def print_record(
    seconds: Sequence[float],
    *,
    packages: Sequence[str],
    work: float = 1,
    peak: Optional[int] = None,
    checks: Optional[Mapping[str, Any]] = None,
    constants: Optional[Mapping[str, float]] = None,
) -> None:
    """Print the record of this process; ``peak`` is its own unless given."""
    record = {
        "seconds": list(seconds),
        "peak_bytes": peak_bytes() if peak is None else peak,
        "work": work,
        "versions": {name: metadata.version(name) for name in packages},
        "checks": dict(checks or {}),
        "constants": dict(constants or {}),
    }
    print(json.dumps(record), flush=True)
