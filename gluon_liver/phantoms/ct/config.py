"""What a set of CT phantoms looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional, Tuple

from gluon_liver.files.typed import Limit, Rules, at_least, each, limited, multiple_of, within
from gluon_liver.phantoms.options import Pair, PhantomOptions, rising

CLASSES = ("cyst", "hemangioma", "hcc")
AMBIGUOUS_LARGEST_MM = 25.0
FRACTION = within(0, 1)
DIAMETER = rising(8.0, 80.0)
BY_CLASS = Limit(
    lambda limits: len(limits) == 6 and all(DIAMETER.holds(limits[k : k + 2]) for k in (0, 2, 4)),
    "six numbers, each pair of them " + DIAMETER.wanted,
)
ODDS = Limit(
    lambda odds: len(odds) == 3 and min(odds) >= 0.0 and sum(odds) > 0.0, "three numbers, none below 0 and not all 0"
)


@dataclass(frozen=True)
class CTPhantomConfig(PhantomOptions):
    """Options of ``make_ct_study``. A pair is a range of which each patient or study draws one value.

    matrix: rows and columns of an image (pixels); the field of view follows the body, about 330 to 400 mm.
    slices: slices of a series. spacing_mm: distances between slices to choose from; a patient keeps one.
    lesions: lesions of a patient who has any. diameter_mm: of the lesions, the same for all classes.
    diameter_mm_by_class: instead, smallest and largest of cysts, of hemangiomas and of HCCs, as in Table 1 of the CT
    paper; size then tells something of the class.
    class_weights: odds of cyst, hemangioma, HCC. one_class_fraction: share of patients whose lesions are all of one
    class; Table 1 of the CT paper counts every patient under one class.
    background_fraction: share of patients without a lesion. two_study_fraction: share of patients with two
    studies (same anatomy, lesions 0 to 15 % smaller, other noise, other breath positions).
    ambiguous_fraction: share of the hemangiomas and HCCs that are, without contrast medium and in the arterial
    phase, alike in shape, texture and CT numbers (flash filling): only the delayed phase tells them apart. The
    same share of each class is 25 mm at most, or of its smallest size where that is larger.
    breathing_mm: largest displacement of the organs along z between the arterial and another phase; 0.4 of it
    towards the back or front, 0.3 sideways. Prolonged breath holds alone move the liver by up to 5.6 mm (Khot
    et al., Br J Radiol 2020).
    noise_sd_hu: SD of the noise. noise_at_mm: the slice thickness that it is the SD of; thinner slices collect fewer
    photons, so their SD is sqrt(noise_at_mm / thickness) times as large. None: of every thickness.
    steep_vessels: tubes through the liver along z. steep_vessel_mm: None makes them veins of 4.4 to 9.2 mm; given, they
    carry sections of lesions of these mean diameters through all slices (see :mod:`.steep`).
    irregularity: 0 makes all lesions spheres. subslices: thin planes averaged to a slice.
    min_box_pixels: a lesion that covers fewer pixels of a slice by half or more gets no box there.
    padding_fraction: share of studies whose corners outside the reconstruction circle hold PixelPaddingValue.
    """

    later: ClassVar[Tuple[str, ...]] = ("diameter_mm_by_class", "noise_at_mm", "steep_vessel_mm")

    matrix: int = limited(256, multiple_of(8) & within(32, 1024))
    slices: Tuple[int, int] = limited((20, 24), rising(5, 400))
    spacing_mm: Tuple[float, ...] = limited((2.5, 3.0, 4.0, 5.0, 6.0), each(within(0.5, 10), least=1))
    lesions: Tuple[int, int] = limited((1, 4), rising(1, 20))
    diameter_mm: Pair = limited((8.0, 60.0), DIAMETER)
    diameter_mm_by_class: Optional[Tuple[float, float, float, float, float, float]] = limited(None, BY_CLASS)
    class_weights: Tuple[float, float, float] = limited((1.0, 1.0, 1.0), ODDS)
    one_class_fraction: float = limited(0.0, FRACTION)
    background_fraction: float = limited(0.15, FRACTION)
    two_study_fraction: float = limited(0.2, FRACTION)
    ambiguous_fraction: float = limited(0.0, FRACTION)
    breathing_mm: float = limited(6.0, within(0, 20))
    noise_sd_hu: Pair = limited((8.0, 14.0), rising(0.0, 100.0))
    noise_at_mm: Optional[float] = limited(None, within(0.5, 10))
    steep_vessels: Tuple[int, int] = limited((4, 8), rising(0, 50))
    steep_vessel_mm: Optional[Pair] = limited(None, rising(4.0, 60.0))
    irregularity: float = limited(1.0, within(0, 2))
    subslices: int = limited(3, within(1, 9))
    min_box_pixels: int = limited(4, at_least(1))
    padding_fraction: float = limited(0.25, FRACTION)

    def diameters_of(self, label: str) -> Pair:
        """Smallest and largest lesion of a class in mm."""
        if self.diameter_mm_by_class is None:
            return self.diameter_mm
        first = 2 * CLASSES.index(label)
        return self.diameter_mm_by_class[first], self.diameter_mm_by_class[first + 1]

    def diameter(self, label: str, ambiguous: bool, share: float) -> float:
        """mm of a lesion that lies at ``share`` of its class's range on a logarithmic scale."""
        smallest, largest = self.diameters_of(label)
        if ambiguous:
            largest = max(smallest, min(largest, AMBIGUOUS_LARGEST_MM))
        return float(smallest * (largest / smallest) ** share)

    def rules(self) -> Rules:
        sizes = [self.diameters_of(label) for label in CLASSES]
        height = min(self.spacing_mm) * self.slices[0]
        needed = 2.0 * (self.breathing_mm + min(self.spacing_mm)) + 1.5 * min(low for low, _ in sizes)
        yield "slices", height >= needed, f"enough to span {needed:.0f} mm at the smallest spacing"
        largest = max(high for _, high in sizes)
        narrow = self.steep_vessel_mm is None or self.steep_vessel_mm[0] < largest
        yield "steep_vessel_mm", narrow, f"a range that begins below the largest lesion, {largest:g} mm"
