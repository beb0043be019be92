"""Whether the values of a volume are the HU of a body that lies the right way up, looked at as its slices pass."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Collection, Dict, Optional, Tuple

import numpy as np

from gluon_liver.errors import VolumeError
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

WINDOWED, INTERCEPT, UPSIDE_DOWN = CHECKS = ("windowed", "intercept", "upside-down")
EVERY = 4  # rows and columns between pixels that are counted
MOST_AIR_HU = -500  # that air around a patient or in bowels lies below
TISSUE_HU = (-200, 300)  # fat, muscle and organs, with contrast or without
LEAST_TISSUE = 0.05  # share of all voxels
LUNG_HU = (-930, -600)
LEAST_LUNG, MOST_OTHER_LUNG = 0.08, 0.02  # shares of the slices at an end with lungs, and at the other
LEAST_SLICES = 10  # below which nothing is said of the ends


@dataclass
class _Seen:
    """What the slices that passed hold. tissue, pixels: counted. lung: share of each slice by its place."""

    lowest: int = np.iinfo(np.int16).max
    highest: int = np.iinfo(np.int16).min
    tissue: int = 0
    pixels: int = 0
    lung: Dict[int, float] = field(default_factory=dict)

    def add(self, place: int, plane: Array) -> None:
        self.lowest, self.highest = min(self.lowest, int(plane.min())), max(self.highest, int(plane.max()))
        some = plane[::EVERY, ::EVERY]
        self.tissue += _count(some, TISSUE_HU)
        self.pixels += some.size
        self.lung[place] = _count(some, LUNG_HU) / some.size

    def fault(self) -> Optional[Tuple[str, str]]:
        """(which of :data:`CHECKS`, what is wrong), None where nothing is."""
        values = f"its values run from {self.lowest} to {self.highest}"
        if self.lowest >= 0 and self.highest <= 255:
            return WINDOWED, f"{values}: a picture of 8 bits, windowed already, and no HU"
        if self.lowest >= 0 and self.highest > 1000:
            return INTERCEPT, f"{values}: the air of HU lies at -1000, so the intercept (mostly -1024) is missing"
        if self.lowest > MOST_AIR_HU:
            return WINDOWED, f"{values}: no air is there, so it was windowed already, or an organ was cut out"
        if self.tissue < LEAST_TISSUE * self.pixels:
            share = f"only {100 * self.tissue / self.pixels:.1f} % of its voxels lie between {TISSUE_HU[0]}"
            what = f"{share} and {TISSUE_HU[1]} HU, where soft tissue is"
            return INTERCEPT, f"{what}: its intercept or slope is wrong"
        return self._upside_down()

    def _upside_down(self) -> Optional[Tuple[str, str]]:
        if len(self.lung) < LEAST_SLICES:
            return None
        shares = np.array([self.lung[place] for place in sorted(self.lung)])
        end = len(shares) // 5
        low, high = float(shares[:end].mean()), float(shares[-end:].mean())
        if low < LEAST_LUNG or high > MOST_OTHER_LUNG:
            return None
        what = f"{100 * low:.0f} % of its lowest slices looks like lung and {100 * high:.0f} % of its highest"
        return UPSIDE_DOWN, f"{what}: its z axis seems to run the wrong way"


def checked(stack: VolumeStack, accepted: Collection[str] = ()) -> VolumeStack:
    """The same stack, whose decoding raises :class:`VolumeError` at its end where its values are no HU of a body.

    accepted: of :data:`CHECKS`, what is known of the volume and taken as it is.
    """

    def decode(put: PutPlane) -> None:
        seen = _Seen()

        def see(place: int, plane: Array) -> None:
            seen.add(place, plane)
            put(place, plane)

        stack.decode(see)
        fault = seen.fault()
        if fault is not None and fault[0] not in accepted:
            raise VolumeError(f"{fault[1]}; --accept {fault[0]} takes such volumes as they are")

    return replace(stack, decode=decode)


def _count(values: Array, bounds: Tuple[int, int]) -> int:
    return int(((values >= bounds[0]) & (values <= bounds[1])).sum())
