"""Print Table 4 with evaluated runs beside the printed rows."""

from __future__ import annotations

import argparse

from .options import add_path

EXAMPLES = (("Table 4 with two runs", "run-a run-b"),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "runs", "RUN", "run folders that evaluate.py scored", nargs="+")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from gluon_liver.report.tables.table4 import read_run, rows_text

    print(rows_text([read_run(folder) for folder in args.runs]), end="")
    return 0
