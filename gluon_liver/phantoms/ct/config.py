"""What a set of CT phantoms looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from gluon_liver.phantoms.options import PhantomOptions

Pair = Tuple[float, float]


@dataclass(frozen=True)
class CTPhantomConfig(PhantomOptions):
    """Options of :func:`make_ct_study`. A pair is a range of which each patient or study draws one value.

    matrix: rows and columns of an image (pixels); the field of view follows the body, about 330 to 400 mm.
    slices: slices of a series. spacing_mm: distances between slices to choose from; a patient keeps one.
    lesions: lesions of a patient who has any. diameter_mm: of the lesions, the same for all classes.
    class_weights: odds of cyst, hemangioma, HCC. one_class_fraction: share of patients whose lesions are all of one
    class; Table 1 of the CT paper counts every patient under one class.
    background_fraction: share of patients without a lesion. two_study_fraction: share of patients with two
    studies (same anatomy, lesions 0 to 15 % smaller, other noise, other breath positions).
    ambiguous_fraction: share of the hemangiomas and HCCs that are 8 to 25 mm and, without contrast medium and
    in the arterial phase, alike in shape, texture and CT numbers (flash filling): only the delayed phase
    tells them apart.
    breathing_mm: largest displacement of the organs along z between the arterial and another phase; 0.4 of it
    towards the back or front, 0.3 sideways. Prolonged breath holds alone move the liver by up to 5.6 mm (Khot
    et al., Br J Radiol 2020).
    noise_sd_hu: SD of the noise. steep_vessels: tubes through the liver along z. irregularity: 0 makes
    all lesions spheres. subslices: thin planes averaged to a slice.
    min_box_pixels: a lesion that covers fewer pixels of a slice by half or more gets no box there.
    padding_fraction: share of studies whose corners outside the reconstruction circle hold PixelPaddingValue.
    """

    matrix: int = 256
    slices: Tuple[int, int] = (20, 24)
    spacing_mm: Tuple[float, ...] = (2.5, 3.0, 4.0, 5.0, 6.0)
    lesions: Tuple[int, int] = (1, 4)
    diameter_mm: Pair = (8.0, 60.0)
    class_weights: Tuple[float, float, float] = (1.0, 1.0, 1.0)
    one_class_fraction: float = 0.0
    background_fraction: float = 0.15
    two_study_fraction: float = 0.2
    ambiguous_fraction: float = 0.0
    breathing_mm: float = 6.0
    noise_sd_hu: Pair = (8.0, 14.0)
    steep_vessels: Tuple[int, int] = (4, 8)
    irregularity: float = 1.0
    subslices: int = 3
    min_box_pixels: int = 4
    padding_fraction: float = 0.25

    def __post_init__(self) -> None:
        """Raises ConfigError that names the option, its value and what it must be."""
        self._require_fractions(
            "one_class_fraction",
            "background_fraction",
            "two_study_fraction",
            "ambiguous_fraction",
            "padding_fraction",
        )
        self._require_ranges(
            {
                "slices": (5, 400),
                "lesions": (1, 20),
                "diameter_mm": (8.0, 80.0),
                "noise_sd_hu": (0.0, 100.0),
                "steep_vessels": (0, 50),
            }
        )
        self._require("matrix", 32 <= self.matrix <= 1024 and self.matrix % 8 == 0, "a multiple of 8 from 32 to 1024")
        spaced = bool(self.spacing_mm) and all(0.5 <= value <= 10.0 for value in self.spacing_mm)
        self._require("spacing_mm", spaced, "one or more distances from 0.5 to 10 mm")
        weighed = len(self.class_weights) == 3 and min(self.class_weights) >= 0.0 and sum(self.class_weights) > 0.0
        self._require("class_weights", weighed, "three numbers, none below 0 and not all 0")
        self._require_between({"breathing_mm": (0, 20)}, " mm")
        self._require_between({"irregularity": (0, 2), "subslices": (1, 9)})
        self._require("min_box_pixels", self.min_box_pixels >= 1, "1 or more")
        height = min(self.spacing_mm) * self.slices[0]
        needed = 2.0 * (self.breathing_mm + min(self.spacing_mm)) + 1.5 * self.diameter_mm[0]
        self._require("slices", height >= needed, f"enough to span {needed:.0f} mm at the smallest spacing")
