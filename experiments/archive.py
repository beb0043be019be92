"""Put the records of the work folder into the archive: python -m experiments.archive

What is archived stays, but for a run that was made anew with another setting: the new record takes its place. Those
that differ from an archived one of their own setting are counted and named.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from gluon_liver.errors import InputError

from .plan import plan_runs
from .records import ARCHIVE, Records, read_archive, write_archive
from .run import WORK
from .spec import FOLDER, load_claims


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.archive", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK, help="work folder of experiments.run (build/evidence)")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="folder to write to")
    parser.add_argument("--specs", type=Path, default=FOLDER, help="folder of the claims' files")
    args = parser.parse_args(argv)
    try:
        records = Records(args.work, args.archive)
        planned = {run.key: run.setting for run in plan_runs(load_claims(args.specs))}
        before, found = len(read_archive(args.archive)), records.finished(planned)
        failures = [one for key, one in records.failures().items() if key not in found]
        contested = records.contested(found)
        write_archive(args.archive, found.values(), failures)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in args.archive.iterdir())
    print(f"{len(found)} runs, {len(found) - before} of them new, {len(failures)} failed: {size / 1000:.0f} kB")
    if contested:
        named = ", ".join(map(str, contested))
        print(f"{len(contested)} run(s) of the work folder differ from the archived ones, which stay: {named}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
