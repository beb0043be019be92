"""Write one page that shows a study or recording: scroll slices, switch phases or put them side by side, with true
boxes and detections over them. The page is a single file that needs no server and no network.

Research software: not a medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_path, check
from gluon_liver.files.typed import within

EXAMPLES = (
    ("a page of one case with its labels", "demo/data --case case-0 --out case.html"),
    ("with what detect found", "demo/data/studies/CASE --detections found --out case.html"),
    ("some slices of a folder of DICOM, at half the size", "/path/to/dicom --slices 20 40 --size 256 --out study.html"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "prepared data (with --case), a prepared study DATA/studies/CASE, or a folder of DICOM files with one study"
    add_path(parser, "source", "DATA", text)
    text = "the case to show, or how its name begins; not needed where there is one"
    parser.add_argument("--case", metavar="CASE", help=text)
    add_path(parser, "--out", "FILE.html", "page to write", required=True)
    text = "detections.json of evaluate or detect, or the folder that holds it, to lay over the pictures"
    add_path(parser, "--detections", "FILE", text)
    add_path(parser, "--phases", "FILE", "of DICOM files: which series is which phase (see import ct)")
    parser.add_argument(
        "--reference", metavar="PHASE", help="of DICOM files: the phase whose grid the others are put on"
    )
    text = "show these slices (frames) alone, both included, counted from 0: smaller pages of long studies"
    parser.add_argument("--slices", type=int, nargs=2, metavar=("FIRST", "LAST"), help=text)
    text = "shrink pictures to this longer side (default: as stored)"
    parser.add_argument("--size", type=int, metavar="PIXELS", help=text)
    text = "format of the pictures (default: the smallest whose error is below half the noise, measured on the study)"
    parser.add_argument("--codec", choices=("jpeg", "webp", "png"), help=text)


def run(args: argparse.Namespace) -> int:
    """Write the page, and say what it holds."""
    from gluon_liver.errors import InputError
    from gluon_liver.files.output_folder import check_new

    check_new(args.out, what="name")
    check(args, "size", within(32, 4096))
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {args.out}: a page needs a name that ends in .html")
    from gluon_liver.files.atomic import write_text
    from gluon_liver.inspection.view.detections import read_overlay
    from gluon_liver.inspection.view.page import make_page
    from gluon_liver.inspection.view.source import open_source

    shown = open_source(args.source, args.case, phases=args.phases, reference=args.reference)
    slices = None
    if args.slices is not None:
        first, last = slices = (args.slices[0], args.slices[1])
        if not 0 <= first <= last < len(shown.places):
            raise InputError(f"--slices {first} {last}: the case has {len(shown.places)}, counted from 0")
    overlay = None if args.detections is None else read_overlay(args.detections, shown)
    form = args.codec and args.codec.upper()
    page = make_page(shown, overlay, size=args.size, slices=slices, form=form, progress=True)
    write_text(args.out, page.html)
    size = args.out.stat().st_size / 2**20
    print(f"page: {args.out}, {size:.1f} MiB, {page.pictures} pictures as {page.codec.title}")
    if size > 60:
        print("note: that is long to load: --slices FIRST LAST or --size PIXELS make it smaller")
    print("the page holds images of a patient" if not shown.phantom else "the case is a phantom")
    return 0
