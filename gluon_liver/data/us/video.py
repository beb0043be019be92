"""Video files by OpenCV's FFmpeg, with the checks that OpenCV lacks.

OpenCV gives a half-grey last frame of a cut file, and where the size changes in a stream it repeats the last frame or
paints over a corner of it, without a word. So the container is measured first, then the packets are read without
decoding: their number and, where the codec writes it in plain sight, the size in each.
"""

from __future__ import annotations

import os
import struct
from typing import Iterator, List, Optional, Set, Tuple

import cv2
import numpy as np

from ...errors import InputError, OversizeError, TruncatedFileError
from .frames import JPEG_END, MAX_SIDE, FrameSource, hash_files

MPEG_SEQUENCE_HEADER = b"\x00\x00\x01\xb3"
# start-of-frame markers of JPEG that carry height and width (baseline, extended, progressive)
JPEG_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)


def open_video(path: str, name: str) -> FrameSource:
    """A video file. Its frame count is known once it has been decoded; no header is believed.

    Raises TruncatedFileError for an AVI or MP4 file shorter than it says, and InputError for files that FFmpeg cannot
    decode, without a frame, or (MPEG-1, MPEG-2 and Motion JPEG only) of which the size changes. Where the last packet
    has no end (Motion JPEG), or fewer frames can be decoded than the file holds packets, the last decoded frame is left
    out, for it may be half grey; a note says so. A cut MPEG stream cannot be told from a whole one.
    """
    _check_length(path, name)
    packets, sizes, has_end = _read_packets(path, name)
    if len(sizes) > 1:
        listed = ", ".join("{}x{}".format(*size) for size in sorted(sizes))
        raise InputError(f"{name}: its frames change size ({listed}); cut the video where they do")
    first = next(_decode(path, name), None)
    if first is None:
        raise InputError(f"{name} is a video of which no frame can be decoded")
    height, width = first.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise OversizeError(f"{name} has frames of {width}x{height} pixels; the bound is {MAX_SIDE} a side")
    notes: List[str] = []

    def whole_frames() -> Iterator[np.ndarray]:
        held, count = None, 0
        for frame in _decode(path, name):
            if frame.shape[:2] != (height, width):
                raise InputError(f"{name}, frame {count} has another size than the first")
            if held is not None:
                yield held
            held, count = frame, count + 1
        if count >= packets and has_end and held is not None:
            yield held
            return
        why = f"{count} of {packets} coded frames could be decoded" if has_end else "the recording is cut short"
        note = f"{why}; the last decoded frame was left out, for it may be damaged"
        if note not in notes:
            notes.append(note)

    return FrameSource("video", height, width, (0, 0, width, height), whole_frames, hash_files([path]), notes=notes)


def _decode(path: str, name: str) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InputError(f"{name} cannot be opened as a video: it is damaged, or its codec is unknown to OpenCV")
        while True:
            found, frame = capture.read()
            if not found:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _read_packets(path: str, name: str) -> Tuple[int, Set[Tuple[int, int]], bool]:
    """Number of coded frames, the sizes (width, height) that they state, and whether the last one has its end."""
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    try:
        if not capture.isOpened():
            raise InputError(f"{name} cannot be opened as a video: it is damaged, or its codec is unknown to OpenCV")
        codec = struct.pack("<I", int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).lower()
        size_of = {b"mpg1": _mpeg_size, b"mpg2": _mpeg_size, b"mjpg": _jpeg_size}.get(codec)
        count, sizes, end = 0, set(), JPEG_END
        while True:
            found, packet = capture.read()
            if not found:
                return count, sizes, codec != b"mjpg" or JPEG_END in end
            count, end = count + 1, packet.tobytes()[-64:]
            size = size_of(packet.tobytes()) if size_of else None
            if size:
                sizes.add(size)
    finally:
        capture.release()


def _mpeg_size(packet: bytes) -> Optional[Tuple[int, int]]:
    """Width and height, 12 bits each, after a sequence header code (ISO/IEC 11172-2 2.4.2.3, 13818-2 6.2.2.1)."""
    place = packet.find(MPEG_SEQUENCE_HEADER)
    if place < 0 or len(packet) < place + 7:
        return None
    a, b, c = packet[place + 4 : place + 7]
    return (a << 4) | (b >> 4), ((b & 15) << 8) | c


def _jpeg_size(packet: bytes) -> Optional[Tuple[int, int]]:
    """Width and height of the frame header of a JPEG image (ITU-T T.81 B.2.2)."""
    place = 2
    while place + 9 <= len(packet) and packet[place] == 0xFF:
        marker, length = packet[place + 1], struct.unpack(">H", packet[place + 2 : place + 4])[0]
        if marker in JPEG_FRAME_MARKERS:
            height, width = struct.unpack(">HH", packet[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return None


def _check_length(path: str, name: str) -> None:
    """Raise TruncatedFileError where the RIFF chunk of an AVI or a top-level box of an MP4 overruns the file.

    Boxes: ISO/IEC 14496-12 4.2.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as stream:
        start = stream.read(12)
        announced = 0
        if start[:4] == b"RIFF" and len(start) == 12:
            announced = 8 + struct.unpack("<I", start[4:8])[0]
        elif start[4:8] == b"ftyp":
            while announced < size:
                stream.seek(announced)
                head = stream.read(16)
                length = struct.unpack(">I", head[:4])[0] if len(head) >= 8 else size
                if length == 1 and len(head) == 16:
                    length = struct.unpack(">Q", head[8:])[0]
                # 0 means "to the end of the file"; less than a header is damage, which the decoder will meet
                if length < 8:
                    return
                announced += length
    if announced > size:
        raise TruncatedFileError(f"{name} is cut short: it has {size} bytes, its container announces {announced}")
