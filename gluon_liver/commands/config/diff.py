"""Print the keys in which two configurations differ, with both values."""

from __future__ import annotations

import argparse

from gluon_liver.config.differences import differences
from gluon_liver.config.explain import as_yaml

from .named import NAME_HELP, named_config

EXAMPLES = (
    ("what the demo has otherwise than the paper's row", "r50 demo-ct"),
    ("what a run was trained with otherwise than its configuration says", "demo-ct demo/run"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help=NAME_HELP)
    parser.add_argument("second", metavar="B", help="another one")


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 whether or not they differ."""
    found = differences(named_config(args.first), named_config(args.second))
    if not found:
        print(f"{args.first} and {args.second} are the same")
        return 0
    rows = [("", args.first, args.second), *((one.key, as_yaml(one.first), as_yaml(one.second)) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    print("\n".join(f"{key:<{widths[0]}}  {first:<{widths[1]}}  {second}" for key, first, second in rows))
    return 0
