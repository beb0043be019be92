"""Write three-phase CT phantoms of the liver as DICOM series with COCO labels.

DIR/dicom holds the studies, DIR/labels.json the boxes, DIR/phantom.json the truth about every lesion. Prepare
them with `python -m gluon_liver import ct DIR/dicom --labels DIR/labels.json --out DATA`. Results on them are
phantom results.
"""

from __future__ import annotations

import argparse

from gluon_liver.phantoms.ct.config import CTPhantomConfig

from .options import add_phantom_arguments, phantom_options

EXAMPLES = (
    ("eight studies, about a minute", "--out phantoms --studies 8"),
    (
        "what make demo writes",
        "--out demo/phantoms --studies 80 --seed 1 --lesions 1 3 --diameter-mm 18 60 --min-box-pixels 40 "
        "--one-class-fraction 0.8",
    ),
    ("no small lesions, and little noise", "--out easy --studies 8 --diameter-mm 18 60 --noise-sd-hu 4 6"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    texts = {
        "matrix": "rows and columns of an image",
        "slices": "slices of a series",
        "spacing_mm": "distances between slices to choose from",
        "lesions": "lesions of a patient who has any",
        "diameter_mm": "lesion diameters",
        "diameter_mm_by_class": "smallest and largest diameter of cysts, hemangiomas and HCCs (default: one range)",
        "one_class_fraction": "share of patients whose lesions are all of one class",
        "background_fraction": "share of patients without a lesion",
        "two_study_fraction": "share of patients with two studies",
        "ambiguous_fraction": "share of hemangiomas and HCCs that only the delayed phase tells apart",
        "min_box_pixels": "pixels of a slice that a lesion must cover to get a box",
        "breathing_mm": "largest displacement of the organs between phases",
        "noise_sd_hu": "noise SD",
        "noise_at_mm": "slice thickness that --noise-sd-hu is of; thinner slices are noisier (default: of every one)",
        "steep_vessels": "additional vessels that cross the slices steeply",
        "steep_vessel_mm": "diameters that make them look like lesions on one slice (default: veins of 4 to 9 mm)",
        "subslices": "thin planes that are averaged to a slice",
    }
    add_phantom_arguments(parser, CTPhantomConfig(), {"studies": (64, "how many studies")}, texts)


def run(args: argparse.Namespace) -> int:
    """Write the phantoms and print what was written."""
    options = phantom_options(args, CTPhantomConfig)
    from gluon_liver.phantoms.ct.folder import write_ct_phantoms

    counts = write_ct_phantoms(args.out, studies=args.studies, **options)
    lesions = ", ".join(f"{count} {name}" for name, count in counts["lesions"].items())
    print(f"{counts['studies']} studies of {counts['patients']} patients, {counts['images']} images: {args.out}")
    print(f"lesions: {lesions}; {counts['boxes']} boxes on all phases")
    return 0
