"""Flow as a picture (ultrasound paper, Fig. 3)."""

from __future__ import annotations

import numpy as np

GREY = 111  # of a pixel that does not move


def flow_picture(flow: np.ndarray) -> np.ndarray:
    """Flow (2, H, W) in pixels, (dx, dy) -> uint8 (H, W, 3) RGB: red 111 + dx, green 111 + dy, blue 111, 0 to 255."""
    picture = np.full(flow.shape[1:] + (3,), GREY, np.uint8)
    picture[..., :2] = np.rint(np.clip(GREY + np.moveaxis(flow, 0, -1), 0, 255))
    return picture
