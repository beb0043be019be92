"""Run pairs of benchmarks and write the page of all that was measured: `make bench`.

    python -m scripts.bench.run --torch PYTHON [--pairs frame step] [--rounds N]

The sides of a pair take turns, each time in a process of its own, every second round in the other order. What is done
is kept in build/bench and not run again until the code is another revision; --again forgets it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Optional

from .machine import machine_facts, revision
from .page import write_page
from .pairs import PAIRS, Pair, Side
from .process import ROOT, Record, run_side
from .results import PairResults

MACHINE = "machine"  # the results of the peak, one before the pairs of each run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", nargs="*", choices=list(PAIRS), help="those alone (default: all)")
    parser.add_argument("--torch", type=Path, help="a Python with torch and torchvision (default: pairs without it)")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: what each pair says)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="where results are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write")
    parser.add_argument("--again", action="store_true", help="measure the pairs anew")
    args = parser.parse_args()
    torch = find_torch(args.torch)
    results, code = args.build / "results", revision()
    names = args.pairs or list(PAIRS)
    for name in names if args.again else []:
        (results / f"{name}.jsonl").unlink(missing_ok=True)
    args.build.mkdir(parents=True, exist_ok=True)
    options = {"build": args.build.resolve(), "torch": torch}
    machine = PairResults(results, MACHINE, revision=code)
    say(f"GEMM peak: {show(run_one(machine, len(machine.lines), 'peak', Side('peak'), options))}")
    for name in names:
        run_pair(PAIRS[name], PairResults(results, name, revision=code), args.rounds or PAIRS[name].rounds, options)
        write_page(args.out, results, machine_facts())
    say(f"the page: {args.out}")
    return 0


def find_torch(python: Optional[Path]) -> Optional[Path]:
    """The Python given, if it has what the peers need."""
    if python is None:
        return None
    try:
        subprocess.run([str(python), "-c", "import torch, torchvision"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        say(f"without PyTorch: {python} cannot import torch and torchvision ({lines[-1]})")
        return None
    return python


def run_pair(pair: Pair, results: PairResults, rounds: int, options: Dict) -> None:
    """Run the rounds of a pair that are not done."""
    say(pair.title)
    left = [(turn, side) for turn in range(rounds) for side in pair.sides if (turn, side) not in results.done]
    if pair.prepare and left:
        record = run_side(pair.prepare, **options)
        if "failed" in record:
            for turn, side in left:
                results.add(turn, side, {"failed": f"nothing was prepared: {record['failed']}"})
            say(f"  not prepared: {record['failed']}")
            return
    for turn in range(rounds):
        order = list(pair.sides)[:: -1 if turn % 2 else 1]
        for side in order:
            if (turn, side) in left:
                say(f"  {side}: {show(run_one(results, turn, side, pair.sides[side], options))}")


def run_one(results: PairResults, turn: int, name: str, side: Side, options: Dict) -> Record:
    record = run_side(side, **options)
    results.add(turn, name, record)
    return record


def show(record: Record) -> str:
    """A line for who waits."""
    if "seconds" not in record:
        return record.get("failed") or record["left_out"]
    times = " ".join(f"{one:.3g}" for one in record["seconds"][:8])
    return f"{times} s, {record['peak_bytes'] / 1e9:.2f} GB, others took {record['others']:.0%} of the cores"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    if not shutil.which("taskset"):
        sys.exit("taskset is needed (package util-linux)")
    sys.exit(main())
