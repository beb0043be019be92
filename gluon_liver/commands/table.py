"""Print Table 4 with evaluated runs beside the printed rows."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m gluon_liver table``."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders that evaluate.py scored")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from gluon_liver.report.table4 import read_run, rows_text

    print(rows_text([read_run(folder) for folder in args.runs]), end="")
    return 0
