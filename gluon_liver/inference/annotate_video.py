"""A stream of frames, annotated as it comes: boxes, the flow picture beside them, frames a second."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import whole_path
from gluon_liver.files.output_folder import check_new
from gluon_liver.readers.video_writer import check_written, open_writer
from gluon_liver.report.figures.flow_picture import flow_picture
from gluon_liver.report.figures.us_drawing import draw_us

from .ahead import Behind
from .stream import StreamDetector, StreamResult

SMALLEST_SIDE = 320  # of a frame as written: smaller ones are enlarged so that labels can be read
SPEED_OVER = 20  # frames that the shown frames a second are averaged over


class Watched(NamedTuple):
    """What became of a stream: frames annotated, seconds that detection took of one on average, whether it was
    interrupted."""

    frames: int
    seconds_per_frame: float
    interrupted: bool


def watch(
    frames: Iterable[Tuple[int, np.ndarray]],
    stream: StreamDetector,
    out: Path,
    *,
    frames_per_second: float,
    score_threshold: float = 0.5,
    show: Optional[Callable[[np.ndarray], bool]] = None,
) -> Watched:
    """Annotate frames, uint8 (H, W, 3) RGB behind their rising numbers, into the video file ``out``, which appears when
    the stream has ended.

    Pictures are drawn and written beside the detection in the frames that follow. Ctrl-C ends the stream; what was
    detected until then is kept. ``show`` takes each picture (RGB) and says whether to go on. Raises
    :class:`InputError` when there is no frame, or the video cannot be written.
    """
    check_new(out, what="name")
    if out.suffix.lower() != ".mp4":
        raise InputError(f"--out {out}: the annotated video is written as .mp4")
    interrupted = False
    seconds: List[float] = []
    with whole_path(out, ending=".partial.mp4") as partial:
        pictures = PictureWriter(partial, stream.classes, frames_per_second, score_threshold)
        try:
            with Behind() as behind:
                try:
                    for number, frame in frames:
                        start = time.monotonic()
                        result = stream.detect(frame, number)
                        seconds.append(time.monotonic() - start)
                        work = frame, result, 1 / max(float(np.mean(seconds[-SPEED_OVER:])), 1e-9)
                        if show is None:
                            behind.submit(pictures.add, *work)
                        elif not show(pictures.add(*work)):
                            break
                except KeyboardInterrupt:
                    interrupted = True  # what waits to be drawn is
        except KeyboardInterrupt:
            interrupted = True
        finally:
            pictures.release()
        if pictures.count == 0:
            raise InputError("interrupted before the first frame" if interrupted else "the recording has no frame")
        check_written(partial, pictures.count, name=str(out))
    # the first frame plans the graphs
    timed = seconds[1:] or seconds
    return Watched(pictures.count, sum(timed) / len(timed), interrupted)


class PictureWriter:
    """Annotates frames and writes them to a video; after a failure none any more."""

    def __init__(self, path: Path, classes: Sequence[str], frames_per_second: float, score_threshold: float):
        self.count = 0  # frames written
        self._path, self._classes = path, classes
        self._rate, self._score_threshold = frames_per_second, score_threshold
        self._writer: Optional[cv2.VideoWriter] = None
        self._failed = False

    def add(self, frame: np.ndarray, result: StreamResult, speed: float) -> np.ndarray:
        """The picture, written, of a frame (see :func:`annotated`)."""
        picture = annotated(frame, result, self._classes, self._score_threshold, speed)
        if self._failed:
            return picture
        self._failed = True
        if self._writer is None:
            height, width = picture.shape[:2]
            self._writer = open_writer(self._path, width=width, height=height, frames_per_second=self._rate)
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self.count, self._failed = self.count + 1, False
        return picture

    def release(self) -> None:
        """Close the video."""
        if self._writer is not None:
            self._writer.release()


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


def camera(index: int, every: int = 1) -> Iterator[Tuple[int, np.ndarray]]:
    """Every ``every``-th frame (H, W, 3) RGB of a camera, behind its number, until it gives none.

    Raises :class:`InputError` when it cannot be opened.
    """
    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            raise InputError(f"camera {index} cannot be opened")
        for number in count():
            if not capture.grab():
                return
            if number % every == 0:
                good, frame = capture.retrieve()
                if not good:
                    return
                yield number, frame[..., ::-1]
    finally:
        capture.release()
