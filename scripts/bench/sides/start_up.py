"""How long a process takes that prints help, refuses a path, or imports the package alone."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from typing import List

from .report import print_record, timed

EMPTY = [sys.executable, "-c", "pass"]
COMMANDS = {
    "help": [sys.executable, "-m", "gluon_liver", "--help"],
    "train-help": [sys.executable, "-m", "gluon_liver", "train", "--help"],
    "refused": [sys.executable, "train.py", "--config", "r50", "--data", "no-such-folder", "--out", "no-run"],
    "import": [sys.executable, "-c", "import gluon_liver"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--calls", type=int, default=10)
    args = parser.parse_args()

    def run(command: List[str], expected: int) -> None:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != expected:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")

    seconds = timed(lambda: run(COMMANDS[args.what], 2 * (args.what == "refused")), warm_up=1, calls=args.calls)
    peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if args.what == "import":  # what Python itself takes is not the package's
        python = sorted(timed(lambda: run(EMPTY, 0), warm_up=1, calls=args.calls))[args.calls // 2]
        seconds = [one - python for one in seconds]
    print_record(seconds, packages=("numpy",), peak=peak)
    return 0


if __name__ == "__main__":
    sys.exit(main())
