"""A stream of frames, annotated as it comes: boxes, the flow picture beside them, frames a second."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterable, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import whole_path
from gluon_liver.files.output_folder import check_new
from gluon_liver.readers.video_writer import check_written, open_writer
from gluon_liver.report.figures.flow_picture import flow_picture
from gluon_liver.report.figures.us_drawing import draw_us
from gluon_liver.structures.frame_source import StreamFrame
from gluon_liver.system.interrupts import late_interrupts

from .ahead import MOST_WAITING, Behind
from .stream import StreamDetector, StreamResult

SMALLEST_SIDE = 320  # of a frame as written: smaller ones are enlarged so that labels can be read
SPEED_OVER = 20  # frames that the shown frames a second are averaged over


class Annotated(NamedTuple):
    """A frame, what was found in it, the picture of both (H, W, 3) RGB, and the seconds that detection took."""

    frame: StreamFrame
    result: StreamResult
    picture: np.ndarray
    seconds: float


class Watched(NamedTuple):
    """What became of a stream: frames annotated, seconds that detection took of one on average, whether it was
    interrupted, how many pictures of the video repeat the one before them, in place of dropped frames, and whether
    ``show`` ended it."""

    frames: int
    seconds_per_frame: float
    interrupted: bool
    repeated: int
    closed: bool


def watch(
    frames: Iterable[StreamFrame],
    stream: StreamDetector,
    out: Optional[Path],
    *,
    frames_per_second: float,
    score_threshold: float = 0.5,
    show: Optional[Callable[[np.ndarray], bool]] = None,
    publish: Optional[Callable[[Annotated], None]] = None,
) -> Watched:
    """Annotate frames into the video file ``out``, where one is wanted, which appears when the stream has ended.

    Pictures are drawn and written beside the detection in the frames that follow. In place of a dropped frame the
    video repeats the picture before, so that it is as long as the stream. Ctrl-C ends the stream; what was detected
    until then is kept. ``show`` takes each picture (RGB) and says whether to go on; ``publish`` takes all that is known
    of a frame, in another thread. Raises :class:`InputError` when there is no frame, or the video cannot be written,
    KeyboardInterrupt where Ctrl-C came before the first one.
    """
    if out is not None:
        check_new(out, what="name")
        if out.suffix.lower() != ".mp4":
            raise InputError(f"--out {out}: the annotated video is written as .mp4")
    interrupted = closed = False
    seconds: List[float] = []
    with ExitStack() as files:
        partial = None if out is None else files.enter_context(whole_path(out, ending=".partial.mp4"))
        video = None if partial is None else VideoFile(partial, frames_per_second)
        pictures = Pictures(stream.classes, score_threshold, video, publish)
        try:
            # a picture that is waited for must not stand in a queue
            with Behind(MOST_WAITING if publish is None else 1) as behind:
                try:
                    for frame in frames:
                        start = time.monotonic()
                        with late_interrupts():
                            result = stream.detect(frame.pixels, frame.number)
                        seconds.append(time.monotonic() - start)
                        work = frame, result, seconds[-1], 1 / max(float(np.mean(seconds[-SPEED_OVER:])), 1e-9)
                        if show is None:
                            behind.submit(pictures.add, *work)
                        elif not show(pictures.add(*work)):
                            closed = True
                            break
                except KeyboardInterrupt:
                    interrupted = True  # what waits to be drawn is
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if video is not None:
                video.release()
        if pictures.count == 0:
            raise KeyboardInterrupt if interrupted else InputError("the recording has no frame")
        if partial is not None and video is not None:
            check_written(partial, video.count, name=str(out))
    # the first frame plans the graphs
    timed = seconds[1:] or seconds
    repeated = 0 if video is None else video.count - pictures.count
    return Watched(pictures.count, sum(timed) / len(timed), interrupted, repeated, closed)


class VideoFile:
    """Pictures of one size written to a video; after a failure none any more."""

    def __init__(self, path: Path, frames_per_second: float):
        self.count = 0  # pictures written
        self._path, self._rate = path, frames_per_second
        self._writer: Optional[cv2.VideoWriter] = None
        self._last: Optional[np.ndarray] = None
        self._failed = False

    def add(self, picture: np.ndarray, dropped: int) -> bool:
        """Write a picture (H, W, 3) RGB, after the last one once more for each dropped frame; whether it was."""
        if self._failed:
            return False
        self._failed = True
        if self._writer is None:
            height, width = picture.shape[:2]
            self._writer = open_writer(self._path, width=width, height=height, frames_per_second=self._rate)
        if self._last is not None:
            for _ in range(dropped):
                self._writer.write(self._last)
                self.count += 1
        self._last = np.ascontiguousarray(picture[..., ::-1])
        self._writer.write(self._last)
        self.count, self._failed = self.count + 1, False
        return True

    def release(self) -> None:
        """Close the video."""
        if self._writer is not None:
            self._writer.release()


class Pictures:
    """Annotates frames, and gives them to a video and to ``publish``, where there are such."""

    def __init__(
        self,
        classes: Sequence[str],
        score_threshold: float,
        video: Optional[VideoFile],
        publish: Optional[Callable[[Annotated], None]],
    ):
        self.count = 0  # frames annotated and, where they are to be, written
        self._classes, self._score_threshold, self._video, self._publish = classes, score_threshold, video, publish

    def add(self, frame: StreamFrame, result: StreamResult, seconds: float, speed: float) -> np.ndarray:
        """The picture of a frame (see :func:`annotated`)."""
        picture = annotated(frame.pixels, result, self._classes, self._score_threshold, speed)
        if self._publish is not None:  # first: who looks on waits for it
            self._publish(Annotated(frame, result, picture, seconds))
        self.count += self._video is None or self._video.add(picture, frame.dropped)
        return picture


def annotated(frame: np.ndarray, result: StreamResult, classes, score_threshold: float, speed: float) -> np.ndarray:
    """The frame with its boxes and speed, and for us-flow the flow picture (Fig. 3) to its right; even sides."""
    scale = max(1, -(-SMALLEST_SIDE // max(frame.shape[:2])))
    picture = draw_us(frame, result.detections, classes, score_threshold=score_threshold, scale=scale, legend=False)
    height, width = picture.shape[:2]
    text, place, white = f"{speed:.1f} frames/s", (6, height - 8), (255, 255, 255)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, white, 1, cv2.LINE_AA)
    if result.flow is not None:
        flow = flow_picture(result.flow.transpose(2, 0, 1))
        picture = np.hstack([picture, cv2.resize(flow, (width, height), interpolation=cv2.INTER_NEAREST)])
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
