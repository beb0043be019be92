"""Pictures for the written ultrasound sets: speckle with bright boxes, so that a crop tells where it was cut."""

from __future__ import annotations

import cv2
import numpy as np


def picture(size, boxes=(), seed=0):
    """uint8 (H, W, 3) RGB, grey. size: (width, height). boxes: (x1, y1, x2, y2) whole pixels."""
    grey = np.random.default_rng(seed).integers(60, 90, size[::-1]).astype(np.uint8)
    for x1, y1, x2, y2 in boxes:
        grey[y1:y2, x1:x2] = 200
    return np.repeat(grey[..., None], 3, axis=2)


def write_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path
