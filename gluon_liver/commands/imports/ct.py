"""Turn a folder of CT series (DICOM) into prepared data: HU volumes with all phases on one grid, labels,
splits.

With --layout the volumes, masks and boxes are those of a public set, found below FOLDER by their names.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import (
    IMPORT,
    add_exclude,
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
    (
        "DICOM series with COCO labels, phases by a file that was filled in",
        "/path/to/dicom --labels labels.json --phases phases.yaml --out data",
    ),
    ("write that phase file", "/path/to/dicom --list-series phases.yaml"),
    ("what would be taken of a public set", "/path/to/lits --layout lits --dry-run"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "folder", "FOLDER", "folder with DICOM files, searched at every depth", nargs="?")
    add_path(parser, "--out", "DATA", "data folder to make")
    add_path(parser, "--phases", "FILE", "YAML that says which series is which phase")
    add_labels(parser, "COCO JSON with boxes on the reference phase")
    text = "phase on which boxes of --labels were drawn too: carried over to the reference phase by world coordinates"
    parser.add_argument("--labels-on", metavar="PHASE", help=text)
    text = "masks in place of --labels: files or folders of DICOM SEG, DICOM mask series, NIfTI, NRRD, PNG"
    add_path(parser, "--masks", "PATH", text, nargs="+")
    text = "drop lesions of masks whose longest side in the plane is shorter"
    parser.add_argument("--min-lesion-mm", metavar="MM", type=float, default=0.0, help=text)
    text = "phase whose grid the others are put on (default: arterial)"
    parser.add_argument("--reference", metavar="PHASE", help=text)
    add_flag(parser, "--regrid", "interpolate gaps and uneven slice spacing, and undo gantry tilt, instead of refusing")
    add_exclude(parser)
    _add_layout(parser)
    add_options(parser, "--split-fractions", default=None, help="shares of patients (default: 0.7 0.1 0.2)")
    add_import(parser)
    text = "write a phase file to fill in, with identifiers and descriptions, and import nothing"
    add_path(parser, "--list-series", "FILE", text)


def _add_layout(parser: argparse.ArgumentParser) -> None:
    text = "a public set as it is unpacked: deeplesion, lits, mct-ltdiag ..., or nifti (docs/data.md)"
    parser.add_argument("--layout", metavar="NAME", help=text)
    add_flag(parser, "--dry-run", "with --layout: say what would be taken, and write nothing")
    text = "with --layout: cases at a time, each a process with one phase in memory (default: 1)"
    parser.add_argument("--jobs", type=int, metavar="N", help=text)
    text = "with --layout or --masks: which of the two counts where those of a NIfTI file contradict each other"
    parser.add_argument("--affine", choices=("sform", "qform"), help=text)
    text = "with --layout: take volumes that look wrong (windowed, intercept, upside-down), and NaN as air (nan)"
    parser.add_argument("--accept", action="append", default=[], metavar="WHAT", help=f"{text}; may be repeated")


def _run_layout(args: argparse.Namespace) -> int:
    from gluon_liver.errors import InputError
    from gluon_liver.sets.import_ct import import_set, layout_of, plan_lines, report_lines

    of_dicom = "labels masks classes map crowd allow_missing phases labels_on reference regrid exclude skip_damaged"
    for name in of_dicom.split():
        if getattr(args, name) not in (None, False, [], "refuse"):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for folders of DICOM: --layout says what is where; leave one of both out")
    layout = layout_of(args.layout)
    reading = chosen(args, "affine", "accept")
    if args.dry_run:
        print("\n".join(plan_lines(layout, args.folder, **reading)))
        return 0
    if args.out is None:
        raise InputError("say where the data go with --out DATA, or see what would be taken with --dry-run")
    options = chosen(args, "salt", "min_lesion_mm", "fractions", "seed", "overwrite")
    report = import_set(layout, args.folder, args.out, **options, **reading, jobs=args.jobs or 1, progress=True)
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Import and print what was taken and what was not."""
    from gluon_liver.errors import InputError
    from gluon_liver.files.output_folder import check_output

    take_input(args, "folder", "FOLDER")
    if args.layout is not None and args.list_series is None:
        return _run_layout(args)
    if args.affine is not None and not args.masks:
        raise InputError("--affine is for --layout NAME and for --masks: leave it out")
    for name in ("layout", "dry_run", "jobs", "accept"):
        if getattr(args, name):
            raise InputError(f"--{name.replace('_', '-')} is for --layout NAME without --list-series: leave one out")
    if args.list_series is not None:
        if args.out is not None:
            raise InputError("--list-series imports nothing: give it without --out, or --out without it")
        from gluon_liver.prepare.look.output import write_phase_template

        options = chosen(args, "phases", "exclude", "skip_damaged")
        count = write_phase_template(args.folder, args.list_series, **options, progress=True)
        print(f"phase file with {count} series to fill in: {args.list_series} (it holds patient data)")
        return 0
    if args.out is None:
        raise InputError("say where the data go with --out DATA, or list the series with --list-series FILE")
    if args.folder.is_dir():
        check_output(args.out, args.folder, overwrite=args.overwrite)
    refuse_empty(args.folder)
    from gluon_liver.prepare.ct import import_ct
    from gluon_liver.prepare.ct_report import report_lines
    from gluon_liver.readers.volumes.reading import VolumeReading, volumes_read

    options = chosen(args, "phases", "labels_on", "reference", "regrid", "exclude", "skip_damaged", *IMPORT)
    options["fractions"] = args.fractions or (0.7, 0.1, 0.2)
    options.update(masks=args.masks or (), min_lesion_mm=args.min_lesion_mm)
    with volumes_read(VolumeReading(args.affine)):
        report = import_ct(args.folder, args.out, **options, label_options=label_options(args), progress=True)
    print("\n".join(report_lines(report)))
    print(f"data: {args.out}")
    return 0
