"""The detector that a configuration names."""

from __future__ import annotations

from typing import Callable, Dict, Sequence

from gluon_liver.config.schema import Config

from .ct_detector import CTDetector
from .rcnn import Contexts, RegionDetector, initialize
from .us_detector import USDetector


def _ct(config: Config, *, classes: Sequence[str], phases: int) -> CTDetector:
    data = config.data
    return CTDetector(config.network, classes=classes, slices=data.slices, size=data.size, phases=phases)


def _us(config: Config, *, classes: Sequence[str], phases: int) -> USDetector:
    return USDetector(config.network, classes=classes, size=config.data.size)


def _us_flow(config: Config, *, classes: Sequence[str], phases: int) -> USDetector:
    return USDetector(config.network, classes=classes, size=config.data.size, flow=config.flow)


MAKERS: Dict[str, Callable[..., RegionDetector]] = {"ct-faster-rcnn": _ct, "us-faster-rcnn": _us, "us-flow": _us_flow}


def make_detector(config: Config, *, classes: Sequence[str], phases: int = 1, context: Contexts) -> RegionDetector:
    """The initialised detector of a configuration, on one device or several; ``phases`` is of CT."""
    detector = MAKERS[config.model](config, classes=classes, phases=phases)
    initialize(detector, context)
    return detector
