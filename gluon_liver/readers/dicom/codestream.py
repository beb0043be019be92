"""What compressed pictures in DICOM files say of their own size: decoders make room by it, whatever the header says."""

from __future__ import annotations

import struct
from typing import Iterator, Optional, Tuple

from gluon_liver.errors import PixelDataError

ITEM = b"\xfe\xff\x00\xe0"
JPEG_2000, JPEG = b"\xff\x4f\xff\x51", b"\xff\xd8"
# start of frame in ITU-T T.81 B.2.2 and T.87 C.2.2; C4, C8 and CC are other things
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def check_pictures(data: bytes, frames: int, rows: int, columns: int, name: str) -> None:
    """Raise :class:`PixelDataError` where encapsulated ``data`` hold fewer pictures than ``frames``, or larger ones.

    A picture may be cut into several fragments, of which the first tells its size.
    """
    count = 0
    for fragment in fragments(data):
        count += 1
        size = picture_size(fragment)
        if size is not None and size != (rows, columns):
            says = f"a compressed picture is {size[0]} rows of {size[1]}, the header announces {rows} of {columns}"
            raise PixelDataError(f"{name}: {says}")
    if count - 1 < frames:  # the first item is a table of places
        raise PixelDataError(f"{name} announces {frames} frames; its pixel data are {max(count - 1, 0)} piece(s)")


def fragments(data: bytes) -> Iterator[memoryview]:
    """The items of encapsulated pixel data (PS3.5 A.4), the table of places first."""
    view, place = memoryview(data), 0
    while place + 8 <= len(view) and view[place : place + 4] == ITEM:
        (length,) = struct.unpack("<I", view[place + 4 : place + 8])
        yield view[place + 8 : place + 8 + length]
        place += 8 + length


def picture_size(code: memoryview) -> Optional[Tuple[int, int]]:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 codestream; None for others, and where it does not say."""
    if code[:4] == JPEG_2000 and len(code) >= 24:
        right, bottom, left, top = struct.unpack(">4I", code[8:24])
        return bottom - top, right - left
    place = 2
    while code[:2] == JPEG and place + 9 <= len(code) and code[place] == 0xFF:
        if code[place + 1] in FRAME_MARKERS:
            rows, columns = struct.unpack(">2H", code[place + 5 : place + 9])
            return (rows, columns) if rows else None  # 0: a marker behind the pixels tells them
        place += 1 if code[place + 1] == 0xFF else 2 + struct.unpack(">H", code[place + 2 : place + 4])[0]
    return None
