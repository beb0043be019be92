"""An opened stream or camera: its pictures as they are, also where they change."""

from __future__ import annotations

import io
import struct
from typing import Optional, Tuple

import cv2
import numpy as np

from gluon_liver.errors import InputError, OversizeError
from gluon_liver.readers.image_folder import jpeg_has_end
from gluon_liver.readers.image_size import image_size
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import MAX_SIDE

JPEG = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
LATEST_SECONDS = 1e9  # of a clock; OpenCV has numbers beyond where a stream has none


class StreamCapture:
    """OpenCV's capture, of a stream of the network before its first frame.

    OpenCV's FFmpeg makes all pictures as it made the first: it repeats the last one where they get larger or other
    pixels (grey ones), paints smaller ones into a corner, and reads beyond both (opencv/opencv#27116, #29699). So
    Motion JPEG, each picture of which says its size, is decoded here.

    Attributes: codec, four small letters; blind: a change of the pictures' size cannot be seen in it.
    """

    def __init__(self, capture: cv2.VideoCapture, *, of_network: bool, name: str):
        self._capture, self._name = capture, name
        self.codec = struct.pack("<I", int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).decode("latin-1").lower()
        self._coded = of_network and self.codec == "mjpg" and capture.set(cv2.CAP_PROP_FORMAT, -1)
        self.blind = of_network and not self._coded
        self._lines = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))  # of the first picture, until it is there

    def grab(self) -> bool:
        """Wait for the next frame; whether there is one."""
        return bool(self._capture.grab())

    def retrieve(self) -> Tuple[bool, Optional[Array]]:
        """Whether that frame can be decoded, and its pixels, uint8 (H, W, 3) BGR.

        Raises :class:`InputError` for pictures that are too large, or no 8-bit ones.
        """
        there, found = self._capture.retrieve()
        pixels: Optional[Array] = found
        if there and pixels is not None and self._coded:
            pixels = self._decoded(pixels.tobytes())
        if not there or pixels is None or not pixels.size:
            return False, None
        if pixels.dtype != np.uint8:
            raise InputError(f"{self._name} has pixels of {pixels.dtype}; 8 bits a colour are read")
        check_size(pixels.shape[1], pixels.shape[0], self._name)
        if pixels.ndim == 2 or pixels.shape[2] == 1:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return True, pixels

    def clock(self) -> Optional[float]:
        """Seconds at which the stream says that the frame was taken, by a clock of its own; None where it does not."""
        seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        return seconds if 0 <= seconds < LATEST_SECONDS else None

    def get(self, number: int) -> float:
        """A property of OpenCV's."""
        return float(self._capture.get(number))

    def release(self) -> None:
        """Close the stream."""
        self._capture.release()

    def _decoded(self, code: bytes) -> Optional[Array]:
        """The pixels of a JPEG file, None where its end is missing or it cannot be decoded.

        Damage among the coded pixels shows as a part of the picture that is wrong: libjpeg fills it in and goes on.
        """
        if not jpeg_has_end(code):
            return None
        try:
            image_size(io.BytesIO(code))
        except OversizeError as error:
            raise InputError(f"{self._name}: {error}") from error
        except InputError:
            return None
        pixels: Optional[Array] = cv2.imdecode(np.frombuffer(code, np.uint8), JPEG)
        if self._lines and pixels is not None and self._lines == 2 * len(pixels):
            what = f"{self._name} has {self._lines} lines in pictures of {len(pixels)}"
            raise InputError(f"{what}: interlaced Motion JPEG is not read; have the sender deinterlace it")
        self._lines = 0
        return pixels


def check_size(width: int, height: int, name: str) -> None:
    """Raise :class:`InputError` where a side of a frame is too long."""
    if max(width, height) > MAX_SIDE:
        raise InputError(f"{name} has frames of {width}x{height} pixels; the bound is {MAX_SIDE} a side")
