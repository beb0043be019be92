"""Score a run on held-out patients, print its row of Table 4 beside the paper's, and write report.html."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate.py``."""
    parser.add_argument("--run", required=True, type=Path, metavar="RUN", help="run folder that train.py made")
    parser.add_argument("--data", type=Path, metavar="DIR", help="prepared data; the run's own by default")
    parser.add_argument("--split", choices=("test", "val", "train"), default="test",
                        help="which patients to score; train is refused unless --allow-train is given")
    parser.add_argument("--allow-train", action="store_true",
                        help="score the training patients; the report says so, it is no result")
    parser.add_argument("--batch-size", type=int, help="slices at a time (default: fewer the larger they are)")
    parser.add_argument("--bootstrap", type=int, default=1000, help="patient-level bootstrap replicates")
    parser.add_argument("--device", default="cpu", help="cpu (default) or gpu:N")


def run(args: argparse.Namespace) -> int:
    """Evaluate; prints the table and where the report is."""
    from ..runtime import prefer_synchronous_engine

    if args.device == "cpu":
        prefer_synchronous_engine()
    from ..data.dataset import Dataset
    from ..engine.device import parse_device
    from ..engine.evaluate import evaluate
    from ..engine.run import Run
    from ..errors import InputError

    if args.split == "train" and not args.allow_train:
        raise InputError("--split train scores what the run was trained on: give --allow-train if that is meant")
    for name, value in (("--batch-size", args.batch_size), ("--bootstrap", args.bootstrap)):
        if value is not None and value < 1:
            raise InputError("{} {}: it must be 1 or more".format(name, value))
    opened = Run.open(args.run)
    dataset = Dataset.open(args.data if args.data is not None else opened.data_folder)
    text, report = evaluate(
        opened, dataset, split=args.split, context=parse_device(args.device),
        batch_size=args.batch_size, replicates=args.bootstrap,
    )
    print(text)
    print("report: {}".format(report))
    return 0
