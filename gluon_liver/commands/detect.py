"""Find lesions in every slice of a study: lesions.json (joined across slices, sizes in mm), other formats, overlays.

Research software: not a medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse
import math
from typing import Any, Mapping

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.errors import InputError
from gluon_liver.files.typed import at_least, within

from .options import add_flag, add_options, add_path, check, chosen, prepare_cache, prepare_engine

EXAMPLES = (
    ("a prepared study", "demo/data/studies/CASE --run demo/run --out found"),
    (
        "a folder of DICOM with one study, also unlikely boxes",
        "/path/to/dicom --phases phases.yaml --run demo/run --score 0.2 --out found",
    ),
    (
        "tables, and DICOM objects for viewers",
        "/path/to/dicom --run demo/run --format csv,dicom-sr,dicom-seg --out found",
    ),
    ("a net that is made or found by its name", "demo/data/studies/CASE --run zoo:demo-ct --out found"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "DATA/studies/CASE of prepared data, or a folder of DICOM files with one study"
    add_path(parser, "study", "STUDY_DIR", text)
    add_options(parser, "--run", required=True)
    add_path(parser, "--out", "DIR", "folder to make", required=True)
    add_path(parser, "--phases", "FILE", "which series is which phase (see import ct)")
    parser.add_argument("--reference", metavar="PHASE", help="phase to read; the run's reference phase by default")
    parser.add_argument(
        "--score", type=float, default=0.5, metavar="SHARE", help="lowest score of lesions and pictures, 0 to 1"
    )
    add_flag(parser, "--every-slice", "draw slices without a box too")
    text = "read along the study what neighbouring windows of nine slices share: faster, boxes differ a little"
    add_flag(parser, "--dense", text)
    text = "draw where lesions look in the other phases (multi-modal runs), hits and false positives"
    add_flag(parser, "--explain", text)
    _add_formats(parser)
    add_options(parser, "--engine", "--precision", "--batch-size", "--device", "--cache")


def _add_formats(parser: argparse.ArgumentParser) -> None:
    names = "coco (the default), csv, geojson, nifti, dicom-sr and dicom-seg"
    text = f"what is written beside lesions.json and pictures, a list of {names}"
    parser.add_argument("--format", default="coco", metavar="FORMATS", help=text)
    text = "the DICOM files that a study of prepared data was imported from, whose images dicom-sr and dicom-seg name"
    add_path(parser, "--dicom", "FOLDER", text)
    text = "what masks show of a lesion in each slice: its box (the default), or the ellipse that the box encloses"
    parser.add_argument("--shape", choices=("boxes", "ellipsoids"), default="boxes", help=text)


def run(args: argparse.Namespace) -> int:
    """Detect; prints one line a lesion and where the files are."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.results.formats import check_dicom, parse_formats
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
    from gluon_liver.runs.run import Run

    check(args, "score", within(0, 1))
    check(args, "batch_size", at_least(1))
    formats = parse_formats(args.format)
    run = Run.open(args.run)
    check_new(args.out)
    chosen_checkpoint(run)
    if args.dense:
        check_dense(run.config)
    _check_study(args)
    check_dicom(formats, args.dicom, prepared=(args.study / "study.json").is_file())
    choice = prepare_engine(args)
    from gluon_liver.inference.study import detect_study
    from gluon_liver.prepare.ct_report import account_lines
    from gluon_liver.report.figures.lettering import lettering
    from gluon_liver.report.tables.table import columns_wide

    prepare_cache(args)
    names = "phases", "reference", "every_slice", "dense", "batch_size", "explain", "shape", "dicom"
    options = chosen(args, *names)
    options.update(formats=formats, score_threshold=args.score, choice=choice)
    result = detect_study(run, args.study, args.out, **options)
    for line in account_lines(result["read"], whole="; see lesions.json") if "read" in result else []:
        print(line)
    for phase, count in result["absent_slices"].items():
        print(f"note: {phase} is absent in {count} of {result['slices']} slices: the network reads air there")
    print(f"{result['slices']} slices, {len(result['lesions'])} lesions at score {args.score} and above")
    widest = max([11, *(columns_wide(lesion["class"]) for lesion in result["lesions"])])
    for lesion in result["lesions"]:
        size, space = lesion["size_mm"], " " * (widest - columns_wide(lesion["class"]))
        print(
            f"  {lesion['class']}{space} {lesion['score']:.2f}  {size['in_plane']:5.1f} mm in plane, "
            f"{size['through_plane']:5.1f} mm through, slices {lesion['first_slice']} to {lesion['last_slice']}"
        )
    if not result["lesions"]:
        print(_nothing_found(result["below_threshold"], run.config.network.head.score_threshold))
    interpolated = {*result.get("source", {}).get("interpolated_slices", [])}
    doubtful = sum(box["slice"] in interpolated for lesion in result["lesions"] for box in lesion["boxes"])
    if doubtful:
        print(f"  note: {doubtful} box(es) lie on slices that the import interpolated: no scanner saw them")
    if not result["lesions"] and any(name.startswith("dicom") for name in formats):
        print("  note: no lesion, so no DICOM object: neither a report nor a segmentation can be empty")
    if result.get("emptied_tags"):
        tags = ", ".join(result["emptied_tags"])
        print(f"  note: the images have no value of DICOM in {tags}: left empty in the report and the segmentation")
    for entry in result.get("explain", []):
        name = entry["file"] or f"figure {entry['figure']}"
        print(f"  {name}: {entry['note']}")
    for note in lettering(result["classes"]).notes(result["classes"]):
        print(f"note: in the pictures {note}")
    print(f"written: {args.out}")
    return 0


def _check_study(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` for what is no study, before MXNet is imported."""
    if not args.study.is_dir():
        raise InputError(f"{args.study} is a file; give the folder that holds the DICOM files, or DATA/studies/CASE")
    if (args.study / "dataset.json").is_file():
        raise InputError(f"{args.study} is prepared data: give one of its studies, {args.study}/studies/CASE")
    if (args.study / "study.json").is_file() and args.phases is not None:
        raise InputError("--phases is for a folder of DICOM files; prepared data have their phases already")


def _nothing_found(below: Mapping[str, Any], least: float) -> str:
    """What to do where no box reaches the score. least: the lowest score of which the network gives boxes."""
    if not below["boxes"]:
        return f"  the network gave no box at all, not even at {least:g}, the lowest score that it keeps"
    likeliest = max(math.floor(below["highest_score"] * 20) / 20, least)
    boxes = f"{below['boxes']} boxes lie below it, the highest at {below['highest_score']:.2f}"
    return f"  {boxes}: --score {likeliest:g} shows the likeliest, --score {least:g} all, with another --out"
