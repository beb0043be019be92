"""What a set of ultrasound phantoms looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from gluon_liver.phantoms.options import PhantomOptions

Pair = Tuple[float, float]


@dataclass(frozen=True)
class USPhantomConfig(PhantomOptions):
    """Options of :func:`make_us_scene`. A pair is a range of which each patient or scene draws one value.

    size: side of a frame in pixels; the fan fills its width, text stands above and below.
    depth_mm, radius_mm, half_angle_deg: of the convex probe's fan.
    tumors: of a patient who has any; tumor_mm: their mean diameters. background_fraction: share of patients without.
    vessels: trunks within reach of the sweep; each may branch. rib_fraction: share of patients with a rib.
    scenes_per_patient: sweeps through one liver.
    in_plane_mm, elevation_mm, turn_deg: largest change of the probe's pose between two frames: along each axis of the
    picture, across it, and about each of its three axes. 2.5 mm are 10 mm/s at the paper's 4 frames a second.
    slice_mm: SD of the slice profile across the picture. density: scatterers in a cubic mm; 0.5 makes about ten in a
    resolution cell, which is what speckle needs to be fully developed.
    dynamic_range_db: of the log compression. gain_db: brightness of the scene.
    contact_db: SD of what the beams lose at the skin; it varies smoothly across the probe.
    min_box_pixels: a cross-section of fewer pixels gets no box. min_box_depth_mm: nor one that lies nowhere deeper
    below the surface of its shape: the slice is thick, and what it only grazes cannot be seen.
    """

    size: int = 256
    depth_mm: Pair = (90.0, 125.0)
    radius_mm: Pair = (30.0, 50.0)
    half_angle_deg: Pair = (28.0, 36.0)
    tumors: Tuple[int, int] = (1, 2)
    tumor_mm: Pair = (12.0, 40.0)
    background_fraction: float = 0.1
    vessels: Tuple[int, int] = (8, 14)
    rib_fraction: float = 0.2
    scenes_per_patient: int = 1
    in_plane_mm: float = 2.5
    elevation_mm: float = 0.4
    turn_deg: float = 0.4
    slice_mm: float = 1.5
    density: float = 0.5
    dynamic_range_db: float = 60.0
    gain_db: Pair = (-4.0, 5.0)
    contact_db: float = 3.0
    min_box_pixels: int = 30
    min_box_depth_mm: float = 1.5

    def __post_init__(self) -> None:
        """Raises ConfigError that names the option, its value and what it must be."""
        self._require_ranges(
            {
                "depth_mm": (30.0, 200.0),
                "radius_mm": (5.0, 80.0),
                "half_angle_deg": (10.0, 45.0),
                "tumors": (1, 6),
                "tumor_mm": (5.0, 80.0),
                "vessels": (0, 40),
                "gain_db": (-30.0, 30.0),
            }
        )
        self._require_fractions("background_fraction", "rib_fraction")
        self._require_between(
            {
                "scenes_per_patient": (1, 1000),
                "in_plane_mm": (0.0, 10.0),
                "elevation_mm": (0.0, 5.0),
                "turn_deg": (0.0, 5.0),
                "slice_mm": (0.2, 5.0),
                "density": (0.01, 4.0),
                "dynamic_range_db": (20.0, 100.0),
                "contact_db": (0.0, 20.0),
                "min_box_pixels": (1, 10000),
                "min_box_depth_mm": (0.0, 10.0),
            }
        )
        self._require("size", 64 <= self.size <= 1024 and self.size % 8 == 0, "a multiple of 8 from 64 to 1024")
