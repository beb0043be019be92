"""Write ultrasound phantoms: sweeps of a convex probe through a liver with vessels and tumors.

DIR/dicom and DIR/video hold each scene as DICOM and as mp4, DIR/labels.json the boxes, DIR/flow the exact motion
between frames, DIR/us-phantom.json the truth. Prepare them with
`python -m gluon_liver import us DIR/dicom --labels DIR/labels.json --out DATA`. Results on them are phantom results.
"""

from __future__ import annotations

import argparse

from gluon_liver.phantoms.us.config import USPhantomConfig

from .options import add_phantom_arguments, phantom_options

EXAMPLES = (
    ("four short sweeps", "--out us-phantoms --scenes 4 --frames 4 --size 192"),
    ("what make demo-us writes", "--out demo-us/seed-1/phantoms --scenes 120 --frames 4 --size 192 --seed 1"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    counts = {"scenes": (30, "how many sweeps"), "frames": (12, "frames of a sweep")}
    texts = {
        "size": "side of a frame",
        "scenes_per_patient": "sweeps through one liver",
        "tumors": "tumors of a patient who has any",
        "tumor_mm": "mean diameters of tumors",
        "background_fraction": "share of patients without a tumor",
        "vessels": "vessel trunks within reach",
        "rib_fraction": "share of patients with a rib that casts a shadow",
        "in_plane_mm": "largest motion within the picture between two frames",
        "elevation_mm": "largest motion across the picture between two frames",
        "turn_deg": "largest turn about each axis between two frames",
        "period_frames": "frames in which the probe swings to and fro; short ones keep fast motion within the liver",
        "hidden_fraction": "share of frames after the first in which a tumor cannot be seen and keeps its box",
        "decorrelation": "share of the speckle that is new in each frame",
        "frame_contact_db": "SD of what the beams lose at the skin, new in each frame",
        "frame_shadow_fraction": "share of frames in which a band of beams, somewhere, has no contact",
        "min_box_pixels": "pixels that a cross-section must have to get a box",
    }
    add_phantom_arguments(parser, USPhantomConfig(), counts, texts)


def run(args: argparse.Namespace) -> int:
    """Write the phantoms and print what was written."""
    options = phantom_options(args, USPhantomConfig)
    from gluon_liver.phantoms.us.folder import write_us_phantoms

    counts = write_us_phantoms(args.out, scenes=args.scenes, frames=args.frames, **options)
    boxes = ", ".join(f"{count} {name}" for name, count in counts["boxes"].items())
    print(f"{counts['scenes']} scenes of {counts['patients']} patients, {counts['images']} frames: {args.out}")
    print(f"boxes: {boxes}")
    return 0
