"""Turn ultrasound recordings (video, DICOM, folders of images) with labels into prepared data: frames cropped to
the picture, scenes, boxes, splits.

The label file is COCO JSON; each of its images has `video` (path below FILE_OR_FOLDER), `frame` (from 0) and `scene`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_import, add_split_fractions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m gluon_liver import us``."""
    parser.add_argument("source", type=Path, metavar="FILE_OR_FOLDER", help="a recording, or a folder of them")
    parser.add_argument("--labels", type=Path, required=True, metavar="FILE", help="COCO JSON with boxes and scenes")
    parser.add_argument("--out", type=Path, required=True, metavar="DATA", help="data folder to make")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--region",
        type=int,
        nargs=4,
        metavar=("X1", "Y1", "X2", "Y2"),
        help="the picture in frames of recordings that do not tell it themselves, in pixels, X2 and Y2 exclusive",
    )
    place.add_argument("--whole-frame", action="store_true", help="take whole frames of such recordings, text and all")
    parser.add_argument(
        "--split-by",
        choices=("patient", "scene", "image"),
        default="patient",
        help="what no two splits share (default: patient); the paper splits images, which leaks",
    )
    amount = parser.add_mutually_exclusive_group()
    add_split_fractions(amount, "what is split")
    amount.add_argument(
        "--test-images", type=int, metavar="N", help="with --split-by image: N images for test, the others for training"
    )
    add_import(parser)


def run(args: argparse.Namespace) -> int:
    """Import and print what was taken and what was not."""
    from gluon_liver.prepare.us import import_us
    from gluon_liver.prepare.us_report import report_lines

    report = import_us(
        args.source,
        args.out,
        labels=args.labels,
        region=tuple(args.region) if args.region else None,
        whole_frame=args.whole_frame,
        split_by=args.split_by,
        fractions=args.split_fractions,
        test_images=args.test_images,
        seed=args.seed,
        salt=args.salt,
        overwrite=args.overwrite,
        progress=True,
    )
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0
