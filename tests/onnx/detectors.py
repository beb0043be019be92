"""Tiny detectors of every reading, and inputs for them."""

import mxnet as mx
import numpy as np

from gluon_liver.config.load import build_config
from gluon_liver.nn.build import make_detector
from scripts.measure_onnx import randomise
from tests.nn.conftest import network

SIZE = 64
CLASSES = ("cyst", "hemangioma", "hcc")
CT, US, FLOW = "ct-faster-rcnn", "us-faster-rcnn", "us-flow"

# name -> model, data.slices, phases, keys of flow, keys of network
READINGS = {
    "r50": (CT, 1, 1, {}, {}),
    "r101 centre": (CT, 9, 1, {}, {"depth": 101, "slice_fusion": "centre"}),
    "r50 pools, multi-modal": (CT, 9, 3, {}, {"relation": "full"}),
    "r50 1x7x7, position": (CT, 9, 2, {}, {"relation": "position", "stem": "1x7x7", "slice_fusion": "pools"}),
    "r50 channels, same cell": (CT, 9, 2, {}, {"relation": "same_cell", "slice_fusion": "channels"}),
    "fusion, texture, multi-modal": (CT, 3, 3, {}, {"relation": "full", "fusion": True, "texture_head": True}),
    "fusion of block3": (CT, 1, 1, {}, {"fusion": True, "fusion_blocks": "block3", "stride": 8}),
    "relation by content": (CT, 1, 2, {}, {"relation": "full", "relation_reach": None}),
    "roi pool": (CT, 1, 1, {}, {"roi_mode": "pool"}),
    "group norm": (CT, 1, 1, {}, {"batch_norm": "group"}),
    "many proposals": (CT, 1, 1, {}, {"rpn__test_post_nms": 160, "rpn__nms_threshold": 0.9}),
    "us": (US, 1, 1, {}, {}),
    "us-flow": (FLOW, 1, 1, {"shrink": 2}, {}),
    "us-flow warp": (FLOW, 1, 1, {"last_level": 4}, {"aggregation": "warp"}),
    "us-flow zero": (FLOW, 1, 1, {"estimate": "zero"}, {}),
}


def detector_of(reading):
    """A detector whose every parameter is random: what starts as zero, or as the identity, shows too."""
    model, slices, phases, flow, changes = READINGS[reading]
    changes = {"relation": "off", "rpn__anchor_sizes": [8, 16, 24, 32], "rpn__nms_threshold": 0.7, **changes}
    tree = {"model": model, "row": None, "data": {"size": SIZE, "slices": slices}, "network": network(**changes)}
    if model == FLOW:
        tree["flow"] = {"width": 0.125, **flow}
    mx.random.seed(0)
    detector = make_detector(build_config(tree), classes=CLASSES, phases=phases, context=mx.cpu())
    randomise(detector)
    return detector


def inputs_of(detector, batch, seed=0):
    """Feeds of ``detector.onnx``: images, and phases of which the last one of the second image is absent."""
    rng = np.random.default_rng(seed)
    if hasattr(detector, "frames"):
        first = rng.uniform(0, 1, (batch, 1, 3, SIZE + 8, SIZE + 8))
        frames = [first[..., 2 * at : 2 * at + SIZE, at : at + SIZE] for at in range(detector.frames)]
        return {"image": np.concatenate(frames, axis=1).astype(np.float32)}
    shape = (batch, detector.phases, 1, detector.slices, SIZE, SIZE)
    feeds = {"image": rng.normal(size=shape).astype(np.float32)}
    if detector.phases > 1:
        feeds["present"] = np.ones((batch, detector.phases), np.float32)
        feeds["present"][1:, -1] = 0
    return feeds
