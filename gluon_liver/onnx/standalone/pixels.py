"""Slices and frames as the network was trained on them: window, JPEG, size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Tuple

import numpy as np


def to_grey(hu: np.ndarray, given: Dict[str, Any]) -> np.ndarray:
    """HU -> uint8 by the window, through a JPEG where training had one."""
    width, level = given["window"]["width"], given["window"]["level"]
    shown = (hu.astype(np.float64) - (level - width / 2)) / width
    grey = np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    return through_jpeg(grey, given["jpeg_quality"]) if given["storage"] == "jpeg" else grey


# The transform of libjpeg's jfdctint.c and, transposed, jidctint.c, times 2**13; quantisation of ITU-T T.81, table K.1
DCT = """8192 8192 8192 8192 8192 8192 8192 8192 11363 9633 6437 2260 -2260 -6437 -9633 -11363
10703 4433 -4433 -10703 -10703 -4433 4433 10703 9633 -2259 -11362 -6436 6436 11362 2259 -9633
8192 -8192 -8192 8192 8192 -8192 -8192 8192 6437 -11362 2261 9633 -9633 -2261 11362 -6437
4433 -10704 10704 -4433 -4433 10704 -10704 4433 2260 -6436 9633 -11363 11363 -9633 6436 -2260"""

LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""


def through_jpeg(grey: np.ndarray, quality: int) -> np.ndarray:
    """A picture (h, w) as libjpeg, which OpenCV has, gives it back: the same to the bit. quality: from 50 up."""
    dct, base = (np.array(text.split(), np.float64).reshape(8, 8) for text in (DCT, LUMINANCE))
    table = np.clip(np.floor((base * (200 - 2 * quality) + 50) / 100), 1, 255)

    def shifted(values: np.ndarray, bits: int) -> np.ndarray:
        return np.floor((values + 2.0 ** (bits - 1)) / 2.0**bits)

    height, width = grey.shape
    padded = np.pad(grey.astype(np.float64), ((0, -height % 8), (0, -width % 8)), mode="edge") - 128
    blocks = padded.reshape(len(padded) // 8, 8, -1, 8).swapaxes(1, 2)
    numbers = shifted(dct @ shifted(blocks @ dct.T, 11), 15)
    stored = np.sign(numbers) * np.floor((np.abs(numbers) + 4 * table) / (8 * table)) * table
    found = np.clip(shifted(shifted(dct.T @ stored, 11) @ dct, 18) + 128, 0, 255)
    return found.swapaxes(1, 2).reshape(padded.shape)[:height, :width].astype(np.uint8)


@lru_cache(maxsize=None)
def cubic_weights(source: int, target: int) -> np.ndarray:
    """OpenCV's INTER_CUBIC along one axis, (target, source): Keys' kernel with -0.75, borders repeated."""
    x = (np.arange(target) + 0.5) * (source / target) - 0.5
    first, a = np.floor(x).astype(int) - 1, -0.75
    weights = np.zeros((target, source))
    for tap in range(4):
        d = np.abs(x - first - tap)
        near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        np.add.at(weights, (np.arange(target), np.clip(first + tap, 0, source - 1)), np.where(d <= 1, near, far))
    return weights


@lru_cache(maxsize=None)
def area_weights(source: int, target: int) -> np.ndarray:
    """OpenCV's INTER_AREA along one axis, (target, source): how much of each target pixel lies on a source pixel."""
    begin = np.arange(target)[:, None] * (source / target)
    end, pixel = np.minimum(begin + source / target, source), np.arange(source)
    overlap = np.clip(np.minimum(end, pixel + 1) - np.maximum(begin, pixel), 0, 1)
    overlap[overlap < 1e-3] = 0
    return overlap / (end - begin)


def resized(plane: np.ndarray, size: int) -> Tuple[np.ndarray, float]:
    """uint8 (h, w) -> ((size, size), scale), zeros below and to the right: bicubic when enlarging, else by area."""
    height, width = plane.shape
    scale = size / max(height, width)
    tall, wide = (max(int(round(side * scale)), 1) for side in (height, width))
    target = np.zeros((size, size), np.uint8)
    if scale == 1:
        target[:height, :width] = plane
        return target, scale
    weights = cubic_weights if scale > 1 else area_weights
    values = weights(height, tall) @ plane.astype(np.float64) @ weights(width, wide).T
    halves = height == 2 * tall and width == 2 * wide  # where OpenCV rounds halves up
    values = np.floor(values + 0.5) if halves else np.rint(np.round(values, 9))
    target[:tall, :wide] = np.clip(values, 0, 255)
    return target, scale
