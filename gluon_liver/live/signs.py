"""What frames of a stream tell beside their pictures: how fast they come, another scene, a still picture."""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional, Tuple

import numpy as np

from gluon_liver.structures.arrays import Array

RATE_OVER = 100  # frames that the rate is measured over
OTHER_RATE = 1.5  # times as fast or slow: a stream that does so has changed its rate
STEADY = 1.2  # times that one half of those takes longer than the other, or less: not in between two rates
LEAP_SECONDS = 1.0  # by which a stream's clock goes back, or on before the time that has passed: another scene
STILL_SECONDS = 3.0  # with the same picture, after which a stream whose size cannot be seen is opened again


class Pace:
    """Frames a second as they come.

    Attributes: rate, None until a few are there; it outlasts :meth:`begin`.
    """

    def __init__(self) -> None:
        self.rate: Optional[float] = None
        self._came: Deque[float] = deque(maxlen=RATE_OVER)
        self._usual: Optional[float] = None  # the rate that was told last

    def begin(self) -> None:
        """Another connection: its frames are not measured together with those before it."""
        self._came.clear()

    def frame(self, now: float) -> Optional[str]:
        """A frame came; in words where the stream has changed its rate."""
        self._came.append(now)
        if len(self._came) <= 5:
            return None
        self.rate = rate = (len(self._came) - 1) / max(now - self._came[0], 1e-9)
        if len(self._came) < RATE_OVER:
            return None
        middle = self._came[RATE_OVER // 2]
        steady = STEADY > (middle - self._came[0]) / max(now - middle, 1e-9) > 1 / STEADY
        usual = self._usual = self._usual or rate
        if not steady or usual / OTHER_RATE < rate < usual * OTHER_RATE:
            return None
        self._usual = rate
        return f"the stream changed from {usual:.2g} to {rate:.2g} frames a second"


class Clock:
    """A connection's own clock beside ours."""

    def __init__(self) -> None:
        self._before: Optional[Tuple[float, float]] = None  # the stream's, and when that was

    def read(self, clock: Optional[float], now: float) -> Optional[str]:
        """``clock``: seconds of the stream, None where it has no clock. In words where it goes back or leaps on."""
        if clock is None:
            return None
        before, self._before = self._before, (clock, now)
        if before is None:
            return None
        told, passed = clock - before[0], now - before[1]
        if -LEAP_SECONDS <= told <= passed + LEAP_SECONDS:
            return None
        way = "went back" if told < 0 else "leapt on"
        return f"the stream's clock {way}: no frame before it was compared with"


class StillPicture:
    """How long a picture has stood still."""

    def __init__(self) -> None:
        self._picture: Optional[Array] = None
        self._since = 0.0

    def seconds(self, pixels: Array, now: float) -> Optional[float]:
        """Since ``pixels`` came first; None for another picture than the last one."""
        if self._picture is not None and np.array_equal(self._picture, pixels):
            return now - self._since
        self._picture, self._since = pixels, now
        return None
