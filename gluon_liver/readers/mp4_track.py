"""What the header of an MP4 or QuickTime file says of its first video track and OpenCV does not tell."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Dict, Iterator, List, Optional, Tuple

import numpy as np

# boxes of ISO/IEC 14496-12 that hold the ones that matter here
PARENTS = (b"moov", b"trak", b"mdia", b"edts", b"minf", b"stbl")
WANTED = (b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"elst", b"stts", b"ctts")
_MOST = 1 << 24  # bytes of a box that is read
_MOST_SAMPLES = 1 << 20  # of a track: eleven hours
_Table = List[Tuple[int, ...]]


class VideoTrack:
    """The boxes of the first video track by their kinds, none for other files."""

    def __init__(self, path: Path):
        self._boxes: Dict[bytes, bytes] = {}
        with path.open("rb") as stream:
            for kind, start, end in _walk(stream, 0, path.stat().st_size):
                if kind == b"trak":
                    if self.is_video:
                        break
                    self._boxes = {key: content for key, content in self._boxes.items() if key == b"mvhd"}
                elif kind in WANTED and kind not in self._boxes and end - start <= _MOST:
                    stream.seek(start)
                    self._boxes[kind] = stream.read(end - start)
        if not self.is_video:
            self._boxes = {}

    @property
    def is_video(self) -> bool:
        return self._boxes.get(b"hdlr", b"")[8:12] == b"vide"

    @property
    def mirrors(self) -> bool:
        """Whether the matrix of the track mirrors the picture."""
        content = self._boxes.get(b"tkhd", b"")
        place = 52 if content[:1] == b"\1" else 40  # version 1 has longer times and duration
        if len(content) < place + 36:
            return False
        matrix = struct.unpack(">9i", content[place : place + 36])
        return bool(matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0)

    @property
    def shown(self) -> Optional[Tuple[int, int]]:
        """How many coded frames the edit list shows, and of how many; None where the header does not tell."""
        edits = self._table(b"elst", ">Ii4x", ">Qq4x")
        scales = [self._time_scale(kind) for kind in (b"mvhd", b"mdhd")]
        times = np.cumsum([0] + _spread(self._table(b"stts", ">II")))
        offsets = _spread(self._table(b"ctts", ">Ii"))
        if not edits or not all(scales) or len(times) < 2:
            return None
        times = times[:-1] + np.array(offsets) if len(offsets) == len(times) - 1 else times[:-1]
        count = 0
        for duration, start in edits:
            end = start + duration * scales[1] / scales[0] if duration else np.inf
            count += int(((times >= start) & (times < end)).sum()) if start >= 0 else 0
        return count, len(times)

    def _table(self, kind: bytes, *formats: str) -> _Table:
        """The entries of a table, in the format of its version."""
        content = self._boxes.get(kind, b"")
        form = struct.Struct(formats[min(content[0], len(formats) - 1)] if content else formats[0])
        count = min(struct.unpack(">I", content[4:8])[0], (len(content) - 8) // form.size) if len(content) >= 8 else 0
        return list(form.iter_unpack(content[8 : 8 + count * form.size]))

    def _time_scale(self, kind: bytes) -> int:
        content = self._boxes.get(kind, b"")
        place = 20 if content[:1] == b"\1" else 12
        return int.from_bytes(content[place : place + 4], "big")


def _spread(table: _Table) -> List[int]:
    """(count, value) of each entry -> the values one by one."""
    counts = np.array([count for count, _ in table], np.int64)
    if len(counts) > _MOST_SAMPLES or not 0 <= counts.sum() <= _MOST_SAMPLES:
        return []
    return [int(value) for value in np.repeat([value for _, value in table], counts)]


def _walk(stream: BinaryIO, start: int, end: int) -> Iterator[Tuple[bytes, int, int]]:
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
            yield from _walk(stream, start + header, start + length)
        start += length
