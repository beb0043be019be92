"""Write a run as a Module checkpoint that MXNet 1.0.0 loads on Python 2.7, and MXNet 1.9.1 too.

DIR gets detector-symbol.json and detector-0000.params, config.json for symbols/, predict.py to run it with, README.md
and SHA256SUMS. The best checkpoint of a run that chose one is taken, else the newest. docs/legacy.md tells more.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_flag, add_path, check, prepare_device
from gluon_liver.errors import InputError
from gluon_liver.files.typed import within

EXAMPLES = (("a run for MXNet 1.0.0", "demo/run --legacy --out exported"),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "run", "RUN", "run folder that train.py made")
    add_flag(parser, "--legacy", "as a Module checkpoint, the one format that there is")
    add_path(parser, "--out", "DIR", "folder to make", required=True)
    text = "images at a time, which a symbol fixes"
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Export; prints what was written."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.runs.run import Run

    if not args.legacy:
        raise InputError("export writes one format, a Module checkpoint for MXNet 1.0.0: say so with --legacy")
    check(args, "batch_size", within(1, 256))
    run = Run.open(args.run)
    check_new(args.out)
    prepare_device(args)
    from gluon_liver.legacy.checkpoints import PREFIX, export_legacy

    checkpoint = export_legacy(run, args.out, batch_size=args.batch_size)
    print(f"{checkpoint} of {args.run} as {args.out / PREFIX}: README.md there says how to run it")
    return 0
