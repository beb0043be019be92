"""Writes DICOM files in the form of B-mode-and-CEUS-Liver: both modes in one frame, with text above and between."""

from __future__ import annotations

import numpy as np

from tests.readers.us_writer import us_region, write_us

HEIGHT, WIDTH = 64, 130
LEFT, RIGHT = (4, 10, 60, 60), (70, 10, 126, 60)  # x2 and y2 exclusive


def two_panels(frames=3, *, tinted=True, b_mode="left", gap=True, seed=0):
    """uint8 (n, H, W, 3): B-mode is grey and bright, contrast mode gold or, before its arrival, nearly black."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((frames, HEIGHT, WIDTH, 3), np.uint8)
    grey, gold = (LEFT, RIGHT) if b_mode == "left" else (RIGHT, LEFT)
    for (x1, y1, x2, y2), kind in ((grey, "grey"), (gold, "gold")):
        speckle = rng.integers(60, 120, (frames, y2 - y1, x2 - x1)).astype(np.uint8)
        if kind == "gold":
            speckle = speckle // (1 if tinted else 12)
        pixels[:, y1:y2, x1:x2] = speckle[..., None]
        if kind == "gold" and tinted:
            pixels[:, y1:y2, x1:x2, 2] //= 4
    if not gap:
        pixels[:, 10:60, 60:70] = 80
    return pixels


def write_ceus(path, pixels, *, regions=(), number=1, patient="LiverUS-01", **more):
    """regions: boxes that the file lists, x2 and y2 exclusive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [us_region((x1, y1, x2 - 1, y2 - 1)) for x1, y1, x2, y2 in regions]
    tags = {"SequenceOfUltrasoundRegions": listed} if listed else {}
    write_us(path, pixels, number=number, patient=patient, **tags, **more)
    return path
