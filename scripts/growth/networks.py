"""Inference with the demo's width and random weights, for the shape of the growth and not for its height."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Sequence

Work = Callable[[], object]


def by_side(folder: Path, side: int) -> Work:
    return _inference("demo-ct", [f"data.size={side}"])


def by_slices(folder: Path, slices: int) -> Work:
    return _inference("demo-r50-2.5d", ["row=null", f"data.slices={slices}"])


def by_phases(folder: Path, phases: int) -> Work:
    return _inference("demo-r50-multimodal", [], phases=[f"phase {number}" for number in range(phases)])


def by_proposals(folder: Path, proposals: int) -> Work:
    return _inference("demo-ct", ["network.rpn.test_pre_nms=3000", f"network.rpn.test_post_nms={proposals}"])


def _inference(name: str, overrides: Sequence[str], **options: Any) -> Work:
    """The third call of a network: the first two make its graph and its memory."""
    import gluon_liver  # before MXNet

    config = gluon_liver.load_config(name, overrides=overrides)
    network: Any = gluon_liver.build_network(config, **options)
    import mxnet as mx

    data, phases = config.data, len(options["phases"]) if options else 1
    images = mx.nd.random.normal(shape=(1, phases, 1, data.slices, data.size, data.size))

    inputs = [images, mx.nd.ones((1, phases))] if phases > 1 else [images]
    network.hybridize()

    def infer() -> None:
        for output in network(*inputs):
            output.wait_to_read()

    infer()
    infer()
    return infer
