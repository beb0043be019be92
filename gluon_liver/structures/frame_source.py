"""One recording as a sequence of frames, whatever it is stored as."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from gluon_liver.errors import InputError, why

from .arrays import Array

Box = Tuple[int, int, int, int]
MAX_SIDE = 4096  # pixels of a frame
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MAX_RATE = 240.0  # frames a second; more is the clock of a container


@dataclass
class FrameSource:
    """One recording; iterating over it decodes it anew and yields frames cropped to ``region``.

    A frame that cannot be read raises :class:`InputError` on the way.

    kind: "video", "dicom", "folder" of images, or "image", a recording of one frame.
    height, width: of the whole frame.
    region: (x1, y1, x2, y2) of the picture in the whole frame, x2 and y2 exclusive.
    whole_frames: yields whole frames, uint8 (height, width, 3) RGB.
    identity: patient data, to be hashed with a salt and never shown.
    own_region: the file itself tells the region (DICOM alone can); it is the largest of ``regions``.
    patient_id: patient data too; "" where the recording tells none.
    phantom: the file says that it shows one.
    notes: what a user should know; reading to the end may add to it.
    frames_per_second: None where the recording does not tell.
    region_words: where the region comes from, for the report, where that is neither the file nor what was given.
    burned_in: the file says that text is burned into its frames, or is a capture of a screen.
    numbers: rising numbers of its frames, where these are not those from 0 on: of files of a folder.
    """

    kind: str
    height: int
    width: int
    region: Box
    whole_frames: Callable[[], Iterator[Array]]
    identity: str
    own_region: bool = False
    patient_id: str = ""
    phantom: bool = False
    notes: List[str] = field(default_factory=list)
    frames_per_second: Optional[float] = None
    numbers: Optional[Sequence[int]] = None
    burned_in: bool = False
    regions: Sequence[Box] = ()
    region_words: str = ""

    def numbered(self) -> Iterator[Tuple[int, Array]]:
        """The frames as iterating gives them, each behind its number."""
        return zip(count() if self.numbers is None else self.numbers, self)

    def __iter__(self) -> Iterator[Array]:
        x1, y1, x2, y2 = self.region
        try:
            for frame in self.whole_frames():
                yield frame[y1:y2, x1:x2]
        except OSError as error:
            raise InputError(f"a recording cannot be read: {why(error)}") from error


class StreamFrame(NamedTuple):
    """One frame of a stream.

    number: above that of the frame before. pixels: uint8 (H, W, 3) RGB. arrived: when, by time.monotonic(). dropped:
    how many frames came after the one before that no detection sees, since it was still at work.
    """

    number: int
    pixels: Array
    arrived: float
    dropped: int = 0


def plausible_rate(frames_per_second: float) -> Optional[float]:
    """The rate itself, None unless it is above 0 and at most ``MAX_RATE``."""
    return frames_per_second if 0 < frames_per_second <= MAX_RATE else None


def check_region(region: Optional[Box], *, width: int, height: int, name: str) -> None:
    """Raise :class:`InputError` for a region that is no box inside frames of this size."""
    if region is None:
        return
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise InputError(f"{name}: --region {x1} {y1} {x2} {y2} is no box inside its frames of {width}x{height} pixels")
