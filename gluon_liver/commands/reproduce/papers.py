"""Make a paper's tables and figures again: on a public set from its files (--on), or on prepared data of one's own, or
phantoms (--paper).

The plan is printed first: every step with what it reads, writes and where it stands, then training steps, hours,
memory and disk. Each step is done once. Whatever ends the command (Ctrl-C, SIGTERM, a kill, a machine that fails), the
same command goes on where it was; after a signal that stopped a training the exit code is 75. A step whose files or
settings have changed since is told, and done again with --redo. --on SET ends with tables.txt (docs/datasets.md lists
the sets). --paper ends with manifest.md and manifest.json: each cell of the paper with the command that makes it, our
value and interval, the printed value, and whether they agree, differ, or nothing can be told (docs/reproduce.md).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Tuple

from gluon_liver.commands.options import add_flag, add_options, add_path, check, prepare_cache
from gluon_liver.errors import InputError
from gluon_liver.files.typed import at_least

if TYPE_CHECKING:
    from gluon_liver.reproduce.job import Job, Member
    from gluon_liver.reproduce.source import Cases

EXAMPLES = (
    ("all of the CT paper on phantoms, in seconds to minutes", "--paper ct --size tiny --out ct-tiny"),
    ("all of the ultrasound paper on data of your own", "--paper us --data DATA --out us-paper"),
    ("the plan of all rows on LiTS", "--on lits --data /path/to/lits --out lits --plan"),
    (
        "two rows at a size that shows that all of it runs",
        "--on lits --data /path/to/lits --out tiny --rows r50 r101 --size tiny",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_liver.reproduce.recipe import RECIPES, ROWS

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--on", choices=sorted(RECIPES), help="the public set")
    what.add_argument("--paper", choices=sorted(ROWS), help="the CT or the ultrasound paper")
    text = (
        "with --on where the files of the set were unpacked, with --paper prepared data (default there: phantoms, of "
    )
    add_path(parser, "--data", "DIR", text + "size demo or tiny); never changed")
    add_path(parser, "--out", "DIR", "folder for prepared data, runs, tables and figures", required=True)
    rows = "; ".join(f"of {task} {' '.join(names)}" for task, names in ROWS.items())
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help=f"those alone (default: all that the data allow): {rows}"
    )
    text = "full: the papers' networks; demo (with --paper): an eighth of the width, smaller images, an hour or two; "
    text += "tiny: demo networks, small images and a few steps, to see that all of it runs"
    parser.add_argument("--size", choices=("full", "demo", "tiny"), default="full", help=text)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train each row with seeds 0 to N - 1")
    add_flag(parser, "--plan", "print the plan, and do nothing")
    add_flag(parser, "--no-measure", "plan without timing steps of the first row")
    add_flag(parser, "--redo", "do steps again whose inputs have changed, and delete what they left")
    add_path(parser, "--flow", "FILE", "with --paper us: weights of LiteFlowNet (default: they are trained)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of the import")
    add_path(parser, "--pretrained", "FILE|RUN|zoo:NAME", "begin all trainings with these weights (see train.py)")
    parser.add_argument(
        "--device", default="cpu", help="cpu, cpu:N or gpu:0,1,...: of training; evaluation takes the first"
    )
    add_options(parser, "--set", "--cache", "--no-lock")


def run(args: argparse.Namespace) -> int:
    """Print the plan and do it; 0 when all is done, 75 where a signal stopped it."""
    from gluon_liver.cluster import heartbeat
    from gluon_liver.files.lock import LOCK, file_lock
    from gluon_liver.reproduce.source import check_apart, find_cases
    from gluon_liver.runs.devices import check_devices
    from gluon_liver.runs.run import check_weights
    from gluon_liver.system.runtime import prefer_synchronous_engine

    check(args, "seeds", at_least(1))
    check(args, "jobs", at_least(1))
    check_weights(args.pretrained, args.flow)
    if not args.plan:  # a plan may be for another machine
        check_devices(args.device, option="--device")
    if args.device in ("cpu", "cpu:1"):
        prefer_synchronous_engine()
    prepare_cache(args)
    if args.paper:
        from .own_data import run_paper

        return run_paper(args)
    _check_on(args)
    check_apart(args.out, args.data)
    job = _job(args)
    cases = find_cases(job.recipe, job.source)
    if args.plan:
        print(_plan(job, args, cases), end="")
        return 0
    from gluon_liver.reproduce.results import TABLES
    from gluon_liver.reproduce.steps import run_steps
    from gluon_liver.reproduce.work import steps_of

    args.out.mkdir(parents=True, exist_ok=True)
    with file_lock(args.out / LOCK, busy=f"{args.out} is in use by {{user}}: it is reproduced there"):
        print(_plan(job, args, cases), flush=True)
        if not run_steps(steps_of(job), job.out, redo=args.redo, say=lambda text: print(text, flush=True)):
            print("stopped; the same command goes on", file=sys.stderr)
            return heartbeat.AGAIN
    print(f"\n{(job.out / TABLES).read_text(encoding='utf-8')}")
    print(f"tables: {job.out / TABLES}")
    return 0


def _check_on(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` for what --on does not take."""
    from gluon_liver.reproduce.recipe import SIZES

    if args.data is None:
        raise InputError("--on takes --data DIR, where the files of the set were unpacked")
    if args.size not in SIZES:
        raise InputError(f"--size {args.size} is of --paper; --on takes {' or '.join(SIZES)}")
    if args.flow is not None:
        raise InputError("--flow is of --paper us: no set that --on knows trains us-flow")


def _job(args: argparse.Namespace) -> Job:
    from gluon_liver.reproduce.job import Job
    from gluon_liver.reproduce.recipe import RECIPES
    from gluon_liver.reproduce.source import list_source

    recipe = RECIPES[args.on]
    members = _members(args)
    return Job(
        recipe,
        args.data,
        list_source(args.data),
        args.out,
        members,
        size=args.size,
        pretrained=args.pretrained,
        device=args.device,
        jobs=args.jobs,
    )


def _members(args: argparse.Namespace) -> Tuple[Member, ...]:
    """Every training, the first seed of all rows before any second one."""
    from gluon_liver.reproduce.job import Member
    from gluon_liver.reproduce.recipe import RECIPES

    recipe, members = RECIPES[args.on], []
    for seed in range(args.seeds):
        for row in recipe.rows(args.rows):
            own: List[str] = [*args.set, f"train.seed={seed}", f"parallel.devices={args.device}"]
            config = recipe.config(row, size=args.size, pretrained=args.pretrained is not None, overrides=own)
            folder: Path = args.out / "runs" / f"{row}-seed{seed}"
            members.append(Member(row, seed, config, folder))
    return tuple(members)


def _plan(job: Job, args: argparse.Namespace, cases: Cases) -> str:
    from gluon_liver.reproduce.estimate import disk_bytes, estimate_rows, free_bytes
    from gluon_liver.reproduce.plan import plan_text, size_text
    from gluon_liver.reproduce.steps import states
    from gluon_liver.reproduce.work import steps_of

    there = (job.data / "dataset.json").is_file()
    steps = steps_of(job)
    stand = states(steps, job.out)
    measure = not args.no_measure and any(state.kind != "done" for state in stand)
    rows = estimate_rows(job, job.dataset() if there else None, measure=measure, boxed=cases.boxed)
    disk, free = disk_bytes(job, rows), free_bytes(job.out)
    there_is = f"{cases} in {job.listing.files:,} files, {size_text(job.listing.bytes)}"
    return plan_text(job, steps, stand, rows, cases=there_is, disk=disk, free=free)
