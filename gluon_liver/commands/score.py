"""Print the tables of detections that are in a file, as evaluate prints them for its own.

The file holds COCO results: a run's detections.json, or what symbols/module_test.py writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_options, add_scoring, given_settings, open_run, score_settings

EXAMPLES = (
    (
        "the tables of a run's own detections again, with finer intervals",
        "--run demo/run --detections demo/run/detections.json --bootstrap 5000",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "--run", required=True)
    parser.add_argument("--detections", type=Path, required=True, metavar="FILE.json", help="COCO results")
    add_options(parser, "--data")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="which patients they are of")
    add_scoring(parser)


def run(args: argparse.Namespace) -> int:
    """Score; prints the tables."""
    given_settings(args)
    opened, dataset = open_run(args)
    from gluon_liver.evaluation.detection_file import read_detections
    from gluon_liver.evaluation.split import split_labels

    file = read_detections(args.detections, dataset, split_labels(opened, dataset, args.split))
    from gluon_liver.evaluation.from_file import score_detections

    settings = score_settings(args, opened)
    print(score_detections(opened, dataset, args.detections, split=args.split, settings=settings, read=file))
    return 0
