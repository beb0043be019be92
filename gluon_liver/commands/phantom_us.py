"""Write ultrasound phantoms: sweeps of a convex probe through a liver with vessels and tumors.

DIR/dicom and DIR/video hold each scene as DICOM and as mp4, DIR/labels.json the boxes, DIR/flow the exact motion
between frames, DIR/us-phantom.json the truth. Prepare them with
`python -m gluon_liver import us DIR/dicom --labels DIR/labels.json --out DATA`. Results on them are phantom results.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``phantom us``."""
    from gluon_liver.phantoms.us.config import USPhantomConfig

    default = USPhantomConfig()

    def pair(name: str, kind, text: str) -> None:
        low, high = getattr(default, name)
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            nargs=2,
            metavar=("LOW", "HIGH"),
            default=(low, high),
            help=f"range of {text} (default {low} {high})",
        )

    def number(name: str, kind, text: str) -> None:
        value = getattr(default, name)
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=value, help=f"{text} (default {value})")

    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that this command wrote before")
    parser.add_argument("--scenes", type=int, default=30, help="how many sweeps (default 30)")
    parser.add_argument("--frames", type=int, default=12, help="frames of a sweep (default 12)")
    parser.add_argument("--seed", type=int, default=0, help="same seed and options: same files (default 0)")
    parser.add_argument("--jobs", type=int, help="processes (default: usable cores)")
    number("size", int, "side of a frame in pixels")
    number("scenes_per_patient", int, "sweeps through one liver")
    pair("tumors", int, "tumors of a patient who has any")
    pair("tumor_mm", float, "mean diameters of tumors in mm")
    number("background_fraction", float, "share of patients without a tumor")
    pair("vessels", int, "vessel trunks within reach")
    number("rib_fraction", float, "share of patients with a rib that casts a shadow")
    number("in_plane_mm", float, "largest motion within the picture between two frames, mm")
    number("elevation_mm", float, "largest motion across the picture between two frames, mm")
    number("turn_deg", float, "largest turn about each axis between two frames, degrees")
    number("min_box_pixels", int, "pixels that a cross-section must have to get a box")


def run(args: argparse.Namespace) -> int:
    """Write the phantoms and print what was written."""
    from gluon_liver.phantoms.us.config import USPhantomConfig
    from gluon_liver.phantoms.us.folder import write_us_phantoms

    config = USPhantomConfig(
        size=args.size,
        scenes_per_patient=args.scenes_per_patient,
        tumors=tuple(args.tumors),
        tumor_mm=tuple(args.tumor_mm),
        background_fraction=args.background_fraction,
        vessels=tuple(args.vessels),
        rib_fraction=args.rib_fraction,
        in_plane_mm=args.in_plane_mm,
        elevation_mm=args.elevation_mm,
        turn_deg=args.turn_deg,
        min_box_pixels=args.min_box_pixels,
    )
    counts = write_us_phantoms(
        args.out,
        config=config,
        scenes=args.scenes,
        frames=args.frames,
        seed=args.seed,
        jobs=args.jobs,
        overwrite=args.overwrite,
    )
    boxes = ", ".join(f"{count} {name}" for name, count in counts["boxes"].items())
    print(f"{counts['scenes']} scenes of {counts['patients']} patients, {counts['images']} frames: {args.out}")
    print(f"boxes: {boxes}")
    return 0
