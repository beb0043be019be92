"""Turn ultrasound recordings (video, DICOM, folders of images) with labels into prepared data: frames cropped to
the picture, the frames before them, scenes, boxes, splits.

The label file is COCO JSON; each of its images has `video` (path below FILE_OR_FOLDER), `frame` (from 0) and `scene`.
With --layout the labels are those of a public set or of another label tool, found below FOLDER by their names.
"""

from __future__ import annotations

import argparse
from typing import Any, Dict

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
from gluon_liver.commands.paths import refuse_empty

EXAMPLES = (
    ("recordings with COCO labels", "/path/to/videos --labels labels.json --out us-data"),
    (
        "videos that do not tell where the picture is, every sixth frame",
        "/path/to/videos --labels labels.json --region 100 60 740 540 --step 6 --out us-data",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "source", "FILE_OR_FOLDER", "a recording, or a folder of them", nargs="?")
    add_labels(parser, "COCO JSON with boxes and scenes")
    add_path(parser, "--out", "DATA", "data folder to make")
    _add_layout(parser)
    place = parser.add_mutually_exclusive_group()
    text = "the picture in frames of recordings that do not tell it themselves, in pixels, X2 and Y2 exclusive"
    add_options(place, "--region", help=text)
    text = "take whole frames of such recordings: TEXT BURNED INTO THEM, NAMES OF PATIENTS TOO, STAYS IN THE DATA"
    add_flag(place, "--whole-frame", f"{text}; refused for DICOM that says it has such text")
    text = "us-flow sees the frame K before a labelled one too, which is stored for it; of a video of 25"
    rate = "frames a second the paper's scenes of 5 images in 1.1 s are every 6th frame"
    parser.add_argument("--step", type=int, default=1, metavar="K", help=f"{text} {rate}")
    text = "what no two splits share; the paper splits images, which leaks"
    parser.add_argument("--split-by", choices=("patient", "scene", "image"), default="patient", help=text)
    amount = parser.add_mutually_exclusive_group()
    add_options(amount, "--split-fractions", help="shares of what is split")
    text = "with --split-by image: N images for test, the others for training"
    amount.add_argument("--test-images", type=int, metavar="N", help=text)
    add_import(parser)


def _add_layout(parser: argparse.ArgumentParser) -> None:
    text = "labels in another form: aul, clust, b-mode-and-ceus-liver, labelme, cvat or vos (docs/data.md)"
    parser.add_argument("--layout", metavar="NAME", help=text)
    add_flag(parser, "--dry-run", "with --layout: say what would be taken, and write nothing")
    side = parser.add_mutually_exclusive_group()
    text = "clust: landmarks are points; the side of the boxes around them"
    side.add_argument(
        "--box-mm", type=float, metavar="MM", help=f"{text}, by the millimetres a pixel of resolution.csv"
    )
    side.add_argument("--box-pixels", type=float, metavar="PIXELS", help=text)
    text = "b-mode-and-ceus-liver: which half of frames with both modes is B-mode (default: left); it is looked at"
    parser.add_argument("--b-mode", choices=("left", "right"), help=text)
    text = "labelme, cvat for images: pictures of one folder are frames of a recording, not recordings of one frame"
    add_flag(parser, "--by-folder", text)


def run(args: argparse.Namespace) -> int:
    """Import and print what was taken and what was not."""
    from gluon_liver.errors import InputError
    from gluon_liver.files.output_folder import check_output

    take_input(args, "source", "FILE_OR_FOLDER")
    if args.layout is None:
        _refuse_without_layout(args)
    if args.out is not None:
        check_output(args.out, args.source, overwrite=args.overwrite)
    elif not args.dry_run:
        raise InputError("say where the data go with --out DATA")
    if args.layout is None:
        refuse_empty(args.source)
    from gluon_liver.prepare.us import import_us
    from gluon_liver.prepare.us_report import report_lines

    region = tuple(args.region) if args.region else None
    options = chosen(args, "step", "split_by", "test_images", *IMPORT)
    if args.layout is not None:
        return _run_layout(args, region, options)
    report = import_us(
        args.source,
        args.out,
        **options,
        whole_frame=args.whole_frame,
        label_options=label_options(args),
        region=region,
        progress=True,
    )
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0


def _refuse_without_layout(args: argparse.Namespace) -> None:
    from gluon_liver.errors import InputError

    if not args.labels:
        raise InputError("say where the boxes are: --labels FILE for COCO JSON, or --layout NAME for another form")
    for name in ("dry_run", "box_mm", "box_pixels", "b_mode", "by_folder"):
        if getattr(args, name):
            raise InputError(f"--{name.replace('_', '-')} is for --layout NAME: give it with that, or leave it out")


def _run_layout(args: argparse.Namespace, region: Any, options: Dict[str, Any]) -> int:
    from gluon_liver.labels.source import LabelOptions
    from gluon_liver.prepare.us import USOptions
    from gluon_liver.prepare.us_report import report_lines
    from gluon_liver.sets.us.import_set import import_us_set, plan_lines
    from gluon_liver.sets.us.layout import Given

    del options["labels"]
    how = USOptions(**options, progress=True)
    read = LabelOptions(**chosen(args, "classes", "map", "crowd", "allow_missing"))
    own = chosen(args, "whole_frame", "box_mm", "box_pixels", "b_mode", "by_folder")
    given = Given(labels=tuple(args.labels or ()), label_options=read, region=region, **own)
    if args.dry_run:
        print("\n".join(plan_lines(args.layout, args.source, given, how)))
        return 0
    report = import_us_set(args.layout, args.source, args.out, given, how)
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0
