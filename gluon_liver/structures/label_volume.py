"""Lesions drawn as a mask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Mapping

import numpy as np

from .arrays import Array
from .geometry import Geometry


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """A mask on its own grid, which may be turned against the patient and against the images.

    geometry: of the mask as its file has it; its axes are at right angles, in any order and direction.
    labels: unsigned integers (z, y, x), 0 where nothing is marked.
    names: what the file itself says that values are (segment labels, folder names); empty where it says nothing.
    sparse: planes that are not there are empty and not unknown, as in a DICOM SEG, which may leave them out.
    """

    geometry: Geometry
    labels: Array
    names: Dict[int, str] = field(default_factory=dict)
    sparse: bool = False

    def recoded(self, codes: Mapping[int, int]) -> LabelVolume:
        """The mask with other values; those that have no code become 0."""
        small = max(codes.values(), default=0) <= np.iinfo(np.uint8).max
        table = np.zeros(int(np.iinfo(self.labels.dtype).max) + 1, np.uint8 if small else np.uint16)
        for value, code in codes.items():
            table[value] = code
        labels = np.zeros(self.labels.shape, table.dtype)
        for z, plane in enumerate(self.labels):  # an index of NumPy takes eight bytes a voxel
            labels[z] = table[plane]
        names = {codes[value]: name for value, name in self.names.items() if value in codes}
        return replace(self, labels=labels, names=names)
