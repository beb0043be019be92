"""Frames of ultrasound: videos, folders of pictures, arrays."""

from __future__ import annotations

import importlib.util
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any, BinaryIO, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .refusals import Unusable, needed, note
from .volume_files import NOT_LOADED

UNKNOWN = 2**32 - 1  # length of an AVI that was written to a pipe
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def read_frames(path: Path) -> Iterator[Tuple[int, np.ndarray]]:
    """Frames (h, w, 3), uint8 RGB, behind their numbers."""
    if path.is_dir():
        there = (one for one in path.iterdir() if one.suffix.lower() in PICTURES and one.name[0] != ".")
        paths, first = sorted(there, key=natural), None
        if not paths:
            raise Unusable(f"{path} holds no pictures ({', '.join(PICTURES)})")
        numbers = file_numbers([one.name for one in paths])
        if numbers is None:
            note(f"the names in {path} are no numbers of frames: they are counted from 0 as their names sort")
        for number, one in zip(numbers or range(len(paths)), paths):
            if one.suffix.lower() in (".jpg", ".jpeg") and not jpeg_has_end(one.read_bytes()):
                raise Unusable(f"{one} is cut short: the end of the JPEG is missing")
            frames = list(pictures(one))
            if len(frames) != 1:
                raise Unusable(f"{one}: {len(frames)} pictures in it can be decoded, one is wanted")
            first = first or frames[0].shape
            if frames[0].shape != first:
                raise Unusable(f"{one} has another size than {paths[0].name}")
            yield number, frames[0]
    elif not path.is_file():
        raise Unusable(f"{path}: there is no such video, folder of pictures or array")
    elif path.suffix.lower() == ".npy":
        try:
            frames = np.load(path, allow_pickle=False)
        except (OSError, *NOT_LOADED) as error:
            raise Unusable(f"{path} is no array of numbers ({error})") from error
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise Unusable(f"{path} is {frames.dtype} {frames.shape}: frames (n, h, w, 3), uint8 RGB, are wanted")
        yield from enumerate(frames)
    else:
        yield from enumerate(pictures(path))


def file_numbers(names: Sequence[str]) -> Optional[List[int]]:
    """The number of the frame in each name: names are alike but for numbers, of which the last rises from name to name;
    of several that rise the one with the smallest steps counts. None where there is none."""
    parts = [re.split(r"([0-9]+)", Path(name).stem.casefold()) for name in names]
    if len({tuple(part[::2]) for part in parts}) != 1:
        return None
    columns = [[int(part[place]) for part in parts] for place in range(1, len(parts[0]), 2)]
    varying = [column for column in columns if len(set(column)) > 1] if len(names) > 1 else columns
    rising = [column for column in varying if all(one < other for one, other in zip(column, column[1:]))]
    if not varying or (len(names) == 1 and len(varying) > 1) or varying[-1] not in rising:
        return None
    return min(reversed(rising), key=lambda column: column[-1] - column[0])


def natural(path: Path) -> List[Any]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", path.name) if part]


def jpeg_has_end(code: bytes) -> bool:
    """Whether a JPEG image has its end marker (ITU-T T.81 B.1.1), behind which cameras write what they like."""
    place = code.find(b"\xff", 2)
    while 0 <= place < len(code) - 1:
        marker = code[place + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF:  # fill
            place += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # inside the coded pixels; no length follows
            place += 2
        else:
            place += 2 + int.from_bytes(code[place + 2 : place + 4], "big")
        place = code.find(b"\xff", place)
    return False


def check_whole(path: Path) -> None:
    """Raise :class:`Unusable` for a video that is shorter than its container announces.

    That is the RIFF chunk of an AVI, a box of an MP4 (ISO/IEC 14496-12 4.2), a packet of an MPEG program stream.
    """
    size, announced = path.stat().st_size, 0
    with open(path, "rb") as stream:
        start = stream.read(12)
        if start[:4] == b"RIFF" and len(start) == 12:
            length = struct.unpack("<I", start[4:8])[0]
            announced = 8 + length if length < UNKNOWN else 0
        elif start[:4] == b"\0\0\1\xba":
            announced = program_stream_length(stream, size)
        elif start[4:8] == b"ftyp":
            while announced < size:
                stream.seek(announced)
                head = stream.read(16).ljust(16, b"\0")
                length = struct.unpack(">I", head[:4])[0]
                length = struct.unpack(">Q", head[8:])[0] if length == 1 else length
                if length < 8:  # 0: to the end of the file
                    return
                announced += length
    if announced > size:
        raise Unusable(f"{path} is cut short: it has {size} bytes, its container announces {announced}")


def program_stream_length(stream: BinaryIO, size: int) -> int:
    """Where the last packet of an MPEG program stream ends (ISO/IEC 11172-1 2.4.3, 13818-1 2.5.3), 0 if it is odd."""
    place = 0
    while place < size:
        stream.seek(place)
        head = stream.read(14)
        if not b"\0\0\1".startswith(head[:3]):
            return 0
        head = head.ljust(14, b"\0")
        if head[3] == 0xB9:  # the end
            place += 4
        elif head[3] == 0xBA:  # a pack, of MPEG-1 or MPEG-2
            place += 12 if head[4] >> 4 == 2 else 14 + (head[13] & 7)
        else:
            place += 6 + int.from_bytes(head[4:6], "big")
    return place


def pictures(path: Path) -> Iterator[np.ndarray]:
    """The pictures of a video or picture file, by cv2 or else by ffmpeg."""
    if importlib.util.find_spec("cv2"):
        cv2 = needed("cv2", "a video or picture")
        if path.suffix.lower() in PICTURES:
            decoded, stills = cv2.imreadmulti(str(path), None, cv2.IMREAD_COLOR)
            yield from (one[..., ::-1] for one in stills if decoded)
            return
        check_whole(path)
        capture = cv2.VideoCapture(str(path))
        if capture.get(cv2.CAP_PROP_ORIENTATION_META):
            raise Unusable(f"{path} wants to be shown turned: turn it with ffmpeg")
        for there, frame in iter(capture.read, None):
            if not there:
                return
            yield frame[..., ::-1]
        return
    if shutil.which("ffmpeg") is None:
        raise Unusable(f"{path} needs OpenCV (pip install opencv-python-headless), or ffmpeg on the PATH")
    check_whole(path)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "image2pipe", "-vsync", "0"]
    with subprocess.Popen([*command, "-c:v", "ppm", "-"], stdout=subprocess.PIPE) as process:
        stream: Any = process.stdout
        while stream.readline() == b"P6\n":
            width, height = map(int, stream.readline().split())
            stream.readline()
            pixels = stream.read(3 * width * height)
            yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    if process.returncode:
        raise Unusable(f"{path}: ffmpeg ended with {process.returncode}: the file is damaged or cut short")
