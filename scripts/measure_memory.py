"""Whether the memory of a long training run stays flat: the resident size of `train.py` over many small steps.

    python scripts/measure_memory.py --config CONFIG.yaml --data DATA --steps 2000

Prints the size at intervals and the slope, in bytes a step, of a line through those after the first tenth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def resident_bytes(pid: int) -> int:
    """VmRSS of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(pid)


def last_step(log: Path) -> int:
    """The step that the log of a run is at."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    args, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        process = subprocess.Popen(
            [
                sys.executable,
                str(ROOT / "train.py"),
                "--config",
                args.config,
                "--data",
                args.data,
                "--out",
                str(out),
                "--steps",
                str(args.steps),
                "--set",
                "train.log_every=1",
                *options,
            ],
            stderr=subprocess.DEVNULL,
        )
        measured = []
        while process.poll() is None:
            step = last_step(out / "log.jsonl")
            if step and (not measured or step > measured[-1][0]):
                try:
                    measured.append((step, resident_bytes(process.pid)))
                except (ProcessLookupError, FileNotFoundError):
                    break  # it ended in between
            time.sleep(1.0)
        if process.wait():
            print(f"train.py ended with {process.returncode}", file=sys.stderr)
            return 1
    steps, sizes = np.array([pair for pair in measured if pair[0] > args.steps / 10], float).T
    for place in np.linspace(0, len(steps) - 1, 10).astype(int):
        print(f"step {steps[place]:>6.0f}  {sizes[place] / 1e6:>8.1f} MB")
    slope = np.polyfit(steps, sizes, 1)[0]
    print(f"slope {slope:.0f} bytes a step over {steps[-1] - steps[0]:.0f} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
