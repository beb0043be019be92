"""Write a run as a Module checkpoint that MXNet 1.0.0 loads on Python 2.7, and MXNet 1.9.1 too.

DIR gets detector-symbol.json and detector-0000.params, config.json for symbols/, predict.py to run it with, README.md
and SHA256SUMS. The best checkpoint of a run that chose one is taken, else the newest. docs/legacy.md tells more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.errors import InputError
from gluon_liver.files.typed import within

from .options import check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m gluon_liver export``."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder that train.py made")
    parser.add_argument("--legacy", action="store_true", help="as a Module checkpoint, the one format that there is")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="images at a time, which a symbol fixes (default 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Export; prints what was written."""
    from gluon_liver.system.runtime import prefer_synchronous_engine

    prefer_synchronous_engine()
    from gluon_liver.legacy.checkpoints import PREFIX, export_legacy
    from gluon_liver.runs.run import Run

    if not args.legacy:
        raise InputError("export writes one format, a Module checkpoint for MXNet 1.0.0: say so with --legacy")
    check(args, "batch_size", within(1, 256))
    checkpoint = export_legacy(Run.open(args.run), args.out, batch_size=args.batch_size)
    print(f"{checkpoint} of {args.run} as {args.out / PREFIX}: README.md there says how to run it")
    return 0
