"""HU slices -> what the network sees: window, 8 bit, square resize, slice stack, and 8 bit -> its numbers.

The CT paper windows with width 80 and level 150, stores 8-bit images and resizes to 800x800 (bicubic).
"""

from __future__ import annotations

from functools import lru_cache
from typing import List, Optional, Tuple

import numpy as np

from gluon_liver.config.windows import Window, window_values
from gluon_liver.errors import ConfigError
from gluon_liver.structures.arrays import Array

# mean and standard deviation of ImageNet in grey, so that transferred weights see what they were trained on
GREY_MEAN, GREY_STD = 0.449, 0.226
ON_A_SLICE = 0.01  # slices by which a position may miss a stored slice and be it
# of each of the 256 values of a pixel what a network takes
UNIT_RANGE = np.arange(256, dtype=np.float32) / np.float32(255.0)
NORMALISED = (UNIT_RANGE - np.float32(GREY_MEAN)) / np.float32(GREY_STD)


def to_grey(hu: Array, window: Window) -> Array:
    """HU of any shape -> uint8: round(255 * clip((hu - (level - width/2)) / width, 0, 1))."""
    hu, (width, level) = np.asarray(hu), window_values(window)
    if hu.dtype == np.int16:
        # one table of all int16 values, by their bits: four times as fast as arithmetic on a volume
        return _grey_table(width, level)[hu.view(np.uint16)]
    return _grey_of(hu, width, level)


def _grey_of(hu: Array, width: float, level: float) -> Array:
    low = level - width / 2
    return np.rint(255 * np.clip((np.asarray(hu, np.float64) - low) / width, 0, 1)).astype(np.uint8)


@lru_cache(maxsize=8)
def _grey_table(width: float, level: float) -> Array:
    return _grey_of(np.arange(2**16, dtype=np.uint16).view(np.int16), width, level)


def grey_per_hu(window: Window) -> float:
    """Grey values of one HU inside a window."""
    return 255.0 / window_values(window)[0]


def resize_square(image: Array, size: int) -> Tuple[Array, float]:
    """uint8 (..., H, W) -> ((..., size, size), scale), zeros below and to the right.

    One scale, size / max(H, W); bicubic when enlarging (paper), by area when shrinking.
    """
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    if scale == 1.0 and height == width:
        return image, scale
    new_height, new_width = max(int(round(height * scale)), 1), max(int(round(width * scale)), 1)
    import cv2  # a tenth of a second, and all that opens data imports this module

    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    planes = image.reshape((-1, height, width))
    result = (np.empty if new_height == new_width else np.zeros)((len(planes), size, size), dtype=image.dtype)
    for target, plane in zip(result, planes):
        cv2.resize(plane, (new_width, new_height), dst=target[:new_height, :new_width], interpolation=how)
    return result.reshape(image.shape[:-2] + (size, size)), scale


def stack_places(slices: int, centre: int, depth: int) -> List[int]:
    """``depth`` neighbouring slices around ``centre`` of a volume of so many ``slices``; those at the ends repeat.

    The CT paper fuses "the adjacent 9 slices" of the data (2.5D). Raises :class:`ConfigError` unless depth is odd.
    """
    if depth < 1 or depth % 2 == 0:
        raise ConfigError(f"a slice stack needs an odd depth of 1 or more, not {depth}")
    if not 0 <= centre < slices:
        raise ConfigError(f"slice {centre} is outside the volume of {slices} slices")
    return [min(max(place, 0), slices - 1) for place in range(centre - depth // 2, centre + depth // 2 + 1)]


def stack_positions(slices: int, centre: int, depth: int, step: float) -> List[float]:
    """Like :func:`stack_places`, neighbours ``step`` slices apart: places, and fractions of the way between two.

    Those beyond the ends are the ends. A hundredth of a slice more or less is the stored slice itself: spacings are
    rounded.
    """
    from_centre = [place - depth // 2 for place in range(depth)]
    stack_places(slices, centre, depth)  # refuses what is no stack
    positions = [min(max(centre + step * place, 0.0), slices - 1.0) for place in from_centre]
    return [float(round(one)) if abs(one - round(one)) < ON_A_SLICE else one for one in positions]


def normalise(images: np.ndarray, *, out: Optional[np.ndarray] = None) -> np.ndarray:
    """uint8 grey -> float32 with ImageNet's grey mean and deviation, as the CT network takes it; written to ``out``."""
    return _by_table(images, NORMALISED, out)


def unit_range(images: np.ndarray, *, out: Optional[np.ndarray] = None) -> np.ndarray:
    """uint8 -> float32 from 0 to 1, as the ultrasound networks take it; written to ``out``."""
    return _by_table(images, UNIT_RANGE, out)


def _by_table(images: np.ndarray, table: np.ndarray, out: Optional[np.ndarray]) -> np.ndarray:
    """The table's entry of each pixel, C-contiguous like ``out``, which is float32 of the same shape."""
    out = np.empty(images.shape, np.float32) if out is None else out
    import cv2

    # rows, because OpenCV takes no more than two dimensions
    rows, target = (np.reshape(array, (-1, array.shape[-1])) for array in (images, out))
    cv2.LUT(rows, table, dst=target)
    return out
