"""What ``watch`` reads: recordings at their own pace, cameras and streams of the network as they are now."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple, Type, Union

import cv2

from gluon_liver.errors import InputError
from gluon_liver.inference.ahead import ahead
from gluon_liver.inference.frame_step import every_nth
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import (
    Box,
    FrameSource,
    StreamFrame,
    check_region,
    plausible_rate,
)

from .address import OPEN_SECONDS, Address, is_recording, read_address, why_no_video
from .capture import StreamCapture
from .newest import READ_SECONDS, NewestFrame

Tell = Callable[[str], None]
MOST_DIGITS = 4  # of a camera's number


@dataclass
class Source:
    """What is watched, one of ``recording`` and ``live``; a with statement ends its reading.

    name: as it is shown, without secrets. every: only every so-many-th frame is given.
    """

    name: str
    every: int
    recording: Optional[FrameSource] = None
    live: Optional[NewestFrame] = None

    @property
    def rate(self) -> Optional[float]:
        """Frames a second of the source, before ``every``; None where it is not known."""
        if self.live is not None:
            return self.live.rate
        return self.recording.frames_per_second if self.recording is not None else None

    @property
    def notes(self) -> List[str]:
        """What a user should know, once all was read."""
        if self.live is not None:
            return self.live.counts.said()
        return self.recording.notes if self.recording is not None else []

    def frames(self, restart: Callable[[], None], *, pace: Optional[float] = None) -> Iterator[StreamFrame]:
        """All frames of a recording, no more than ``pace`` a second, or the newest one of a live source each time.

        restart: called before a frame that has none before it.
        """
        if self.live is not None:
            return self.live.frames(restart)
        assert self.recording is not None
        return paced(ahead(every_nth(self.recording.numbered(), self.every)), pace)

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self.live is not None:
            self.live.close()


def paced(frames: Iterable[Tuple[int, Array]], rate: Optional[float]) -> Iterator[StreamFrame]:
    """Frames behind their numbers, which arrive when they are asked for, no more than ``rate`` a second."""
    due = time.monotonic()
    for number, pixels in frames:
        if rate is not None:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic()) + 1 / rate
        yield StreamFrame(number, pixels, time.monotonic())


def open_source(
    text: str, *, every: int = 1, region: Optional[Box] = None, one_size: bool = False, tell: Tell = print
) -> Source:
    """What SOURCE of the command line names: an address, a camera's number, or else the path of a recording.

    See :class:`NewestFrame` for what else is given. Raises :class:`InputError` where it gives no picture.
    """
    address = read_address(text)
    if address is not None:
        opened = open_address(address, every=every, region=region, one_size=one_size, tell=tell)
        if isinstance(opened, NewestFrame):
            return Source(str(address), every, live=opened)
        return Source(str(address), every, recording=opened)
    if re.fullmatch("[0-9]+", text) and not Path(text).exists():
        if len(text) > MOST_DIGITS:
            raise InputError(f"camera {text}: no machine has so many; cameras count from 0")
        live = open_camera(int(text), every=every, region=region, one_size=one_size)
        return Source(f"camera {text}", every, live=live)
    return Source(Path(text).name, every, recording=_read(text, region))


def _read(source: str, region: Optional[Box]) -> FrameSource:
    from gluon_liver.readers.frames import read_frames

    recording = read_frames(source, region=region, whole_frame=region is None, text_stays=True, name=source)
    if region is not None and recording.own_region:
        own = " ".join(str(edge) for edge in recording.region)
        shown = f"{source} tells its own tissue region, {own}, which is what is shown"
        raise InputError(f"--region: {shown}; leave --region out")
    return recording


def open_address(
    address: Address, *, every: int = 1, region: Optional[Box] = None, one_size: bool = False, tell: Tell = print
) -> Union[FrameSource, NewestFrame]:
    """A stream of the network, or a recording that a web server has, which is read whole and in order.

    See :class:`NewestFrame` for what is given. Raises :class:`InputError` that says why there is no video.
    """
    capture = open_capture(address)
    announced = _announced(capture)
    if address.scheme.startswith("http") and (announced or is_recording(address)):
        return _recording(address, capture, announced, region)
    shape = _first_shape(capture, str(address))
    check_region(region, width=shape[1], height=shape[0], name=str(address))
    return NewestFrame(
        capture,
        open_again=lambda: open_capture(address, explain=False),  # nobody reads it, and Ctrl-C waits for it
        every=every,
        region=region,
        one_size=one_size,
        announced=announced,
        tell=lambda text: tell(f"{address}: {text}"),
    )


def open_camera(index: int, *, every: int = 1, region: Optional[Box] = None, one_size: bool = False) -> NewestFrame:
    """A camera of this machine, by its number. Raises :class:`InputError` where it gives no picture."""
    name = f"camera {index}"
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        capture.release()
        raise InputError(f"{name} cannot be opened: is it plugged in, may you read /dev/video{index}, and is it free?")
    camera = StreamCapture(capture, of_network=False, name=name)
    shape = _first_shape(camera, name)
    check_region(region, width=shape[1], height=shape[0], name=name)
    return NewestFrame(camera, every=every, region=region, one_size=one_size)


def open_capture(address: Address, *, explain: bool = True) -> StreamCapture:
    """The stream of an address, before its first frame.

    Raises :class:`InputError` where there is none; ``explain``: it says why, for which the server is asked once more.
    """
    # what FFmpeg and OpenCV write themselves has addresses in it, and with them passwords
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # the other way round, as OpenCV does it, packets get lost where there is UDP, and pictures are damaged
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_flags;prefer_tcp")
    cv2.setLogLevel(0)
    options = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: int(1000 * OPEN_SECONDS),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: int(1000 * READ_SECONDS),
        cv2.CAP_PROP_N_THREADS: 1,  # several decode several frames at once, and give each that much later
    }
    listed: List[int] = [number for pair in options.items() for number in pair]
    capture = cv2.VideoCapture(address.url, cv2.CAP_FFMPEG, listed)
    if not capture.isOpened():
        capture.release()
        raise InputError(f"{address} cannot be opened{': ' + why_no_video(address) if explain else ''}")
    return StreamCapture(capture, of_network=True, name=str(address))


def _announced(capture: StreamCapture) -> int:
    """How many frames there are by the header, 0 where it says nothing that can be."""
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(frames) if 1 <= frames < 1e9 else 0


def _first_shape(capture: StreamCapture, name: str) -> Tuple[int, ...]:
    """Of a first frame, which is waited for."""
    end = time.monotonic() + READ_SECONDS
    try:
        while capture.grab():
            there, frame = capture.retrieve()
            if there and frame is not None:
                return tuple(frame.shape)
            if time.monotonic() > end:
                break
    except InputError:
        capture.release()
        raise
    capture.release()
    raise InputError(f"{name} can be opened, but gives no picture within {READ_SECONDS:g} s")


def _recording(address: Address, capture: StreamCapture, announced: int, region: Optional[Box]) -> FrameSource:
    """A recording that is read as it comes over the network."""
    rate, notes = plausible_rate(capture.get(cv2.CAP_PROP_FPS)), []
    if capture.blind:
        notes.append(f"a change of the frame size inside the video cannot be seen in its codec ({capture.codec})")
    height, width = _first_shape(capture, str(address))[:2]
    capture.release()
    check_region(region, width=width, height=height, name=str(address))

    def whole_frames() -> Iterator[Array]:
        damaged: List[int] = []
        again = open_capture(address)
        try:
            for number in count():
                if not again.grab():
                    source.notes.extend(_ended(number, announced, damaged))
                    return
                frame = again.retrieve()[1]
                if frame is None:
                    damaged.append(number)
                    continue
                if frame.shape[:2] != (height, width):
                    raise InputError(f"{address}, frame {number} has another size than the first")
                yield frame[..., ::-1]
        finally:
            again.release()

    source = FrameSource("video", height, width, region or (0, 0, width, height), whole_frames, "")
    source.frames_per_second, source.notes = rate, notes
    return source


def _ended(came: int, announced: int, damaged: Sequence[int]) -> List[str]:
    """What is to be told where a recording of the network ends. announced: how many frames it has, 0: not known."""
    notes = []
    if damaged:
        first = f"the first is frame {damaged[0]}, counted from 0"
        notes.append(f"{len(damaged)} of {came} frames cannot be decoded, and were left out ({first})")
    if came < announced:
        notes.append(f"{came} of about {announced} frames came: the connection broke, or the header is wrong")
    if not announced:
        notes.append(f"{came} frames came; the recording does not say how many it has, so it may have broken off there")
    return notes
