"""Lesions drawn as a mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict

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
