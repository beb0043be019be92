"""Slices as small pictures for a page: 8 bits on a scale that is fine where soft tissue lies, in the smallest codec.

The pixels are for display: what is lost is measured on slices of the study itself and stated on the page.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from gluon_liver.structures.arrays import Array

# HU -> codes 0 to 255: steps of 54 HU below -160, of 2 HU to 280, of 63 HU above
HU_KNOTS, CODE_KNOTS = (-1024.0, -160.0, 280.0, 1480.0), (0.0, 16.0, 236.0, 255.0)
FINE_CODES = (16, 236)
GREY_KNOTS = (-1024.0, 1536.0)  # of MRI as it is stored: one step for all of it
MOST_ERROR = 4.0  # codes, root mean square: 8 HU in soft tissue, about half the noise of a slice of 2.5 mm
QUALITIES = (70, 80, 85, 90, 95)
SAMPLES = 5
LOSSLESS = 100


@dataclass(frozen=True)
class Scale:
    """What the 256 codes mean: HU or grey values at some of them, linear between. Codes from ``fine[0]`` to ``fine[1]``
    are those in which errors are measured."""

    values: Tuple[float, ...]
    codes: Tuple[float, ...]
    unit: str
    fine: Tuple[int, int] = (0, 255)

    def encode(self, values: Array) -> Array:
        """Values of any shape -> uint8 codes."""
        codes: Array = np.rint(np.interp(values, self.values, self.codes)).astype(np.uint8)
        return codes

    def table(self) -> List[float]:
        """The value of each of the 256 codes."""
        return [round(float(value), 2) for value in np.interp(np.arange(256), self.codes, self.values)]

    @property
    def step(self) -> float:
        """Value of one code where the scale is fine."""
        table = self.table()
        return (table[self.fine[1]] - table[self.fine[0]]) / (self.fine[1] - self.fine[0])


HU_SCALE = Scale(HU_KNOTS, CODE_KNOTS, "HU", FINE_CODES)
GREY_SCALE = Scale(GREY_KNOTS, (0.0, 255.0), "grey value")
FRAME_SCALE = Scale((0.0, 255.0), (0.0, 255.0), "grey value")


class Codec(NamedTuple):
    """format: JPEG, WEBP or PNG.

    quality: 100 loses nothing. size: bytes of a sampled slice on average. error: RMS, codes.
    """

    format: str
    quality: int
    size: float
    error: float

    @property
    def title(self) -> str:
        name = self.format.replace("WEBP", "WebP")
        return f"{name} without loss" if self.quality == LOSSLESS else f"{name} quality {self.quality}"

    def encode(self, picture: Array) -> bytes:
        """A grey (h, w) or colour (h, w, 3) uint8 picture as a file."""
        return encode(picture, self.format, self.quality)

    def uri(self, picture: Array) -> str:
        """The same as a source of an image that needs no file."""
        return f"data:image/{self.format.lower()};base64," + base64.b64encode(self.encode(picture)).decode("ascii")


def encode(picture: Array, form: str, quality: int) -> bytes:
    """uint8 (h, w) or (h, w, 3) in one of the formats; quality 100 is without loss, which JPEG cannot."""
    stream = io.BytesIO()
    if form == "PNG":
        Image.fromarray(picture).save(stream, "PNG", optimize=True)
    elif form == "WEBP":
        Image.fromarray(picture).save(stream, "WEBP", quality=quality, lossless=quality == LOSSLESS, method=4)
    else:
        Image.fromarray(picture).save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def decode(content: bytes, like: Array) -> Array:
    """The picture of a file, grey where ``like`` is."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L" if like.ndim == 2 else "RGB"))


def measured(pictures: Sequence[Array], form: str, quality: int, fine: Tuple[int, int] = (0, 255)) -> Codec:
    """Mean size and RMS error of some pictures, the error where their codes are ``fine``."""
    size, squares, count = 0, 0.0, 0
    for picture in pictures:
        content = encode(picture, form, quality)
        size += len(content)
        inside = (picture >= fine[0]) & (picture <= fine[1])
        away = decode(content, picture)[inside].astype(np.float64) - picture[inside]
        squares, count = squares + float((away**2).sum()), count + away.size
    return Codec(form, quality, size / max(len(pictures), 1), float(np.sqrt(squares / max(count, 1))))


def choose_codec(
    pictures: Sequence[Array],
    *,
    fine: Tuple[int, int] = (0, 255),
    form: Optional[str] = None,
    most_error: float = MOST_ERROR,
) -> Codec:
    """The codec that makes ``pictures`` smallest with an error of ``most_error`` at most; ``form`` leaves one format.

    Of JPEG and WebP the lowest quality that is good enough counts; PNG and WebP without loss always are.
    """
    found: List[Codec] = []
    for one in [form] if form else ["JPEG", "WEBP", "PNG"]:
        qualities = [LOSSLESS] if one == "PNG" else [*QUALITIES, *([LOSSLESS] if one == "WEBP" else [])]
        for quality in qualities:
            codec = measured(pictures, one, quality, fine)
            if codec.error <= most_error or quality == qualities[-1]:
                found.append(codec)
                break
    good = [codec for codec in found if codec.error <= most_error] or found
    return min(good, key=lambda codec: codec.size)
