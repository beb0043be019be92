"""One recording as a sequence of frames, whatever it is stored as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Iterator, List, Optional, Tuple

import numpy as np

from gluon_liver.errors import InputError

Box = Tuple[int, int, int, int]


@dataclass
class FrameSource:
    """One recording; iterating over it decodes it anew and yields frames cropped to ``region``.

    kind: "video", "dicom" or "folder". height, width: of the whole frame. region: (x1, y1, x2, y2) of the picture in
    the whole frame, x2 and y2 exclusive. own_region: the file itself tells the region (DICOM alone can).
    whole_frames: a function that yields whole frames. identity, patient_id: patient data, to be hashed with a salt
    and never shown; patient_id is "" where the recording tells none. phantom: the file says that it shows one.
    notes: what a user should know; reading to the end may add to it. frames_per_second: None where the recording does
    not tell.
    """

    kind: str
    height: int
    width: int
    region: Box
    whole_frames: Callable[[], Iterator[np.ndarray]]
    identity: str
    own_region: bool = False
    patient_id: str = ""
    phantom: bool = False
    notes: List[str] = field(default_factory=list)
    frames_per_second: Optional[float] = None

    def __iter__(self) -> Iterator[np.ndarray]:
        x1, y1, x2, y2 = self.region
        try:
            for frame in self.whole_frames():
                yield frame[y1:y2, x1:x2]
        except OSError as error:
            raise InputError(f"a recording cannot be read: {error.strerror or error}") from error


MAX_SIDE = 4096


MAX_RATE = 240.0  # frames a second; more is the clock of a container


def check_region(region: Box, height: int, width: int, where: str) -> Box:
    """The region itself. Raises InputError unless it has area and lies inside a frame of height x width."""
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise InputError(f"{where} {x1} {y1} {x2} {y2} is no box inside its frames of {width}x{height} pixels")
    return region


def plausible_rate(frames_per_second: float) -> Optional[float]:
    """The rate itself, None unless it is above 0 and at most MAX_RATE."""
    return frames_per_second if 0 < frames_per_second <= MAX_RATE else None
