"""Make the runs of the study that are not there yet: `make evidence`.

    python -m experiments.run [--jobs 2] [--only slices/tubes] [--dry-run]

A run is claim/condition/arm/seed. Finished ones, in the archive or in the work folder, are never made again; one that
was interrupted goes on from its checkpoint. The first seed of all arms comes before any second one, so that whenever
this is stopped (Ctrl-C, SIGTERM, or a machine that fails) all arms have the same number of seeds, but for the last.
Each run is a process of one thread. What is kept of it is a small record; `python -m experiments.archive` puts the
records into the archive, `python -m experiments.page` makes docs/evidence.md of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from gluon_liver.config.load import load_config
from gluon_liver.errors import InputError
from gluon_liver.files.lock import file_lock
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.us.config import USPhantomConfig

from .estimate import Estimate
from .plan import Key, PlannedRun, plan_runs
from .records import ARCHIVE, Records, Runs
from .runner import MOST_ATTEMPTS, PROGRAM, Runner
from .spec import FOLDER, Claim, load_claims
from .tasks import ROOT, Program

PHANTOMS: Dict[str, Callable[..., Any]] = {"ct": CTPhantomConfig, "us": USPhantomConfig}
WORK = ROOT / "build" / "evidence"


def main(argv: Optional[Sequence[str]] = None, *, program: Program = PROGRAM) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.run", description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", help="those alone (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLAIM[/CONDITION[/ARM[/SEED]]]", help="those alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each (default 1)")
    parser.add_argument("--work", type=Path, default=WORK, help="data, runs and records (default build/evidence)")
    parser.add_argument("--specs", type=Path, default=FOLDER, help="folder of the claims' files")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="where finished runs are known from, too")
    parser.add_argument("--dry-run", action="store_true", help="say what is left and how long it takes, and end")
    parser.add_argument("--retry-failed", action="store_true", help=f"also those that failed {MOST_ATTEMPTS} times")
    args = parser.parse_args(argv)
    try:
        if args.jobs < 1:
            raise InputError(f"--jobs {args.jobs}: 1 or more")
        return _run(args, program)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}; what is finished is kept, and the same command goes on", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace, program: Program) -> int:
    claims = load_claims(args.specs)
    runs = plan_runs(claims, [*args.claims, *args.only])
    check_configurations(runs)
    records = Records(args.work, args.archive)
    done, other = records.done(runs)
    if other:
        print(f"{len(other)} finished run(s) are of another setting than the files say now, and are made anew")
    given_up = [] if args.retry_failed else _given_up(records, runs)
    left = [run for run in runs if run.key not in done and run.key not in given_up]
    print(f"{len(done)} of {len(runs)} runs are there, {len(left)} to make{_failed_text(given_up)}")
    print_left(claims, runs, left, done, jobs=args.jobs)
    if args.dry_run or not left:
        return 1 if given_up and not left else 0
    args.work.mkdir(parents=True, exist_ok=True)
    with file_lock(args.work / ".lock", busy=f"{args.work} is in use by {{user}}: runs are being made there"):
        done, _ = records.done(runs)  # somebody may have made some while it was in use
        left = [run for run in left if run.key not in done]
        return Runner(
            left, records, args.work, jobs=args.jobs, claims=claims, expected=Estimate(done.values()), program=program
        ).run()


def check_configurations(runs: Sequence[PlannedRun]) -> None:
    """Raise :class:`InputError` for a run whose configuration or phantoms cannot be, before hours go to others."""
    for run in {(run.config, run.overrides): run for run in runs[::-1]}.values():
        try:
            task = load_config(run.config, overrides=run.overrides).task
        except InputError as error:
            raise InputError(f"{run.key}: {error}") from error
        if task != run.train.task:
            raise InputError(f"{run.key}: {run.config} is of {task}, its data of {run.train.task}")
    for run in {run.train.phantom: run for run in runs[::-1]}.values():
        given = {name.replace("-", "_"): value for name, value in json.loads(run.train.phantom).items()}
        given.pop("frames", None)  # of a scene, which is no option of phantoms in general
        try:
            PHANTOMS[run.train.task](
                **{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}
            )
        except (InputError, TypeError) as error:
            raise InputError(f"{run.key}: phantoms: {error}") from error


def _given_up(records: Records, runs: Sequence[PlannedRun]) -> List[Key]:
    setting = {run.key: run.setting for run in runs}
    failures = records.failures().values()
    return [one.key for one in failures if one.attempts >= MOST_ATTEMPTS and setting.get(one.key) == one.setting]


def _failed_text(given_up: Sequence[Key]) -> str:
    if not given_up:
        return ""
    shown = ", ".join(map(str, given_up[:5])) + (", ..." if len(given_up) > 5 else "")
    return f"; {len(given_up)} failed {MOST_ATTEMPTS} times and are left out (--retry-failed): {shown}"


def print_left(
    claims: Mapping[str, Claim],
    runs: Sequence[PlannedRun],
    left: Sequence[PlannedRun],
    done: Runs,
    *,
    jobs: int,
) -> None:
    """A line a claim: runs, those that are left, hours of one thread."""
    estimate = Estimate(done.values())
    for name in claims:
        ours = [run for run in left if run.key.claim == name]
        total = sum(run.key.claim == name for run in runs)
        if total:
            print(f"  {name:10} {total - len(ours):4} of {total:4}  {estimate.hours(ours):6.1f} hours left")
    if left:
        beside = f", with {jobs} jobs {estimate.hours(left, jobs):.1f}" if jobs > 1 else ""
        print(f"  together   {estimate.hours(left):.1f} hours of one thread{beside}, data and flow nets not counted")


if __name__ == "__main__":
    sys.exit(main())
