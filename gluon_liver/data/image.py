"""HU slices -> what the network sees: window, 8 bit, square resize, slice stack.

The CT paper windows with width 80 and level 150, stores 8-bit images and resizes to 800x800 (bicubic).
"""

from __future__ import annotations

from typing import Dict, Tuple, Union

import cv2
import numpy as np

from ..errors import ConfigError

# name -> (width, level) in HU. "paper" is as printed and blackens unenhanced liver; "liver" has the two
# numbers swapped.
WINDOWS: Dict[str, Tuple[float, float]] = {"paper": (80.0, 150.0), "liver": (150.0, 80.0)}

Window = Union[str, Tuple[float, float]]


def window_values(window: Window) -> Tuple[float, float]:
    """(width, level) in HU of a preset name or a pair. Raises ConfigError."""
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ConfigError(f"there is no window {window!r}; the presets are {', '.join(sorted(WINDOWS))}")
        return WINDOWS[window]
    try:
        width, level = (float(value) for value in window)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a window is a preset name or (width, level), not {window!r}") from error
    if not (np.isfinite([width, level]).all() and width > 0):
        raise ConfigError(f"a window needs a finite level and a width above 0, not {window!r}")
    return width, level


def to_grey(hu: np.ndarray, window: Window) -> np.ndarray:
    """HU of any shape -> uint8: round(255 * clip((hu - (level - width/2)) / width, 0, 1))."""
    width, level = window_values(window)
    low = level - width / 2
    if np.asarray(hu).dtype == np.int16:
        # One table of all int16 values: four times as fast as arithmetic on a volume.
        table = np.arange(-32768, 32768, dtype=np.float64)
        table = np.rint(255 * np.clip((table - low) / width, 0, 1)).astype(np.uint8)
        return table[np.asarray(hu).astype(np.int32) + 32768]
    return np.rint(255 * np.clip((np.asarray(hu, dtype=np.float64) - low) / width, 0, 1)).astype(np.uint8)


def resize_square(image: np.ndarray, size: int) -> Tuple[np.ndarray, float]:
    """uint8 (..., H, W) -> ((..., size, size), scale): one scale size / max(H, W), zeros below and to the
    right.

    Bicubic when enlarging (paper), by area when shrinking.
    """
    height, width = image.shape[-2:]
    if size < 1 or height < 1 or width < 1:
        raise ConfigError(f"cannot resize an image of {height}x{width} pixels to {size}")
    scale = size / max(height, width)
    if scale == 1.0 and height == width:
        return image, scale
    new_height, new_width = max(int(round(height * scale)), 1), max(int(round(width * scale)), 1)
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    planes = image.reshape((-1, height, width))
    result = np.zeros((len(planes), size, size), dtype=image.dtype)
    for target, plane in zip(result, planes):
        target[:new_height, :new_width] = cv2.resize(plane, (new_width, new_height), interpolation=how)
    return result.reshape(image.shape[:-2] + (size, size)), scale


def scale_boxes(boxes: np.ndarray, scale: float) -> np.ndarray:
    """Boxes (n, 4) in pixels of the stored image -> pixels of the resized one. Edges, so no half-pixel
    offset.
    """
    return (np.asarray(boxes, dtype=np.float32) * np.float32(scale)).reshape(-1, 4)


def slice_stack(volume: np.ndarray, centre: int, depth: int) -> np.ndarray:
    """`depth` neighbouring slices of (Z, Y, X) around `centre` -> (depth, Y, X); edge slices repeat.

    The CT paper fuses "the adjacent 9 slices" of the data (2.5D). Raises ConfigError unless depth is odd.
    """
    if depth < 1 or depth % 2 == 0:
        raise ConfigError(f"a slice stack needs an odd depth of 1 or more, not {depth}")
    if not 0 <= centre < len(volume):
        raise ConfigError(f"slice {centre} is outside the volume of {len(volume)} slices")
    around = np.clip(np.arange(centre - depth // 2, centre + depth // 2 + 1), 0, len(volume) - 1)
    return np.asarray(volume[around])
