"""Print the tables of detections that are in a file, as evaluate prints them for its own.

The file holds COCO results: a run's detections.json, or what symbols/module_test.py writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.errors import InputError

from .evaluate import REPLICATES, check_bootstrap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``score``."""
    parser.add_argument("--run", type=Path, required=True, metavar="RUN", help="the run whose network detected")
    parser.add_argument("--detections", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--data", type=Path, metavar="DIR", help="prepared data; the run's own by default")
    parser.add_argument("--split", choices=("test", "val"), default="test")
    parser.add_argument("--bootstrap", type=int, help="patient-level bootstrap replicates of CT (default 1000)")


def run(args: argparse.Namespace) -> int:
    """Score; prints the tables."""
    from gluon_liver.data.open import open_dataset
    from gluon_liver.evaluation.from_file import score_detections
    from gluon_liver.runs.run import Run

    if args.bootstrap is not None and args.bootstrap < 1:
        raise InputError(f"--bootstrap {args.bootstrap}: it must be 1 or more")
    opened = Run.open(args.run)
    check_bootstrap(args.bootstrap, opened)
    dataset = open_dataset(args.data if args.data is not None else opened.data_folder)
    print(score_detections(opened, dataset, args.detections, split=args.split, replicates=args.bootstrap or REPLICATES))
    return 0
