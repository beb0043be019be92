"""Break training runs in every way at hand and see that each ends at the parameters of a run that nothing broke.

    python -m tests.faults --kills 50

Every process is `train.py` on a tiny data set. Prints a line a trial and counts at the end; exits with 1 if any failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .trials import Bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs at random moments (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), seed=args.seed)
        bench.kills(args.kills)
        bench.fault_points()
        bench.damaged_files()
        bench.full_disk()
        bench.two_at_once()
        bench.asked_to_stop()
        print(bench.summary())
        return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
