"""Put deliberate faults into a copy of the code, one at a time, and see whether the tests named for each notice.

    python -m tests.mutations                      every fault, about a quarter of an hour on one core
    python -m tests.mutations bicubic huber        those with one of these words in their description or file
    python -m tests.mutations huber --tests tests/nn     with other tests than the table names

The named tests must pass without a fault first. Prints a line a fault; exits with 1 if a fault survives, or makes tests
so slow that nothing can be said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from .faults import ROOT, TABLE, Fault, load_faults

COPIED = ("gluon_liver", "symbols", "scripts", "tests", "docs", "experiments", "docker")
PASSED, FAILED, TOO_LONG = 0, 1, None  # exit codes of pytest, and none
LIMIT_S = 600.0  # of one run of tests: a fault may also be one that never ends
RESULTS: Dict[Optional[int], str] = {PASSED: "SURVIVED", FAILED: "caught", TOO_LONG: "TOO LONG"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="of the faults to try (default: all)")
    parser.add_argument("--table", type=Path, default=TABLE, help="another table of faults")
    parser.add_argument("--tests", nargs="+", help="instead of the tests that the table names")
    args = parser.parse_args()
    words = [word.lower() for word in args.words]
    faults = [one for one in load_faults(args.table) if not words or _named(one, words)]
    if not faults:
        print(f"no fault of {args.table} has one of the words {' '.join(words)}", file=sys.stderr)
        return 2
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        passing: List[str] = []
        for fault in faults:
            tests = args.tests or list(fault.tests)
            fresh = [one for one in tests if one not in passing]
            if fresh:
                code, output = run_tests(copy, fresh)
                if code != PASSED:
                    print(f"{output}\n{' '.join(fresh)} must pass before a fault is put in (exit code {code})")
                    return 2
                passing += fresh
            began = time.monotonic()
            code = run_with(copy, fault, tests)
            survivors += code != FAILED
            print(f"{RESULTS[code]:9s}{time.monotonic() - began:6.1f} s  {fault.what} ({fault.file})", flush=True)
    print(f"{len(faults) - survivors} of {len(faults)} caught")
    return 1 if survivors else 0


def _named(fault: Fault, words: Sequence[str]) -> bool:
    return any(word in f"{fault.what} {fault.file}".lower() for word in words)


def copied(folder: Path) -> Path:
    """A copy of what the tests read, in ``folder``."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(str(ROOT / name), str(folder / name), ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(str(path), str(folder / path.name))
    return folder


def run_with(copy: Path, fault: Fault, tests: Sequence[str]) -> Optional[int]:
    """:func:`run_tests` with the fault in the copy, which is taken out again: PASSED, FAILED or TOO_LONG."""
    path = copy / fault.file
    before = path.read_text(encoding="utf-8")
    path.write_text(fault.apply(before), encoding="utf-8")
    try:
        code, output = run_tests(copy, tests)
    finally:
        path.write_text(before, encoding="utf-8")
    if code not in RESULTS:
        raise RuntimeError(f"{fault.what}: pytest ended with {code}, which says nothing:\n{output}")
    return code


def run_tests(copy: Path, tests: Sequence[str]) -> Tuple[Optional[int], str]:
    """pytest's exit code, up to the first test that fails, TOO_LONG after LIMIT_S, and the end of what it printed."""
    # compiled files are known by size and second, which a fault may share with the line that it replaces
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=str(copy),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return TOO_LONG, f"not done after {LIMIT_S:.0f} s"
    return done.returncode, "\n".join(done.stdout.splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
