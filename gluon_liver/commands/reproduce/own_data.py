"""``reproduce --paper``: a paper's tables and figures on prepared data of one's own, or on phantoms."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, List

from gluon_liver.errors import DatasetError, InputError

from .inside import run_inside

if TYPE_CHECKING:
    from gluon_liver.reproduce.paper.job import PaperJob


def run_paper(args: argparse.Namespace) -> int:
    """Print the plan and do it; 0 when all is done, 75 where a signal stopped it."""
    from gluon_liver.cluster import heartbeat
    from gluon_liver.files.lock import LOCK, file_lock
    from gluon_liver.reproduce.source import check_out

    job = _job(args)
    check_out(args.out)
    if args.plan:
        print(_plan(job, args), end="")
        return 0
    from gluon_liver.reproduce.paper.manifest import PAGE
    from gluon_liver.reproduce.paper.steps import paper_steps
    from gluon_liver.reproduce.steps import run_steps

    args.out.mkdir(parents=True, exist_ok=True)
    with file_lock(args.out / LOCK, busy=f"{args.out} is in use by {{user}}: it is reproduced there"):
        print(_plan(job, args), flush=True)
        if not run_steps(paper_steps(job), job.out, redo=args.redo, say=lambda text: print(text, flush=True)):
            print("stopped; the same command goes on", file=sys.stderr)
            return heartbeat.AGAIN
    print(f"page: {job.out / PAGE}")
    return 0


def _job(args: argparse.Namespace) -> PaperJob:
    from gluon_liver.data.open import open_dataset
    from gluon_liver.reproduce.paper.job import SIZES, PaperJob, members_of, rows_of
    from gluon_liver.reproduce.source import check_apart

    if args.data is None and args.size == "full":
        raise InputError("give --data DIR, your prepared data; or --size demo or tiny, which makes phantoms without it")
    dataset = None
    if args.data is not None:
        if not args.data.is_dir():
            raise InputError(f"--data {args.data}: there is no such folder; it is prepared data, as import makes them")
        check_apart(args.out, args.data)
        dataset = open_dataset(args.data)
        if dataset.task != args.paper:
            raise DatasetError(f"{args.data} holds {dataset.title} data, and --paper {args.paper} takes the other")
        if not dataset.labels_of("test"):
            raise DatasetError(f"{args.data}: the test split has no labelled {dataset.image}, so nothing can be scored")
    rows, refused = rows_of(args.paper, args.rows, dataset)
    if args.flow is not None and "us-flow" not in rows:
        raise InputError("--flow is for us-flow, which is not trained here: leave it out")
    settings = (*SIZES[args.paper, args.size].settings, *args.set)
    shared = dict(size=args.size, settings=settings, device=args.device)
    members = members_of(args.paper, rows, args.out, seeds=args.seeds, pretrained=args.pretrained is not None, **shared)
    more = dict(pretrained=args.pretrained, flow=args.flow, cache=args.cache, refused=refused)
    return PaperJob(args.paper, args.out, members, args.data, _typed(args), run_inside, **shared, **more)


def _typed(args: argparse.Namespace) -> str:
    """The command, with what changes the result."""
    words: List[str] = ["python -m gluon_liver reproduce --paper", args.paper]
    for name in ("data", "out", "size", "seeds", "device", "pretrained", "flow"):
        value = getattr(args, name)
        if value is not None and (name, value) not in (("seeds", 1), ("device", "cpu")):
            words += [f"--{name}", shlex.quote(str(value))]
    words += [f"--set {shlex.quote(one)}" for one in args.set]
    return " ".join(words + (["--rows", *args.rows] if args.rows else []))


def _plan(job: PaperJob, args: argparse.Namespace) -> str:
    from gluon_liver.reproduce.estimate import disk_bytes, estimate_rows, free_bytes
    from gluon_liver.reproduce.paper.steps import paper_steps
    from gluon_liver.reproduce.plan import plan_text
    from gluon_liver.reproduce.steps import states

    steps = paper_steps(job)
    stand = states(steps, job.out)
    dataset = job.dataset() if (job.data / "dataset.json").is_file() else None
    measure = not args.no_measure and any(state.kind != "done" for state in stand)
    rows = estimate_rows(job, dataset, measure=measure)
    disk, free = disk_bytes(job, rows), free_bytes(job.out)
    what = f"{len(dataset.cases)} cases of {job.data}" if dataset is not None else "phantoms, made first"
    return plan_text(job, steps, stand, rows, cases=what, disk=disk, free=free)
