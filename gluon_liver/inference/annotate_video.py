"""A stream of frames, annotated as it comes: boxes, the flow picture beside them, frames a second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple, Optional

import cv2
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import whole_path
from gluon_liver.readers.video_writer import check_written, open_writer
from gluon_liver.report.flow_picture import flow_picture
from gluon_liver.report.us_drawing import draw_us

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
    frames: Iterable[np.ndarray],
    stream: StreamDetector,
    out: Path,
    *,
    frames_per_second: float,
    score_threshold: float = 0.5,
    show: Optional[Callable[[np.ndarray], bool]] = None,
) -> Watched:
    """Annotate frames, uint8 (H, W, 3) RGB, into the video file ``out``, which appears when the stream has ended.

    Ctrl-C ends the stream; what was annotated until then is kept. ``show`` takes each picture (RGB) and says whether
    to go on. Raises :class:`InputError` when there is no frame, or the video cannot be written.
    """
    if out.exists():
        raise InputError(f"--out {out} exists: choose another name")
    if out.suffix.lower() != ".mp4":
        raise InputError(f"--out {out}: the annotated video is written as .mp4")
    writer, count, seconds, interrupted = None, 0, [], False
    with whole_path(out, ending=".partial.mp4") as partial:
        try:
            for frame in frames:
                start = time.monotonic()
                result = stream.detect(frame)
                seconds.append(time.monotonic() - start)
                speed = 1 / max(float(np.mean(seconds[-SPEED_OVER:])), 1e-9)
                picture = annotated(frame, result, stream.classes, score_threshold, speed)
                if writer is None:
                    height, width = picture.shape[:2]
                    writer = open_writer(partial, width=width, height=height, frames_per_second=frames_per_second)
                writer.write(np.ascontiguousarray(picture[..., ::-1]))
                count += 1
                if show is not None and not show(picture):
                    break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if writer is not None:
                writer.release()
        if count == 0:
            raise InputError("interrupted before the first frame" if interrupted else "the recording has no frame")
        check_written(partial, count, name=str(out))
    # the first frame plans the graphs
    timed = seconds[1:] or seconds
    return Watched(count, sum(timed) / len(timed), interrupted)


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


def camera(index: int) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) RGB of a camera until it gives none. Raises :class:`InputError` when it cannot be opened."""
    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            raise InputError(f"camera {index} cannot be opened")
        good, frame = capture.read()
        while good:
            yield frame[..., ::-1]
            good, frame = capture.read()
    finally:
        capture.release()
