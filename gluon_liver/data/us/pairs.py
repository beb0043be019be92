"""From a prepared ultrasound dataset to what a network sees: the previous and the current frame, and boxes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..image import resize_square, scale_boxes
from .dataset import UltrasoundDataset
from .scenes import FrameLabel

OPEN_MAPS = 64  # each holds a file descriptor, of which a process has about a thousand


@dataclass(frozen=True)
class PairSample:
    """One network input.

    frames: float32 (2, 3, size, size), previous and current frame, RGB in 0..1, aspect kept, zeros below and to the
    right. boxes: float32 (n, 4) corners in pixels of the network input, of the current frame. labels: int32 (n,).
    scale: network pixels per stored pixel. has_previous: False where the frame is its own previous one.
    """

    frames: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scale: float
    has_previous: bool


class PairLoader:
    """Loads labelled frames with their previous frames, ``size`` pixels square."""

    def __init__(self, dataset: UltrasoundDataset, labels: Sequence[FrameLabel], *, size: int):
        self.labels = list(labels)
        self._dataset, self._size = dataset, size
        self._maps: "OrderedDict[str, np.ndarray]" = OrderedDict()

    def __len__(self) -> int:
        return len(self.labels)

    def pair(self, index: int) -> PairSample:
        """Frames and boxes of ``labels[index]``."""
        label = self.labels[index]
        previous = self._dataset.previous_row(label)
        stored = self._open(label.case)[[previous, label.row]]
        frames, scale = pair_input(stored, self._size)
        return PairSample(frames, scale_boxes(label.boxes, scale), label.labels, scale, previous != label.row)

    def _open(self, case: str) -> np.ndarray:
        if case not in self._maps:
            self._maps[case] = self._dataset.frames(case)
            if len(self._maps) > OPEN_MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(case)
        return self._maps[case]


def pair_input(frames: np.ndarray, size: int):
    """uint8 (n, H, W, 3) RGB -> (float32 (n, 3, size, size) in 0..1, scale); bicubic when enlarging, else by area."""
    planes, scale = resize_square(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)), size)
    return planes.astype(np.float32) / np.float32(255), scale
