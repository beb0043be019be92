"""Recordings: videos of several containers and codecs, pictures of several kinds."""

import struct
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from gluon_liver.readers.frames import read_frames
from tests.readers.us_writer import write_video

from .harness import Target
from .recipe import WHOLE, change_bytes

VIDEOS = ((".avi", "MJPG"), (".mp4", "mp4v"), (".avi", "mp4v"), (".mpg", "MPG2"))
PICTURES = (".png", ".jpg", ".bmp", ".tiff")
FRAMES = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3)).astype(np.uint8)


@lru_cache(maxsize=None)
def _video(ending, codec):
    with tempfile.TemporaryDirectory() as folder:
        return write_video(Path(folder, "a" + ending), FRAMES, codec).read_bytes()


@lru_cache(maxsize=None)
def _picture(ending):
    return cv2.imencode(ending, FRAMES[0])[1].tobytes()


def boxes(content):
    """Places of the contents of all boxes of an MP4 file."""
    for kind in (
        b"mvhd",
        b"tkhd",
        b"mdhd",
        b"stsz",
        b"stts",
        b"stco",
        b"stsc",
        b"elst",
        b"hdlr",
        b"stsd",
        b"ctts",
        b"moov",
    ):
        place = content.find(kind)
        if place >= 0:
            yield place - 4


def _build_video(recipe):
    content = bytearray(_video(*recipe.of(VIDEOS)))
    places = list(boxes(content))
    if places and recipe.below(2):
        for _ in range(1 + recipe.below(3)):
            place = recipe.of(places) + 4 * recipe.below(12)
            content[place : place + 4] = struct.pack(">I", recipe.of(WHOLE) % 2**32)
        return bytes(content)
    return change_bytes(recipe, content)


def png_of_size(width, height):
    """A PNG that announces a size and holds next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _build_picture(recipe):
    if recipe.below(4) == 3:
        return png_of_size(recipe.of(WHOLE) % 2**31, recipe.of(WHOLE) % 2**31)
    return change_bytes(recipe, _picture(recipe.of(PICTURES)))


def _read_video(content, folder):
    _frames(folder / "a.avi", content)


def _read_picture(content, folder):
    _frames(folder / "a.png", content)


def _frames(path, content):
    path.write_bytes(content)
    for number, _ in enumerate(read_frames(path, whole_frame=True)):
        assert number < 5000


TARGETS = [Target("video", _build_video, _read_video), Target("picture", _build_picture, _read_picture)]
