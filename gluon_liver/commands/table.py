"""Print Table 4 with evaluated runs beside the printed rows, or Table 2 or 3 with the network here beside the printed.

Runs are folders that evaluate.py scored.
"""

from __future__ import annotations

import argparse

from gluon_liver.errors import InputError

from .options import add_path

EXAMPLES = (("Table 4 with two runs", "run-a run-b"), ("Table 2, the network of 50 layers", "--network 50"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "runs", "RUN", "run folders that evaluate.py scored", nargs="*")
    text = "print Table 2 (N 50) or Table 3 (N 101): layers and feature sizes of the network of N layers"
    parser.add_argument("--network", type=int, choices=(50, 101), metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if bool(args.runs) == (args.network is not None):
        raise InputError("give RUN... for Table 4, or --network 50 or 101 for Table 2 or 3")
    if args.network is not None:
        from gluon_liver.report.tables.network_tables import network_text

        print(network_text(args.network), end="")
        return 0
    from gluon_liver.report.tables.table4 import read_run, rows_text

    print(rows_text([read_run(folder) for folder in args.runs]), end="")
    return 0
