"""What the header of a DICOM file says of its CT slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from gluon_liver.errors import DicomError

from .rules import Drop
from .tags import BitLayout


@dataclass(frozen=True)
class Timing:
    """What tells the acquisitions of a series apart; None where the header does not say.

    acquisition: AcquisitionNumber. temporal_position: TemporalPositionIdentifier (of a frame: TemporalPositionIndex).
    instance: InstanceNumber. settings: SliceThickness, ConvolutionKernel and KVP as they stand there.
    acquisition_time, content_time: seconds, with the date where the header has one, so only differences mean anything.
    """

    acquisition: Optional[int] = None
    temporal_position: Optional[int] = None
    acquisition_time: Optional[float] = None
    content_time: Optional[float] = None
    instance: Optional[int] = None
    settings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class SliceHeader:
    """What one slice's header says.

    frame: its place from 0 in a multi-frame file, None for a single image.
    position: (x, y, z) mm of the centre of the first pixel.
    orientation: six cosines, row direction, then column direction.
    pixel_spacing: (dy, dx) mm, between rows and between columns.
    padding: lowest and highest stored value of padding, or None.
    image_type: words of ImageType, of a frame those of its FrameType.
    series: SeriesNumber, -1 where there is none, SeriesDescription and ContrastBolusAgent.
    kind, kind_reason: see :class:`~gluon_liver.readers.dicom.rules.Kind`; both "" for a plain image.
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
    image_type: Tuple[str, ...] = ()
    kind: str = ""
    kind_reason: str = ""
    timing: Timing = Timing()
    series: Tuple[int, str, str] = (-1, "", "")


@dataclass
class FileHeader:
    """One DICOM file: whose it is, its slices, what was dropped from it, and what is wrong with it.

    kind: that of its slices, which a file whose slices cannot be read has too. contrast: ContrastBolusAgent.
    position: of an unusable slice, where it says that it lies.
    burned_in: the file says that text is burned into its pixels.
    unit_unsaid: its RescaleType says neither HU nor another quantity that is known.
    surplus: bytes of padding after its pixels, beyond the one that makes their number even.
    """

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
    position: Optional[Tuple[float, ...]] = None
    phantom: bool = False
    kind: str = ""
    series_number: Optional[int] = None
    contrast: str = ""
    birth_date: str = ""
    sex: str = ""
    surplus: int = 0
    burned_in: bool = False
    unit_unsaid: bool = False

    @property
    def series(self) -> Tuple[int, str, str]:
        """See :class:`SliceHeader`."""
        return -1 if self.series_number is None else self.series_number, self.description, self.contrast

    def fail(self, error: DicomError) -> None:
        """Make the file unusable; where its first slice lies stays known."""
        self.defect, self.position, self.slices = error, self.slices[0].position, []
