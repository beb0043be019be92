"""What a set of ultrasound phantoms looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Tuple

from gluon_liver.files.typed import limited, multiple_of, within
from gluon_liver.phantoms.options import Pair, PhantomOptions, rising


@dataclass(frozen=True)
class USPhantomConfig(PhantomOptions):
    """Options of ``make_us_scene``. A pair is a range of which each patient or scene draws one value.

    size: side of a frame in pixels; the fan fills its width, text stands above and below.
    depth_mm, radius_mm, half_angle_deg: of the convex probe's fan.
    tumors: of a patient who has any; tumor_mm: their mean diameters. background_fraction: share of patients without.
    vessels: trunks within reach of the sweep; each may branch. rib_fraction: share of patients with a rib.
    scenes_per_patient: sweeps through one liver.
    in_plane_mm, elevation_mm, turn_deg: largest change of the probe's pose between two frames: along each axis of the
    picture, across it, and about each of its three axes. 2.5 mm are 10 mm/s at the paper's 4 frames a second.
    period_frames: of the swing of each coordinate. Where motion is fast, a short one keeps the sweep in the liver: it
    reaches in_plane_mm * period / 6.3 to either side.
    hidden_fraction: share of each tumor's frames after the first in which it cannot be seen, though it is there and
    keeps its box: its echo and attenuation are those of the liver around it. In the frame before it is seen, so at most
    every second frame hides it.
    decorrelation: share of the scatterers that are new in each frame; the rest stay with the tissue. Two frames of the
    same plane correlate with about (1 - decorrelation) squared.
    frame_contact_db: as contact_db, drawn anew for each frame on top of it.
    frame_shadow_fraction: share of the frames in which a band of beams loses contact, wherever it falls; what lies in
    it keeps its box.
    slice_mm: SD of the slice profile across the picture. density: scatterers in a cubic mm; 0.5 makes about ten in a
    resolution cell, which is what speckle needs to be fully developed.
    dynamic_range_db: of the log compression. gain_db: brightness of the scene.
    contact_db: SD of what the beams lose at the skin; it varies smoothly across the probe.
    min_box_pixels: a cross-section of fewer pixels gets no box. min_box_depth_mm: nor one that lies nowhere deeper
    below the surface of its shape: the slice is thick, and what it only grazes cannot be seen.
    """

    later: ClassVar[Tuple[str, ...]] = (
        "period_frames",
        "hidden_fraction",
        "decorrelation",
        "frame_contact_db",
        "frame_shadow_fraction",
    )

    size: int = limited(256, multiple_of(8) & within(64, 1024))
    depth_mm: Pair = limited((90.0, 125.0), rising(30.0, 200.0))
    radius_mm: Pair = limited((30.0, 50.0), rising(5.0, 80.0))
    half_angle_deg: Pair = limited((28.0, 36.0), rising(10.0, 45.0))
    tumors: Tuple[int, int] = limited((1, 2), rising(1, 6))
    tumor_mm: Pair = limited((12.0, 40.0), rising(5.0, 80.0))
    background_fraction: float = limited(0.1, within(0, 1))
    vessels: Tuple[int, int] = limited((8, 14), rising(0, 40))
    rib_fraction: float = limited(0.2, within(0, 1))
    scenes_per_patient: int = limited(1, within(1, 1000))
    in_plane_mm: float = limited(2.5, within(0, 60))
    elevation_mm: float = limited(0.4, within(0, 5))
    turn_deg: float = limited(0.4, within(0, 5))
    period_frames: Pair = limited((24.0, 70.0), rising(2.0, 1000.0))
    hidden_fraction: float = limited(0.0, within(0, 0.5))
    decorrelation: float = limited(0.0, within(0, 1))
    slice_mm: float = limited(1.5, within(0.2, 5))
    density: float = limited(0.5, within(0.01, 4))
    dynamic_range_db: float = limited(60.0, within(20, 100))
    gain_db: Pair = limited((-4.0, 5.0), rising(-30.0, 30.0))
    contact_db: float = limited(3.0, within(0, 20))
    frame_contact_db: float = limited(0.0, within(0, 20))
    frame_shadow_fraction: float = limited(0.0, within(0, 1))
    min_box_pixels: int = limited(30, within(1, 10000))
    min_box_depth_mm: float = limited(1.5, within(0, 10))
