"""Video files to write by OpenCV's FFmpeg, which says nothing when the disk does not take them."""

from __future__ import annotations

from pathlib import Path

import cv2

from gluon_liver.errors import InputError

from .video import coded_frames


def open_writer(path: Path, *, width: int, height: int, frames_per_second: float) -> cv2.VideoWriter:
    """A writer of frames (height, width, 3) BGR to an MP4 file (MPEG-4).

    Raises :class:`InputError` where none can be made.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), frames_per_second, (width, height))
    if not writer.isOpened():
        ask = "is the folder there and writable, and has this OpenCV an MPEG-4 encoder?"
        raise InputError(f"a video cannot be written to {path.parent}: {ask}")
    return writer


def check_written(path: Path, frames: int, *, name: str) -> None:
    """Raise :class:`InputError`, and remove the file, where it holds less than ``frames`` frames.

    Release the writer first. ``name`` stands for the file in the message.
    """
    written = coded_frames(path)
    if written < frames:
        path.unlink(missing_ok=True)
        raise InputError(f"{name}: {written} of {frames} frames could be written: is the disk full?")
