"""One point of a series, in a process of its own: ``--make`` writes its input, else its work is timed.

Time is that of the processor, which other programs change little.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from .series import SERIES


def resident_bytes() -> int:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> int:
    name, value, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    series = SERIES[name]
    if "--make" in sys.argv:
        series.make(folder, value)
        return 0
    work = series.prepare(folder, value)
    before, start = resident_bytes(), time.process_time()
    work()
    seconds = time.process_time() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "bytes": max(0, most - before)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
