"""How good flow is on pairs with known motion, beside no flow at all and OpenCV's DIS."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Sequence

import cv2
import mxnet as mx
import numpy as np

from gluon_liver.metrics.end_point_error import end_point_error

from .flow_file import flow_input
from .flying_shapes import FlowPair
from .liteflownet import LiteFlowNet

Scores = Dict[str, Dict[str, float]]


def score_flow(net: LiteFlowNet, held_out: Mapping[str, Sequence[FlowPair]], *, context: mx.Context) -> Scores:
    """Of each kind of pairs: ``pairs``, and the end-point error in pixels of ``net``, ``zero`` and ``dis``.

    Means over pairs of means over valid pixels; every method is asked for the same whole pictures.
    """
    methods: Dict[str, Callable[[FlowPair], np.ndarray]] = {
        "net": lambda pair: net_flow(net, pair, context=context),
        "zero": lambda pair: np.zeros_like(pair.flow),
        "dis": dis_flow,
    }
    scores: Scores = {}
    for kind, pairs in held_out.items():
        scores[kind] = {"pairs": len(pairs)}
        for name, method in methods.items():
            errors = [end_point_error(method(pair), pair.flow, pair.valid) for pair in pairs]
            scores[kind][name] = float(np.mean(errors))
    return scores


def net_flow(net: LiteFlowNet, pair: FlowPair, *, context: mx.Context) -> np.ndarray:
    """The network's flow of one pair, float32 (2, H, W)."""
    return net(*(flow_input(image[None], context=context) for image in (pair.first, pair.second)))[0].asnumpy()


def dis_flow(pair: FlowPair) -> np.ndarray:
    """Dense Inverse Search (Kroeger et al., ECCV 2016) with OpenCV's preset "medium", on grey: float32 (2, H, W)."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (pair.first, pair.second))
    flow = search.calc(first, second, None)  # type: ignore[call-overload]  # the stubs lack "no flow to start from"
    return np.moveaxis(np.asarray(flow), -1, 0)


def score_table(scores: Scores) -> str:
    """One line a kind of pairs; pixels, and how many times smaller the network's error is than that of no flow."""
    lines = [f"{'held-out pairs':<16}{'pairs':>6}{'net':>9}{'zero flow':>11}{'DIS':>9}{'zero / net':>12}"]
    for kind, score in scores.items():
        count, net, zero, dis = (score[name] for name in ("pairs", "net", "zero", "dis"))
        ratio = f"{zero / net:.1f}" if net > 0 else "-"
        lines.append(f"{kind:<16}{count:>6}{net:>9.3f}{zero:>11.3f}{dis:>9.3f}{ratio:>12}")
    return "\n".join(lines)
