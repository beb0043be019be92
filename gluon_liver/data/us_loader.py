"""From a prepared ultrasound dataset to what a network sees: the previous and the current frame, and boxes."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, Sequence, Tuple

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.structures.boxes import scale_boxes

from .ct_loader import OPEN_MAPS
from .images import resize_square
from .samples import Sample
from .us_dataset import USDataset
from .us_labels import USLabel


class USLoader:
    """Loads labelled frames, for the model us-flow behind their previous frames; nothing has to be prepared."""

    def __init__(self, dataset: USDataset, config: Config, *, cases: Sequence[str] = (), progress: bool = False):
        self._dataset, self._size, self._frames = dataset, config.data.size, 2 if config.model == "us-flow" else 1
        self._before = config.data.previous_frame == "before"
        self._open: Callable[[str], np.ndarray] = lru_cache(OPEN_MAPS)(dataset.frames)

    def labelled(self, label: USLabel) -> Sample:
        """Frames (frames, 3, size, size), the current one last, and its boxes.

        The first frames of a scene are their own previous frames (:meth:`USDataset.previous_frame`); with
        ``data.previous_frame: current`` all are.
        """
        previous = self._dataset.previous_row(label) if self._before else label.row
        rows = [previous, label.row][-self._frames :]
        image, scale = network_frames(self._open(label.case)[rows], self._size)
        return Sample(image, scale_boxes(label.boxes, scale), label.labels, scale)


def network_frames(frames: np.ndarray, size: int) -> Tuple[np.ndarray, float]:
    """uint8 (n, H, W, 3) RGB -> (uint8 (n, 3, size, size), network pixels per pixel).

    The aspect is kept, zeros lie below and to the right; bicubic when enlarging, else by area.
    """
    return resize_square(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)), size)
