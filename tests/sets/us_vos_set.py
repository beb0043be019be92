"""Writes masks of videos in the form of Youtube-VOS; returns (video, frame) -> {id: (x1, y1, x2, y2)}."""

from __future__ import annotations

import json
import zlib

import numpy as np
from PIL import Image

from .us_picture import picture, write_picture

SIZE = (64, 48)
PALETTE = [0, 0, 0, 236, 95, 103, 249, 145, 87, *([7] * 759)]


def write_mask(path, ids, palette=True):
    """ids: uint8 (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids, "P" if palette else "L")
    if palette:
        image.putpalette(PALETTE)
    image.save(path)


def write_vos(folder, videos=("003234408d", "0043f083b5"), every=5, frames=3, meta=True, palette=True):
    """Frames are every fifth, as in the set; object 2 appears with the second frame."""
    truth, record = {}, {"videos": {}}
    for place, video in enumerate(videos):
        record["videos"][video] = {"objects": {"1": {"category": "tumor", "frames": []}, "2": {"category": "vessel"}}}
        for number in range(0, frames * every, every):
            name = f"{number:05d}"
            boxes = {1: (4 + number, 6, 20 + number, 20 + place)}
            if number:
                boxes[2] = (40, 30, 52, 41)
            ids = np.zeros(SIZE[::-1], np.uint8)
            for key, (x1, y1, x2, y2) in boxes.items():
                ids[y1:y2, x1:x2] = key
            ids[0, 0] = 255 if palette else 0  # void
            write_picture(
                folder / "JPEGImages" / video / f"{name}.jpg",
                picture(SIZE, boxes.values(), seed=number + zlib.crc32(video.encode()) % 10_000),
            )
            write_mask(folder / "Annotations" / video / f"{name}.png", ids, palette)
            truth[video, number] = boxes
    if meta:
        (folder / "meta.json").write_text(json.dumps(record))
    return truth
