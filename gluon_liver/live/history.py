"""The last pictures of a stream, kept in memory within a bound."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Deque, Dict, NamedTuple, Optional

MOST_FRAMES = 1000
MOST_BYTES = 128 * 2**20


class Kept(NamedTuple):
    """One picture. serial: 0 for the first of the stream, rising by 1. jpeg: the file. arrived: when the frame came, by
    time.monotonic(). about: what the page says of it, plain values."""

    serial: int
    jpeg: bytes
    arrived: float
    about: Dict[str, Any]

    def told(self) -> Dict[str, Any]:
        """What goes to the page with the picture; ``age_ms``: since the frame arrived."""
        age = 1000 * (time.monotonic() - self.arrived)
        return {**self.about, "serial": self.serial, "age_ms": round(age, 1)}


class History:
    """The last pictures, as many as both bounds let stay, and always the newest; for several threads."""

    def __init__(self, most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES):
        self._most_frames, self._most_bytes = most_frames, most_bytes
        self._kept: Deque[Kept] = deque()
        self._next, self._bytes, self._lock = 0, 0, threading.Lock()

    def add(self, jpeg: bytes, arrived: float, about: Dict[str, Any]) -> Kept:
        """Keep a picture, and let the oldest ones go that are too many."""
        with self._lock:
            kept = Kept(self._next, jpeg, arrived, about)
            self._kept.append(kept)
            self._next, self._bytes = self._next + 1, self._bytes + len(jpeg)
            while len(self._kept) > max(1, self._most_frames) or (
                len(self._kept) > 1 and self._bytes > self._most_bytes
            ):
                self._bytes -= len(self._kept.popleft().jpeg)
            return kept

    def get(self, serial: int) -> Optional[Kept]:
        """The picture of this serial number; None where it is not kept any more, or not there yet."""
        with self._lock:
            place = serial - (self._next - len(self._kept))
            return self._kept[place] if 0 <= place < len(self._kept) else None

    def newest(self) -> Optional[Kept]:
        """The last picture; None before the first."""
        with self._lock:
            return self._kept[-1] if self._kept else None

    def state(self) -> Dict[str, int]:
        """``oldest`` and ``newest`` serial number (-1 before the first), and the ``bytes`` that all pictures take."""
        with self._lock:
            return {"oldest": self._next - len(self._kept), "newest": self._next - 1, "bytes": self._bytes}
