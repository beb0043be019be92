"""Score a run on held-out patients, print its row of the paper's table beside the paper's, and write report.html.

With --compare, set two ultrasound runs that were scored on the same scenes side by side, in the layout of the
ultrasound paper's Tables 1 and 2, with differences and the paired t-test over scenes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.errors import InputError
from gluon_liver.files.typed import at_least

from .options import (
    add_flag,
    add_options,
    add_path,
    add_scoring,
    check,
    chosen,
    open_run,
    prepare_cache,
    prepare_device,
    score_settings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "--run")
    text = "compare two ultrasound runs that were scored already; stands alone"
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("RUN_A", "RUN_B"), help=text)
    add_options(parser, "--data")
    text = "which patients to score; train is refused unless --allow-train is given"
    parser.add_argument("--split", choices=("test", "val", "train"), default="test", help=text)
    add_flag(parser, "--allow-train", "score the training patients; the report says so, it is no result")
    text = "read networks of nine slices along the studies: faster, boxes differ a little; the report says so"
    add_flag(parser, "--dense", text)
    add_options(parser, "--precision", "--batch-size", "--device", "--cache", "--no-lock")
    text = "write results and report to this folder instead of the run's, for runs that are read-only"
    add_path(parser, "--out", "DIR", text)
    add_scoring(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate or compare; prints the tables and, of an evaluation, where the report is."""
    if args.compare is not None:
        return _compare(args)
    if args.run is None:
        raise InputError("give --run RUN to score a run, or --compare RUN_A RUN_B to compare two that were scored")
    if args.split == "train" and not args.allow_train:
        raise InputError("--split train scores what the run was trained on: give --allow-train if that is meant")
    check(args, "batch_size", at_least(1))
    opened, dataset = open_run(args)
    prepare_device(args)
    from gluon_liver.evaluation.run_folder import evaluate
    from gluon_liver.runs.devices import parse_device

    prepare_cache(args)
    options = dict(chosen(args, "split", "batch_size", "dense", "precision", "out"), context=parse_device(args.device))
    text, report = evaluate(opened, dataset, **options, settings=score_settings(args, opened))
    print(text)
    print(f"report: {report}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from gluon_liver.report.us_compare import compare_text, read_us_run

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    given = ["--" + name.replace("_", "-") for name in usual if getattr(args, name) != usual[name]]
    given.remove("--compare")
    if given:
        raise InputError(f"--compare reads what two runs were scored with and takes no {', '.join(given)}")
    print(compare_text(*(read_us_run(folder) for folder in args.compare)), end="")
    return 0
