"""Put deliberate faults into a copy of the code, one at a time, and see whether the tests named for each notice.

    python -m tests.mutations                      every fault, about a quarter of an hour on one core
    python -m tests.mutations bicubic huber        those with one of these words in their description or file
    python -m tests.mutations huber --tests tests/nn     with other tests than the table names

The named tests must pass without a fault first. Prints a line a fault; exits with 1 if a fault survives.
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
from typing import List, Sequence, Tuple

from .faults import ROOT, TABLE, Fault, load_faults

COPIED = ("gluon_liver", "symbols", "scripts", "tests", "docs", "experiments", "docker")
FAILED = 1  # pytest: some test failed
LIMIT_S = 600.0  # of one run of tests: a fault may also be one that never ends


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
                if code != 0:
                    print(f"{output}\n{' '.join(fresh)} must pass before a fault is put in (exit code {code})")
                    return 2
                passing += fresh
            began = time.monotonic()
            noticed = notices(copy, fault, tests)
            survivors += not noticed
            result = "caught" if noticed else "SURVIVED"
            print(f"{result:9s}{time.monotonic() - began:6.1f} s  {fault.what} ({fault.file})", flush=True)
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


def notices(copy: Path, fault: Fault, tests: Sequence[str]) -> bool:
    """Whether one of ``tests`` fails with the fault in the copy, which is taken out again."""
    path = copy / fault.file
    before = path.read_text(encoding="utf-8")
    path.write_text(fault.apply(before), encoding="utf-8")
    try:
        code, output = run_tests(copy, tests)
    finally:
        path.write_text(before, encoding="utf-8")
    if code not in (0, FAILED):
        raise RuntimeError(f"{fault.what}: pytest ended with {code}, which says nothing:\n{output}")
    return code == FAILED


def run_tests(copy: Path, tests: Sequence[str]) -> Tuple[int, str]:
    """pytest's exit code, up to the first test that fails, and the end of what it printed; too long is a failure."""
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
        return FAILED, "too long"
    return done.returncode, "\n".join(done.stdout.splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
