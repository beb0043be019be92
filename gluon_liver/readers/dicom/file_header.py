"""What the header of a DICOM file says of its CT slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from gluon_liver.errors import DicomError

from .rules import Drop
from .tags import BitLayout


@dataclass(frozen=True)
class SliceHeader:
    """What one slice's header says.

    frame: its place from 0 in a multi-frame file, None for a single image.
    position: (x, y, z) mm of the centre of the first pixel.
    orientation: six cosines, row direction, then column direction.
    pixel_spacing: (dy, dx) mm, between rows and between columns.
    padding: lowest and highest stored value of padding, or None.
    pixel_offset: byte at which native pixel data start; None where pydicom has to find them (compressed, deflated).
    """

    file: int
    path: Path
    frame: Optional[int]
    frames: int
    sop_instance_uid: str
    frame_of_reference: str
    rows: int
    columns: int
    position: Tuple[float, ...]
    orientation: Tuple[float, ...]
    pixel_spacing: Tuple[float, ...]
    slope: float
    intercept: float
    layout: BitLayout
    padding: Optional[Tuple[int, int]]
    transfer_syntax: str
    pixel_offset: Optional[int]
    big_endian: bool


@dataclass
class FileHeader:
    """One DICOM file: whose it is, its slices, what was dropped from it, and what is wrong with it."""

    file: int
    path: Path
    patient_id: str
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    description: str
    slices: List[SliceHeader]
    dropped: Optional[Drop] = None
    dropped_images: int = 0
    defect: Optional[DicomError] = None
    phantom: bool = False
