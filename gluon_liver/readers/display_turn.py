"""How a player turns the stored frames of a video before it shows them.

Phones and some capture boxes store frames as the sensor has them and write a turn into the header. Label tools show the
turned picture, OpenCV's FFmpeg gives the stored one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import Array

from .mp4_track import VideoTrack

QUARTERS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Turn(NamedTuple):
    """First top and bottom change places where ``mirrored``, then the frame turns by ``degrees`` clockwise."""

    degrees: int
    mirrored: bool

    def __call__(self, frame: Array) -> Array:
        """A stored frame (H, W, ...) as it is to be shown; after 90 and 270 degrees height and width change places."""
        if self.mirrored:
            frame = cv2.flip(frame, 0)
        return cv2.rotate(frame, QUARTERS[self.degrees]) if self.degrees else frame

    @property
    def note(self) -> str:
        """What was done to the frames, "" for nothing."""
        what = [f"turned by {self.degrees} degrees clockwise"] * bool(self.degrees)
        what = ["mirrored top to bottom"] * self.mirrored + what
        return f"frames were {' and '.join(what)}, as the header of the video wants it shown" if what else ""


def read_turn(capture: cv2.VideoCapture, path: Path, name: str) -> Turn:
    """What the header of an opened video says. Raises :class:`InputError` for other angles than quarter turns."""
    degrees = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    if degrees % 90:
        raise InputError(
            f"{name}: its header turns it by {degrees} degrees, and frames can be turned by quarters only; write the "
            "turn into the frames with a video tool"
        )
    return Turn(degrees, VideoTrack(path).mirrors)
