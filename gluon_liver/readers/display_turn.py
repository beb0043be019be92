"""How a player turns the stored frames of a video before it shows them.

Phones and some capture boxes store frames as the sensor has them and write a turn into the header. Label tools show the
turned picture, OpenCV's FFmpeg gives the stored one.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Iterator, NamedTuple, Tuple

import cv2

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import Array

QUARTERS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
PARENTS = (b"moov", b"trak", b"mdia")  # boxes of ISO/IEC 14496-12 that hold the ones that matter here


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
    return Turn(degrees, _mirrored(path))


def _mirrored(path: Path) -> bool:
    """Whether the matrix of the first video track of an MP4 or QuickTime file mirrors (OpenCV tells angles alone)."""
    matrix: Tuple[int, ...] = ()
    with path.open("rb") as stream:
        content = b""
        for kind, start, end in _boxes(stream, 0, path.stat().st_size):
            if kind == b"tkhd":
                stream.seek(start)
                content = stream.read(min(end - start, 96))
            elif kind == b"hdlr":
                stream.seek(start + 8)
                if stream.read(4) == b"vide" and content:
                    # version 1 has longer times and duration
                    place = 52 if content[0] == 1 else 40
                    if len(content) >= place + 36:
                        matrix = struct.unpack(">9i", content[place : place + 36])
                    break
    return bool(matrix) and matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0


def _boxes(stream: BinaryIO, start: int, end: int) -> Iterator[Tuple[bytes, int, int]]:
    """(kind, start, end) of the content of each box, after a parent of those in it; nothing of other files."""
    while start + 8 <= end:
        stream.seek(start)
        head = stream.read(16)
        length, kind, header = struct.unpack(">I", head[:4])[0], head[4:8], 8
        if length == 1 and len(head) == 16:
            length, header = struct.unpack(">Q", head[8:])[0], 16
        length = length or end - start
        if length < header or start + length > end or not kind.isalnum():
            return
        yield kind, start + header, start + length
        if kind in PARENTS:
            yield from _boxes(stream, start + header, start + length)
        start += length
