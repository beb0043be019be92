"""The detector that a configuration names."""

from __future__ import annotations

from typing import Sequence

from gluon_liver.config.schema import Config

from .ct_detector import CTDetector
from .rcnn import Contexts, RegionDetector, initialize
from .us_detector import USDetector


def make_detector(config: Config, *, classes: Sequence[str], phases: int = 1, context: Contexts) -> RegionDetector:
    """The initialised detector of a configuration, on one device or several; ``phases`` is of CT."""
    size = config.data.size
    if config.is_ct:
        detector = CTDetector(config.network, classes=classes, slices=config.data.slices, size=size, phases=phases)
    else:
        flow = config.flow if config.model == "us-flow" else None
        detector = USDetector(config.network, classes=classes, size=size, flow=flow)
    initialize(detector, context)
    return detector
