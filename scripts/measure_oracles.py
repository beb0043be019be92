"""What one slice, nine slices, one phase, one frame and two frames of phantoms tell a learner that is good at it.

    python scripts/measure_oracles.py [--studies 16] [--scenes 80] [--only ct | us]

Prints tables for docs/phantoms.md: areas under the ROC curve on studies that the learner did not see (0.5: it cannot
tell; 1: it always can), with standard errors over studies. About a quarter of an hour on one thread. Phantom results:
they say what a network could learn from phantoms, and nothing about patients.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.us.config import USPhantomConfig
from scripts.oracles import ct, us

VEINS = CTPhantomConfig(
    matrix=192,
    lesions=(1, 3),
    diameter_mm=(16.0, 50.0),
    min_box_pixels=24,
    ambiguous_fraction=0.5,
    steep_vessels=(8, 14),
)
TUBES = CTPhantomConfig(
    matrix=192,
    slices=(40, 40),
    spacing_mm=(1.0,),
    subslices=1,
    lesions=(2, 4),
    diameter_mm=(8.0, 25.0),
    min_box_pixels=12,
    ambiguous_fraction=0.3,
    noise_sd_hu=(4.0, 7.0),
    noise_at_mm=5.0,
    steep_vessels=(4, 6),
    steep_vessel_mm=(6.0, 25.0),
)
PHASES = CTPhantomConfig(
    matrix=192,
    slices=(20, 20),
    spacing_mm=(2.5,),
    subslices=1,
    lesions=(4, 4),
    diameter_mm=(10.0, 25.0),
    class_weights=(0.0, 1.0, 1.0),
    steep_vessels=(0, 0),
)
BY_CLASS = (8.0, 20.0, 8.0, 25.0, 20.0, 50.0)
STILL = {"in_plane_mm": 0.0, "elevation_mm": 0.0, "turn_deg": 0.0}
FAST = {"in_plane_mm": 24.0, "period_frames": (4.0, 6.0)}


def shown(area: Tuple[float, float]) -> str:
    return f"{area[0]:.2f} (SE {area[1]:.2f})"


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def tables_ct(studies: int) -> None:
    row("lesion or vessel: sections of", "lesions / vessels", "one slice", "nine slices")
    row(*["---"] * 4)
    for name, config in (("the veins so far", VEINS), ("`steep_vessel_mm` 6 25", TUBES)):
        found = ct.spots(config, studies, every=1 if config is VEINS else 2)
        for low, high in ((0.0, 99.0),) if config is VEINS else ((6.0, 25.0), (6.0, 12.0), (12.0, 18.0)):
            (lesions, vessels), one, nine = ct.tubes_area(found, (low, high))
            limits = "" if config is VEINS else f", {low:g} to {high:g} mm"
            row(name + limits, f"{lesions} / {vessels}", shown(one), shown(nine))
    print()
    row("hemangioma or HCC: `ambiguous_fraction`", "non-contrast", "arterial", "delayed")
    row(*["---"] * 4)
    for share in (0.0, 0.9):
        found = ct.spots(replace(PHASES, ambiguous_fraction=share), 2 * studies)
        row(share, *(shown(ct.classes_area(found, phase)) for phase in ("non_contrast", "arterial", "delayed")))
    print()
    row(
        "from the diameter alone", "one range", "`diameter_mm_by_class` " + " ".join(f"{value:g}" for value in BY_CLASS)
    )
    row(*["---"] * 3)
    one, ranges = (CTPhantomConfig(background_fraction=0.0, diameter_mm_by_class=sizes) for sizes in (None, BY_CLASS))
    for label, other in (("hcc", "hemangioma"), ("hcc", "cyst"), ("hemangioma", "cyst")):
        row(f"{label} or {other}", *(shown(ct.size_area(config, label, other)) for config in (one, ranges)))


def tables_us(scenes: int) -> None:
    settings: Dict[str, USPhantomConfig] = {"defaults": USPhantomConfig(size=192)}
    for name, motion in (("still", STILL), ("fast", FAST)):
        settings[name] = USPhantomConfig(size=192, hidden_fraction=0.5, decorrelation=0.3, **motion)
    row("motion", "cells a frame, median", "nine tenths below", "correlation of successive frames")
    row(*["---"] * 4)
    for name, config in settings.items():
        middle, most, alike = us.motion(config, scenes // 4)
        row(name, f"{middle:.2f}", f"{most:.2f}", f"{alike:.2f}")
    print()
    row("does this place hold a tumor?", "tumors", *us.VIEWS)
    row(*["---"] * (2 + len(us.VIEWS)))
    for name in ("still", "fast"):
        found = us.places(settings[name], scenes)
        for hidden in (False, True):
            areas = [us.places_area(found, view, hidden=hidden) for view in us.VIEWS]
            row(f"{name}, tumor {'hidden' if hidden else 'seen'}", areas[0][0], *(shown(area) for _, area in areas))
        changed = us.traces(settings[name], scenes // 8)
        print(f"{name}: without the tumor {changed[True]:.0%} of pixels differ where hidden, {changed[False]:.0%} else")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=16, help="CT studies of a setting (default 16)")
    parser.add_argument("--scenes", type=int, default=80, help="ultrasound scenes of a setting (default 80)")
    parser.add_argument("--only", choices=("ct", "us"), help="one of the two kinds of phantoms")
    args = parser.parse_args()
    if args.only != "us":
        tables_ct(args.studies)
    if args.only != "ct":
        print()
        tables_us(args.scenes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
