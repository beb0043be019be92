"""The detector that a configuration names."""

from __future__ import annotations

from typing import Sequence

from gluon_liver.config.schema import Config

from .ct_detector import CTDetector
from .rcnn import Contexts, RegionDetector, initialize
from .us_detector import USDetector


def make_detector(config: Config, *, classes: Sequence[str], phases: int = 1, context: Contexts) -> RegionDetector:
    """The initialised detector of a configuration, on one device or several; ``phases`` is of CT."""
    network, data = config.network, config.data
    detector: RegionDetector
    if config.model == "ct-faster-rcnn":
        detector = CTDetector(network, classes=classes, slices=data.slices, size=data.size, phases=phases)
    else:
        flow = config.flow if config.model == "us-flow" else None
        detector = USDetector(network, classes=classes, size=data.size, flow=flow)
    initialize(detector, context)
    return detector
