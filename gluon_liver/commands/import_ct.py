"""Turn a folder of CT series (DICOM) into prepared data: HU volumes with all phases on one grid, labels,
splits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_import, add_split_fractions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m gluon_liver import ct``."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with DICOM files, searched at every depth")
    parser.add_argument("--out", type=Path, metavar="DATA", help="data folder to make")
    parser.add_argument("--phases", type=Path, metavar="FILE", help="YAML that says which series is which phase")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="COCO JSON with boxes on the reference phase")
    parser.add_argument(
        "--reference", metavar="PHASE", help="phase whose grid the others are put on (default: arterial)"
    )
    parser.add_argument(
        "--regrid",
        action="store_true",
        help="interpolate gaps and uneven slice spacing, and undo gantry tilt, instead of refusing",
    )
    add_split_fractions(parser, "patients")
    add_import(parser)
    parser.add_argument(
        "--list-series",
        type=Path,
        metavar="FILE",
        help="write a phase file to fill in, with identifiers and descriptions, and import nothing",
    )


def run(args: argparse.Namespace) -> int:
    """Import and print what was taken and what was not."""
    from gluon_liver.errors import InputError
    from gluon_liver.prepare.ct import import_ct, write_phase_template
    from gluon_liver.prepare.ct_report import report_lines

    if args.list_series is not None:
        if args.out is not None:
            raise InputError("--list-series imports nothing: give it without --out, or --out without it")
        count = write_phase_template(args.folder, args.list_series, phases=args.phases, progress=True)
        print(f"phase file with {count} series to fill in: {args.list_series} (it holds patient data)")
        return 0
    if args.out is None:
        raise InputError("say where the data go with --out DATA, or list the series with --list-series FILE")
    report = import_ct(
        args.folder,
        args.out,
        phases=args.phases,
        labels=args.labels,
        reference=args.reference,
        salt=args.salt,
        regrid=args.regrid,
        fractions=args.split_fractions,
        seed=args.seed,
        overwrite=args.overwrite,
        progress=True,
    )
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0
