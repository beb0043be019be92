"""A camera or a stream of the network: its newest frame, and what becomes of it when the connection breaks.

A thread reads every frame as it comes, so that none waits in a buffer; the detector takes the newest one.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, Iterator, List, Optional, Protocol, Sequence, Tuple

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import Box, StreamFrame

from .counts import Counts
from .signs import STILL_SECONDS, Clock, Pace, StillPicture

READ_SECONDS = 5.0  # without a frame, after which a stream is opened again
# seconds before each attempt to open a stream again, the last of which is the last one
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 30.0, 30.0)
SETTLES = 0.5  # seconds after opening in which frames that were kept for us come at once
STANDS = "the picture stands still, also after opening again: the sender may have stopped it"


class Capture(Protocol):
    """What an opened stream does: see :class:`gluon_liver.live.capture.StreamCapture`."""

    codec: str
    blind: bool

    def grab(self) -> bool:
        """Wait for the next frame; whether there is one."""

    def retrieve(self) -> Tuple[bool, Optional[Array]]:
        """Whether that frame can be decoded, and its pixels, uint8 (H, W, 3) BGR."""

    def clock(self) -> Optional[float]:
        """Seconds by the stream's own clock, None where it has none."""

    def release(self) -> None:
        """Close the stream."""


class NewestFrame:
    """The newest frame of a source that is opened already; a thread reads from the beginning.

    open_again: opens it once more, or raises :class:`InputError`; None for a source that ends where it breaks, as a
    camera does. every: only every so-many-th frame is given. region: that is cut out. one_size: what is made of the
    frames cannot change size, so the stream ends where they do. announced: how many frames the source says it has, 0
    where it says nothing. waits: seconds before each attempt, None for :data:`WAITS`. tell: is told of breaks.

    Attributes: counts; status, "live", "reconnecting" or "ended"; said, what that means here, "" while all is well.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        open_again: Optional[Callable[[], Capture]] = None,
        every: int = 1,
        region: Optional[Box] = None,
        one_size: bool = False,
        announced: int = 0,
        waits: Optional[Sequence[float]] = None,
        tell: Callable[[str], None] = lambda text: None,
    ):
        self.counts, self.status, self.said = Counts(), "live", ""
        self._open_again, self._every, self._region, self._one_size = open_again, every, region, one_size
        self._announced, self._waits, self._tell = announced, WAITS if waits is None else waits, tell
        self._pace, self._clock, self._still = Pace(), Clock(), StillPicture()
        self._asked = False  # whether the stream was opened again for the picture that stands still
        self._condition = threading.Condition()
        self._newest: Optional[Tuple[int, StreamFrame]] = None  # behind the number of its connection
        self._connection, self._number = 0, 0
        self._shape: Optional[Tuple[int, ...]] = None
        self._held: Optional[Tuple[int, ...]] = None  # another one, of the last picture alone
        self._grabbed: Optional[float] = None  # when the last frame came
        self._refused = ""  # why the last picture that was not taken was not
        self._dropped = 0  # since a frame was taken
        self._stopped = threading.Event()
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, args=(capture,), name="newest frame", daemon=True)
        self._thread.start()

    @property
    def rate(self) -> Optional[float]:
        """Frames a second as they come, before ``every``, to two digits; None until a few are there."""
        return None if self._pace.rate is None else round(self._pace.rate, 2)

    def wait_for_rate(self, seconds: float) -> None:
        """Wait until :attr:`rate` is known, or the source has ended, so many seconds at most."""
        with self._condition:
            self._condition.wait_for(lambda: self._pace.rate is not None or self.status == "ended", seconds)

    def frames(self, restart: Callable[[], None]) -> Iterator[StreamFrame]:
        """The newest frame each time, until the source ends. ``restart`` is called before the first one of another
        connection: it has no frame before it.

        Raises what went wrong in reading.
        """
        with self._condition:
            self._dropped = 0  # what came before anybody looked is not missing
        connection = 0
        while True:
            taken = self._take()
            if taken is None:
                return
            if taken[0] != connection:
                connection = taken[0]
                restart()
            yield taken[1]

    def close(self) -> None:
        """End the reading, within :data:`READ_SECONDS`, or what opening takes where the source is opened again; the
        thread must not outlive the program's libraries."""
        self._stopped.set()
        self._thread.join()

    def _take(self) -> Optional[Tuple[int, StreamFrame]]:
        with self._condition:
            while self._newest is None and self.status != "ended":
                self._condition.wait(0.5)  # a wait without end would not notice Ctrl-C everywhere
            if self._newest is None:
                if self._error is not None:
                    raise self._error
                return None
            connection, frame = self._newest
            self._newest = None
            self.counts.dropped += self._dropped
            frame, self._dropped = frame._replace(dropped=self._dropped), 0
            return connection, frame

    def _run(self, capture: Capture) -> None:
        try:
            while True:
                try:
                    why = self._read(capture)
                    self.counts.damaged += self._held is not None
                    self._held = None
                finally:
                    capture.release()
                again = None if self._stopped.is_set() else self._reconnect(why)
                if again is None:
                    return
                capture = again
        except BaseException as error:  # raised where frames are asked for
            self._error = error
        finally:
            self._change("ended", self.said)

    def _read(self, capture: Capture) -> str:
        """Offer frames until there are no more; why that is."""
        opened = time.monotonic()
        bad: List[float] = []  # when pictures came, since a good one, that cannot be taken
        count, self._clock = 0, Clock()
        while not self._stopped.is_set():
            asked = time.monotonic()
            if not capture.grab():
                took = time.monotonic() - asked
                if took >= 0.9 * READ_SECONDS:
                    return f"no frame came for {took:.0f} s"
                if self._announced and count >= 0.9 * self._announced:
                    return ""
                return "the stream was closed"
            count, now = count + 1, time.monotonic()
            self._grabbed = now
            if now - opened >= SETTLES:
                self._note(self._pace.frame(now))
                with self._condition:
                    self._condition.notify_all()  # the rate may be known now
            if self._note(self._clock.read(capture.clock(), now)):
                self._connection += 1  # another scene
            if self._number % self._every == 0:
                pixels = self._retrieved(capture)
                if pixels is not None:
                    bad.clear()
                    if capture.blind and self._stands_still(pixels, now):
                        return f"the picture has stood still for {STILL_SECONDS:g} s, as it does where its size changes"
                    if not self._offer(pixels, now):
                        return ""
                else:
                    self.counts.damaged += 1
                    bad.append(now)
                    late = len(bad) > 1 and now - bad[0] >= READ_SECONDS
                    if late and not self._refused:
                        return f"no frame could be decoded for {READ_SECONDS:g} s"
                    if late:
                        self.counts.notes.append(f"{self._refused}, for {READ_SECONDS:g} s: the stream ends there")
                        return ""
            self._number += 1
        return ""

    def _retrieved(self, capture: Capture) -> Optional[Array]:
        """The picture of the frame that was grabbed, None where it cannot be taken.

        One that is refused, as too large, may be a damaged one: only where all that follow are is it the stream.
        """
        self._refused = ""
        try:
            good, pixels = capture.retrieve()
        except InputError as error:
            self._refused = str(error)
            return None
        return pixels if good else None

    def _note(self, changed: Optional[str]) -> bool:
        """Count what changed in the stream; whether anything did."""
        if changed is not None:
            self.counts.changes[changed] += 1
        return changed is not None

    def _stands_still(self, pixels: Array, now: float) -> bool:
        """Whether to open the stream again: it is done once for a picture that stays."""
        stands = self._still.seconds(pixels, now)
        if stands is None:
            if self._asked and self.said == STANDS:
                self._change("live", "")
            self._asked = False
            return False
        if stands < STILL_SECONDS:
            return False
        if self._asked and self.said != STANDS:
            self._change("live", STANDS)
        again, self._asked = not self._asked, True
        return again

    def _offer(self, pixels: Array, now: float) -> bool:
        """Whether the stream goes on.

        A picture of another size is held back until the next one has it too: its header may be damaged.
        """
        if self._shape not in (None, pixels.shape) and self._held != pixels.shape:
            self.counts.damaged += self._held is not None
            self._held = pixels.shape
            return True
        if self._held is not None and self._held != pixels.shape:
            self.counts.damaged += 1
        elif self._held is not None:  # the one that was held back was no damaged one
            self._dropped += 1
        self._held = None
        if self._shape is not None and self._shape != pixels.shape:
            sizes = " to ".join(f"{shape[1]}x{shape[0]}" for shape in (self._shape, pixels.shape))
            what = f"the frames changed from {sizes} pixels"
            if self._one_size or self._region is not None:
                ends = "the video ends there" if self._one_size else "--region was of the old ones, so the stream ends"
                self.counts.notes.append(f"{what}: {ends}")
                return False
            self.counts.changes[what] += 1
            self._connection += 1
        self._shape = pixels.shape
        x1, y1, x2, y2 = self._region or (0, 0, pixels.shape[1], pixels.shape[0])
        with self._condition:
            self._dropped += self._newest is not None
            self._newest = self._connection, StreamFrame(self._number, pixels[y1:y2, x1:x2, ::-1], now)
            self._condition.notify_all()
        return True

    def _reconnect(self, why: str) -> Optional[Capture]:
        """The source opened again; None where it has ended."""
        if self._open_again is None and why:
            self.counts.notes.append(f"{why}: it ends there")
        if self._open_again is None or not why:
            return None
        lost = self._grabbed if self._grabbed is not None else time.monotonic()
        self._tell(f"{why}; connecting again")
        for attempt, wait in enumerate(self._waits, 1):
            self._change("reconnecting", f"{why}; attempt {attempt} of {len(self._waits)} to connect again")
            if self._stopped.wait(wait):
                return None
            try:
                capture = self._open_again()
            except InputError:
                continue
            gap = time.monotonic() - lost
            rate, self.counts.reconnects = self._pace.rate, self.counts.reconnects + 1
            missed, self.counts.unmeasured = round(gap * (rate or 0)), self.counts.unmeasured + (rate is None)
            self.counts.missed += missed
            self._connection += 1
            self._pace.begin()
            self._change("live", "")
            said = "an unknown number of" if rate is None else f"about {missed}"
            self._tell(f"connected again after {gap:.1f} s, {said} frames missed")
            return capture
        self.counts.notes.append(f"{why}, and {len(self._waits)} attempts to connect again failed")
        return None

    def _change(self, status: str, said: str) -> None:
        with self._condition:
            self.status, self.said = status, said
            self._condition.notify_all()
