"""The features of LiteFlowNet before the rest of it: taught to match, so that flow is learned in minutes.

Trained on end-point errors alone, a network of a quarter of the channels still predicted no motion after 600 steps on
a CPU: costs of matching say nothing until the features do, and nothing teaches the features until the costs are read.
So the features learn first, with the cost volume as class scores of the 49 displacements. This is no part of the
paper; the release takes 300,000 steps instead.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import mxnet as mx
import numpy as np

from .liteflownet import LEVELS, FlowPyramid
from .loss import Target
from .modules import SLOPE, SPARSE
from .operators import DISPLACEMENTS, MAX_DISPLACEMENT, correlation

MATCHED = (5, 4, 3, 2)  # a cell of level 6 is 32 pixels: what moves there is told by level 5 as well
SHARPNESS = 20.0  # what costs, means over channels, are multiplied by to be scores


def start_features(pyramid: FlowPyramid, images: mx.nd.NDArray) -> None:
    """Set filters of the features to a sum of 0 and of the outputs' SD to 1 on images (B, 3, H, W), layer by layer.

    Products of features of random filters are mostly those of brightness, which is everywhere.
    """
    x = mx.nd.broadcast_sub(images, pyramid.first_mean.data(images.context))
    for level in range(1, 7):
        for layer in getattr(pyramid.features, f"level{level}"):
            x = _normalise(layer, x) if hasattr(layer, "weight") else layer(x)


def start_flows(pyramid: FlowPyramid) -> None:
    """Set the filters that give flow to 0: the network starts by predicting no motion."""
    for name, parameter in pyramid._collect_params_with_prefix().items():
        if name.endswith(".flow.weight"):
            parameter.set_data(mx.nd.zeros(parameter.shape))


def matching_parameters(pyramid: FlowPyramid) -> List[mx.gluon.Parameter]:
    """What :func:`matching_losses` depends on: the features of levels 1 to 5, and what widens those of level 2."""
    wanted = [f"features.level{level}." for level in range(1, 6)] + ["level2.widen."]
    named = pyramid._collect_params_with_prefix().items()
    return [parameter for name, parameter in named if any(map(name.startswith, wanted))]


def matching_losses(costs: Dict[int, mx.nd.NDArray], targets: Sequence[Target]) -> Dict[int, mx.nd.NDArray]:
    """By level, the cross-entropy of the costs of :func:`matching_costs` with the true displacements, a scalar.

    Means over the cells that move within reach.
    """
    losses = {}
    for level, cost in costs.items():
        labels, known = (
            mx.nd.array(array, ctx=cost.context) for array in matching_labels(targets[LEVELS.index(level)], level)
        )
        agreement = (mx.nd.log_softmax(cost * SHARPNESS, axis=1) * labels).sum(axis=1)
        losses[level] = -(agreement * known).sum() / max(float(known.sum().asscalar()), 1.0)
    return losses


def step_of(level: int) -> int:
    """Pixels of the input between two displacements that a level compares."""
    return 2 ** (level - 1) * (2 if level in SPARSE else 1)


def within_reach(target: Target, level: int) -> np.ndarray:
    """float32 (B, h, w): 1 where half of the cell or more is valid and moves by what is compared, else 0."""
    reached = np.abs(target.flow).max(axis=1) <= MAX_DISPLACEMENT * step_of(level)
    return (reached & (target.share[:, 0] >= 0.5)).astype(np.float32)


def matching_costs(pyramid: FlowPyramid, first: mx.nd.NDArray, second: mx.nd.NDArray) -> Dict[int, mx.nd.NDArray]:
    """By level, the cost volume of two images (B, 3, H, W) that are not warped: (B, 49, h', w')."""
    means = pyramid.first_mean.data(first.context), pyramid.second_mean.data(first.context)
    # both images in one run: a hybridized block with static memory holds one run for the backward pass
    images = mx.nd.concat(*map(mx.nd.broadcast_sub, (first, second), means), dim=0)
    maps = pyramid.features(images)
    costs = {}
    for level in MATCHED:
        features = pyramid.level2.widen(maps[level - 1]) if level == 2 else maps[level - 1]
        pair = mx.nd.split(features, num_outputs=2, axis=0)
        costs[level] = correlation(mx.nd, *pair, stride=2 if level in SPARSE else 1)
    return costs


def start_decoders(pyramid: FlowPyramid, costs: Dict[int, mx.nd.NDArray]) -> None:
    """Set what reads the costs so that it sees their differences, in units of their SD."""
    for level, cost in costs.items():
        layer = getattr(pyramid, f"level{level}").matching.decoder[0]
        _normalise(layer, mx.nd.LeakyReLU(cost, slope=SLOPE))


def _normalise(layer: mx.gluon.nn.Conv2D, x: mx.nd.NDArray) -> mx.nd.NDArray:
    """Filters of sum 0 and outputs of SD 1 for these inputs; returns the outputs."""
    weight = layer.weight.data(x.context)
    layer.weight.set_data(weight - weight.mean(axis=(1, 2, 3), keepdims=True))
    spread = float(layer(x).asnumpy().std())
    layer.weight.set_data(layer.weight.data(x.context) / max(spread, 1e-6))
    return layer(x)


def matching_labels(target: Target, level: int) -> Tuple[np.ndarray, np.ndarray]:
    """A level's truth (B, 2, h, w) -> labels float32 (B, 49, h', w') and known float32 (B, h', w').

    Labels are as :func:`correlation` orders displacements and add up to 1: a motion between four of them is shared
    among these as in bilinear interpolation. Known is :func:`within_reach`. h' is h, or h / 2 on the levels that
    correlate every second cell.
    """
    stride = 2 if level in SPARSE else 1
    steps = target.flow[:, :, ::stride, ::stride] / step_of(level)
    known = within_reach(target, level)[:, ::stride, ::stride]
    places = np.arange(-MAX_DISPLACEMENT, MAX_DISPLACEMENT + 1).reshape(1, -1, 1, 1)
    right, down = (np.maximum(0.0, 1.0 - np.abs(steps[:, [axis]] - places)) for axis in (0, 1))
    labels = (down[:, :, None] * right[:, None]).reshape(steps.shape[:1] + (DISPLACEMENTS,) + steps.shape[2:])
    return labels.astype(np.float32), known
