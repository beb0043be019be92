"""8-bit images to the numbers that a network takes."""

from __future__ import annotations

import numpy as np

# mean and standard deviation of ImageNet in grey, so that transferred weights see what they were trained on
GREY_MEAN, GREY_STD = 0.449, 0.226


def normalise(images: np.ndarray) -> np.ndarray:
    """uint8 grey -> float32 with ImageNet's grey mean and deviation, as the CT network takes it."""
    return (images.astype(np.float32) / 255.0 - GREY_MEAN) / GREY_STD


def unit_range(images: np.ndarray) -> np.ndarray:
    """uint8 -> float32 from 0 to 1, as the ultrasound networks take it."""
    return images.astype(np.float32) / np.float32(255.0)
