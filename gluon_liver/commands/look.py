"""Show what CT series a folder holds, so that one can tell which series is which contrast phase: when each was taken,
how bright what is likely aorta and liver is, what the phase rules make of it, and with --out a page with pictures.

Nothing is imported. The screen shows no identifier, description, date or path unless --descriptions is given.
"""

from __future__ import annotations

import argparse

from .options import add_exclude, add_flag, add_path, chosen

EXAMPLES = (
    ("a table of the series on the screen", "/path/to/dicom"),
    ("pictures of every series, and a phase file to fill in", "/path/to/dicom --out looked"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "folder", "FOLDER", "folder with DICOM files, searched at every depth")
    text = "new folder for index.html with pictures, series.csv and phases.yaml to fill in; it holds patient data"
    add_path(parser, "--out", "DIR", text)
    add_path(parser, "--phases", "FILE", "YAML that says which series is which phase, to be tried on the series")
    add_exclude(parser)
    text = "show PatientID, dates, descriptions and folders on the screen too; they may name the patient"
    add_flag(parser, "--descriptions", text)


def run(args: argparse.Namespace) -> int:
    """Look, print, and write the page."""
    from gluon_liver.prepare.look.new_folder import check_new_folder

    if args.out is not None:
        check_new_folder(args.out, args.folder)
    from gluon_liver.prepare.look.listing import list_series
    from gluon_liver.prepare.look.output import screen_lines, write_listing

    listing = list_series(args.folder, **chosen(args, "phases", "exclude", "skip_damaged"), progress=True)
    print("\n".join(screen_lines(listing, descriptions=args.descriptions)))
    if args.out is not None:
        write_listing(listing, args.out)
        print(f"page: {args.out / 'index.html'} (the folder holds patient data)")
        phases = args.out / "phases.yaml"
        unknown = sum(not one.phase for one in listing.series)
        todo = f"fill in {phases} ({unknown} series without a phase)"
        if not unknown:
            todo = f"all {len(listing.series)} series were recognised; look whether {phases} is right"
        print(f"{todo}, then: import ct FOLDER --phases {phases} --out DATA")
    return 0
