"""Video files by OpenCV's FFmpeg, with the checks that OpenCV lacks.

OpenCV gives a half-grey last frame of a cut file, and where the size changes in a stream it repeats the last frame or
paints over a corner of it, without a word. So the container is measured first, then the packets are read without
decoding: their number and, where the codec writes it in plain sight, the size in each.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, NamedTuple, Optional, Set, Tuple

import cv2

from gluon_liver.errors import InputError, OversizeError, TruncatedFileError
from gluon_liver.files.digest import hash_file
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import MAX_SIDE, FrameSource, plausible_rate

from .display_turn import Turn, read_turn
from .image_folder import jpeg_has_end
from .mp4_track import VideoTrack

# start codes of MPEG program streams (ISO/IEC 13818-1 2.5.3): the prefix of all, of a pack, of the end
START_CODE, PACK, PROGRAM_END = b"\x00\x00\x01", 0xBA, 0xB9
JPEG_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: these carry height and width


def open_video(path: Path, name: str) -> FrameSource:
    """A video file. Its frame count is known once it has been decoded; no header is believed.

    Raises :class:`TruncatedFileError` for an AVI or MP4 file or an MPEG program stream shorter than it says, and
    :class:`InputError` for files that FFmpeg cannot decode, without a frame, or (MPEG-1, MPEG-2, Motion JPEG and VP8)
    of which the size changes; of other codecs a note says that it would not be seen. Where the last packet has no end
    (Motion JPEG), or fewer frames can be decoded than the file holds packets, the last decoded frame is left out, for
    it may be half grey; a note says so. What has no container (MPEG elementary streams), a transport stream, and a
    program stream cut between two packets cannot be told from whole ones. Frames are turned as the header wants them
    shown, which a note says.
    """
    _check_length(path, name)
    packets, sizes, has_end, codec, rate = _read_packets(path, name)
    with _opened(path, name) as capture:  # read for its packets, a video tells no turn
        announced = {(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))}
        turn = read_turn(capture, path, name)
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise InputError(f"{name}: its frames change size ({listed}); cut the video where they do")
    for width, height in announced | sizes:  # a decoder makes room by them
        if max(width, height) > MAX_SIDE:
            raise OversizeError(f"{name} has frames of {width}x{height} pixels; the bound is {MAX_SIDE} a side")
    first = next(_decode(path, name, turn), None)
    if first is None:
        raise InputError(f"{name} is a video of which no frame can be decoded")
    height, width = first.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise OversizeError(f"{name} has frames of {width}x{height} pixels; the bound is {MAX_SIDE} a side")
    notes = [turn.note] if turn.note else []
    shown, coded = VideoTrack(path).shown or (packets, packets)
    if shown < coded:
        notes.append(f"its edit list shows {shown} of {coded} coded frames, which are all that count")
        packets = min(packets, shown)  # those before the first shown one may be needed to decode it
    if codec not in SIZE_OF:
        known = codec.decode("ascii") if codec.isalnum() else "unknown"
        notes.append(f"a change of the frame size inside the video cannot be seen in its codec ({known})")

    def whole_frames() -> Iterator[Array]:
        last, count = first, 0
        for count, frame in enumerate(_decode(path, name, turn), 1):
            if frame.shape[:2] != (height, width):
                raise InputError(f"{name}, frame {count - 1} has another size than the first")
            if count > 1:
                yield last
            last = frame
        if count >= packets and has_end:
            yield last
            return
        why = f"{count} of {packets} coded frames could be decoded" if has_end else "the recording is cut short"
        note = f"{why}; the last decoded frame was left out, for it may be damaged"
        if note not in notes:
            notes.append(note)

    source = FrameSource("video", height, width, (0, 0, width, height), whole_frames, hash_file(path))
    source.notes, source.frames_per_second = notes, plausible_rate(rate)
    return source


def coded_frames(path: Path) -> int:
    """How many frames a video file holds, without decoding them; 0 where it is cut short or cannot be opened."""
    try:
        _check_length(path, path.name)
        return _read_packets(path, path.name).frames
    except (InputError, FileNotFoundError):
        return 0


def _decode(path: Path, name: str, turn: Turn) -> Iterator[Array]:
    with _opened(path, name) as capture:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # whatever the default of this OpenCV
        for frame in _images(capture):
            yield turn(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


@contextmanager
def _opened(path: Path, name: str, *options: int) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, list(options))
    try:
        if not capture.isOpened():
            raise InputError(f"{name} cannot be opened as a video: it is damaged, or its codec is unknown to OpenCV")
        yield capture
    finally:
        capture.release()


def _images(capture: cv2.VideoCapture) -> Iterator[Array]:
    there, image = capture.read()
    while there:
        yield image
        there, image = capture.read()


class _Packets(NamedTuple):
    """What the coded frames of a video say."""

    frames: int  # how many there are
    sizes: Set[Tuple[int, int]]  # (width, height) that they state
    has_end: bool  # of the last one
    codec: bytes  # four lower-case characters
    rate: float  # frames a second as OpenCV has them


def _read_packets(path: Path, name: str) -> _Packets:
    with _opened(path, name, cv2.CAP_PROP_FORMAT, -1) as capture:
        codec = struct.pack("<I", int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).lower()
        rate, size_of = capture.get(cv2.CAP_PROP_FPS), SIZE_OF.get(codec)
        frames, packet = 0, b""
        sizes: Set[Optional[Tuple[int, int]]] = set()
        for image in _images(capture):
            frames, packet = frames + 1, image.tobytes()
            sizes.add(size_of(packet) if size_of else None)
    stated = {size for size in sizes if size}
    return _Packets(frames, stated, codec != b"mjpg" or jpeg_has_end(packet), codec, rate)


def _mpeg_size(packet: bytes) -> Optional[Tuple[int, int]]:
    """Width and height, 12 bits each, after a sequence header code (ISO/IEC 11172-2 2.4.2.3, 13818-2 6.2.2.1)."""
    place = packet.find(b"\x00\x00\x01\xb3")
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


def _vp8_size(packet: bytes) -> Optional[Tuple[int, int]]:
    """Width and height, 14 bits each, of a key frame after its tag of 3 bytes and start code (RFC 6386 9.1)."""
    if len(packet) < 10 or packet[0] & 1 or packet[3:6] != b"\x9d\x01\x2a":
        return None
    width, height = struct.unpack("<HH", packet[6:10])
    return width & 0x3FFF, height & 0x3FFF


UNKNOWN = 2**32 - 1  # length of an AVI that was written to a pipe
# codecs that write the size in plain sight
SIZE_OF = {b"mpg1": _mpeg_size, b"mpg2": _mpeg_size, b"mjpg": _jpeg_size, b"vp80": _vp8_size}


def _check_length(path: Path, name: str) -> None:
    """Raise :class:`TruncatedFileError` where a part that states its length overruns the file.

    That is the RIFF chunk of an AVI, a top-level box of an MP4 (ISO/IEC 14496-12 4.2), a packet of an MPEG program
    stream.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(12)
        announced = 0
        if start[:4] == b"RIFF" and len(start) == 12:
            length = struct.unpack("<I", start[4:8])[0]
            announced = 8 + length if length < UNKNOWN else 0
        elif start[:4] == START_CODE + bytes([PACK]):
            announced = _program_stream_length(stream, size)
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


def _program_stream_length(stream: BinaryIO, size: int) -> int:
    """Where the last packet of an MPEG program stream ends (ISO/IEC 11172-1 2.4.3, 13818-1 2.5.3).

    0 where something else than a start code follows a packet: that is damage, which the decoder will meet.
    """
    place = 0
    while place < size:
        stream.seek(place)
        head = stream.read(14)
        if not START_CODE.startswith(head[:3]):
            return 0
        # zeros in place of what is cut off never make a header shorter than it is
        head = head.ljust(14, b"\0")
        if head[3] == PROGRAM_END:
            place += 4
        elif head[3] == PACK:
            place += 12 if head[4] >> 4 == 2 else 14 + (head[13] & 7)  # MPEG-1 or MPEG-2
        else:
            place += 6 + struct.unpack(">H", head[4:6])[0]
    return place
