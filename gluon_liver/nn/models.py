"""The detector that a configuration names."""

from __future__ import annotations

from typing import Sequence

import mxnet as mx

from ..config import Config
from .detector import CTDetector
from .regions import RegionDetector, initialize


def make_detector(config: Config, *, classes: Sequence[str], phases: int = 1, context: mx.Context) -> RegionDetector:
    """The initialised detector of a configuration; ``phases`` is of CT."""
    detector = CTDetector(
        config.network, classes=classes, slices=config.data.slices, size=config.data.size, phases=phases
    )
    initialize(detector, context)
    return detector
