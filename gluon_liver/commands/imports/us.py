"""Turn ultrasound recordings (video, DICOM, folders of images) with labels into prepared data: frames cropped to
the picture, the frames before them, scenes, boxes, splits.

The label file is COCO JSON; each of its images has `video` (path below FILE_OR_FOLDER), `frame` (from 0) and `scene`.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import (
    IMPORT,
    add_flag,
    add_import,
    add_labels,
    add_options,
    add_path,
    chosen,
    label_options,
    take_input,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "source", "FILE_OR_FOLDER", "a recording, or a folder of them", nargs="?")
    add_labels(parser, "COCO JSON with boxes and scenes", required=True)
    add_path(parser, "--out", "DATA", "data folder to make", required=True)
    place = parser.add_mutually_exclusive_group()
    text = "the picture in frames of recordings that do not tell it themselves, in pixels, X2 and Y2 exclusive"
    add_options(place, "--region", help=text)
    add_flag(place, "--whole-frame", "take whole frames of such recordings, text and all")
    text = "us-flow sees the frame K before a labelled one too, which is stored for it (default: 1); of a video of 25"
    rate = "frames a second the paper's scenes of 5 images in 1.1 s are every 6th frame"
    parser.add_argument("--step", type=int, default=1, metavar="K", help=f"{text} {rate}")
    text = "what no two splits share (default: patient); the paper splits images, which leaks"
    parser.add_argument("--split-by", choices=("patient", "scene", "image"), default="patient", help=text)
    amount = parser.add_mutually_exclusive_group()
    add_options(amount, "--split-fractions", help="shares of what is split (default: 0.7 0.1 0.2)")
    text = "with --split-by image: N images for test, the others for training"
    amount.add_argument("--test-images", type=int, metavar="N", help=text)
    add_import(parser)


def run(args: argparse.Namespace) -> int:
    """Import and print what was taken and what was not."""
    from gluon_liver.files.output_folder import check_output

    take_input(args, "source", "FILE_OR_FOLDER")
    check_output(args.out, args.source, overwrite=args.overwrite)
    from gluon_liver.prepare.us import import_us
    from gluon_liver.prepare.us_report import report_lines

    options = chosen(args, "whole_frame", "step", "split_by", "test_images", *IMPORT)
    region = tuple(args.region) if args.region else None
    report = import_us(
        args.source, args.out, **options, label_options=label_options(args), region=region, progress=True
    )
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0
