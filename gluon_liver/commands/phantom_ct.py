"""Write three-phase CT phantoms of the liver as DICOM series with COCO labels.

DIR/dicom holds the studies, DIR/labels.json the boxes, DIR/phantom.json the truth about every lesion. Prepare
them with `python -m gluon_liver import ct DIR/dicom --labels DIR/labels.json --out DATA`. Results on them are
phantom results.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``phantom ct``."""
    from gluon_liver.phantoms.ct.config import CTPhantomConfig

    default = CTPhantomConfig()

    def pair(name: str, kind, unit: str) -> None:
        low, high = getattr(default, name)
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            nargs=2,
            metavar=("LOW", "HIGH"),
            default=(low, high),
            help=f"range of {unit} (default {low} {high})",
        )

    def number(name: str, kind, text: str) -> None:
        value = getattr(default, name)
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=value, help=f"{text} (default {value})")

    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that this command wrote before")
    parser.add_argument("--studies", type=int, default=64, help="how many studies (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="same seed and options: same files (default 0)")
    parser.add_argument("--jobs", type=int, help="processes (default: usable cores)")
    number("matrix", int, "rows and columns of an image")
    pair("slices", int, "slices of a series")
    parser.add_argument(
        "--spacing-mm",
        type=float,
        nargs="+",
        metavar="MM",
        default=default.spacing_mm,
        help="distances between slices to choose from",
    )
    pair("lesions", int, "lesions of a patient who has any")
    pair("diameter_mm", float, "lesion diameters in mm")
    number("one_class_fraction", float, "share of patients whose lesions are all of one class")
    number("background_fraction", float, "share of patients without a lesion")
    number("two_study_fraction", float, "share of patients with two studies")
    number("ambiguous_fraction", float, "share of hemangiomas and HCCs that only the delayed phase tells apart")
    number("min_box_pixels", int, "pixels of a slice that a lesion must cover to get a box")
    number("breathing_mm", float, "largest displacement of the organs between phases in mm")
    pair("noise_sd_hu", float, "noise SD in HU")
    pair("steep_vessels", int, "additional vessels that cross the slices steeply")


def run(args: argparse.Namespace) -> int:
    """Write the phantoms and print what was written."""
    from gluon_liver.phantoms.ct.config import CTPhantomConfig
    from gluon_liver.phantoms.ct.folder import write_ct_phantoms

    config = CTPhantomConfig(
        matrix=args.matrix,
        slices=tuple(args.slices),
        spacing_mm=tuple(args.spacing_mm),
        lesions=tuple(args.lesions),
        diameter_mm=tuple(args.diameter_mm),
        one_class_fraction=args.one_class_fraction,
        background_fraction=args.background_fraction,
        two_study_fraction=args.two_study_fraction,
        ambiguous_fraction=args.ambiguous_fraction,
        min_box_pixels=args.min_box_pixels,
        breathing_mm=args.breathing_mm,
        noise_sd_hu=tuple(args.noise_sd_hu),
        steep_vessels=tuple(args.steep_vessels),
    )
    counts = write_ct_phantoms(
        args.out,
        config=config,
        studies=args.studies,
        seed=args.seed,
        jobs=args.jobs,
        overwrite=args.overwrite,
    )
    lesions = ", ".join(f"{count} {name}" for name, count in counts["lesions"].items())
    print(f"{counts['studies']} studies of {counts['patients']} patients, {counts['images']} images: {args.out}")
    print(f"lesions: {lesions}; {counts['boxes']} boxes on all phases")
    return 0
