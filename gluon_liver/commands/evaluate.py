"""Score a run on held-out patients, print its row of the paper's table beside the paper's, and write report.html.

With --compare, set two ultrasound runs that were scored on the same scenes side by side, in the layout of the
ultrasound paper's Tables 1 and 2, with differences and the paired t-test over scenes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from gluon_liver.errors import InputError

if TYPE_CHECKING:
    from gluon_liver.runs.run import Run

SCORING = {"data": None, "split": "test", "allow_train": False, "batch_size": None, "bootstrap": None, "device": "cpu"}
REPLICATES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate.py``."""
    parser.add_argument("--run", type=Path, metavar="RUN", help="run folder that train.py made")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("RUN_A", "RUN_B"),
        help="compare two ultrasound runs that were scored already; stands alone",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="prepared data; the run's own by default")
    parser.add_argument(
        "--split",
        choices=("test", "val", "train"),
        default=SCORING["split"],
        help="which patients to score; train is refused unless --allow-train is given",
    )
    parser.add_argument(
        "--allow-train", action="store_true", help="score the training patients; the report says so, it is no result"
    )
    parser.add_argument("--batch-size", type=int, help="slices at a time (default: fewer the larger they are)")
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=SCORING["bootstrap"],
        help=f"patient-level bootstrap replicates, of CT runs alone (default {REPLICATES})",
    )
    parser.add_argument("--device", default=SCORING["device"], help="cpu (default) or gpu:N")


def run(args: argparse.Namespace) -> int:
    """Evaluate or compare; prints the tables and, of an evaluation, where the report is."""
    if args.compare is not None:
        return _compare(args)
    if args.run is None:
        raise InputError("give --run RUN to score a run, or --compare RUN_A RUN_B to compare two that were scored")
    from gluon_liver.system.runtime import prefer_synchronous_engine

    if args.device == "cpu":
        prefer_synchronous_engine()
    from gluon_liver.data.open import check_kind, open_dataset
    from gluon_liver.evaluation.run_folder import evaluate
    from gluon_liver.evaluation.us import evaluate_us
    from gluon_liver.runs.devices import parse_device
    from gluon_liver.runs.run import Run

    if args.split == "train" and not args.allow_train:
        raise InputError("--split train scores what the run was trained on: give --allow-train if that is meant")
    for name, value in (("--batch-size", args.batch_size), ("--bootstrap", args.bootstrap)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: it must be 1 or more")
    opened = Run.open(args.run)
    check_bootstrap(args.bootstrap, opened)
    dataset = open_dataset(args.data if args.data is not None else opened.data_folder)
    check_kind(opened.config, dataset)
    options = {"split": args.split, "context": parse_device(args.device), "batch_size": args.batch_size}
    if opened.config.is_ct:
        text, report = evaluate(opened, dataset, replicates=args.bootstrap or REPLICATES, **options)
    else:
        text, report = evaluate_us(opened, dataset, **options)
    print(text)
    print(f"report: {report}")
    return 0


def check_bootstrap(replicates: Optional[int], run: Run) -> None:
    """Raise :class:`InputError` where an ultrasound run is given ``--bootstrap``."""
    if replicates is not None and not run.config.is_ct:
        raise InputError(
            f"--bootstrap is for CT runs: {run.folder} is an ultrasound run, whose tables give SDs over scenes; "
            "leave it out"
        )


def _compare(args: argparse.Namespace) -> int:
    from gluon_liver.report.us_compare import compare_text, read_us_run

    given = [name for name, default in SCORING.items() if getattr(args, name) != default]
    if args.run is not None or given:
        options = ", ".join("--" + name.replace("_", "-") for name in (["run"] if args.run else []) + given)
        raise InputError(f"--compare reads what two runs were scored with and takes no {options}")
    print(compare_text(*(read_us_run(folder) for folder in args.compare)), end="")
    return 0
