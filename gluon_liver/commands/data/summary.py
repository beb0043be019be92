"""What prepared data hold: patients, lesions and images per class and split, as in the CT paper's Table 1, lesion
sizes, spacing, phases, and HU of each phase in whole slices, the likely liver and the boxes. Ultrasound: scenes,
frames, boxes and their sizes in pixels.

Printed as text; --out makes a folder with summary.txt, summary.json and summary.png.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_flag, add_path

EXAMPLES = (
    ("counts and sizes, on the screen", "demo/data"),
    ("and as files, without reading pixels", "demo/data --no-pixels --out summary"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "data", "DATA", "prepared data, CT or ultrasound")
    add_path(parser, "--out", "DIR", "new folder for summary.txt, summary.json and summary.png")
    add_flag(parser, "--no-pixels", "read labels and geometry alone: quick, without histograms")


def run(args: argparse.Namespace) -> int:
    """Print the summary, and write it."""
    from gluon_liver.data.open import open_dataset
    from gluon_liver.files.output_folder import check_new, check_output

    if args.out is not None:
        check_new(args.out)
        check_output(args.out, args.data, overwrite=False)
    dataset = open_dataset(args.data)
    from gluon_liver.inspection.summary.run import summarize, write_summary
    from gluon_liver.inspection.summary.text import summary_lines

    summary = summarize(dataset, pixels=not args.no_pixels, progress=True)
    print("\n".join(summary_lines(summary)))
    if args.out is not None:
        write_summary(summary, args.out)
        print(f"files: {args.out} (summary.txt, summary.json, summary.png)")
    return 0
