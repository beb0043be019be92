"""``doctor``: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import argparse

from gluon_liver.system.doctor import examine, exit_code, format_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no argument."""


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 when everything works, 1 when something needs attention."""
    rows = examine()
    print(format_rows(rows))
    return exit_code(rows)
