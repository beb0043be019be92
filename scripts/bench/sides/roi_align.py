"""ROIAlign forward and backward at the size of the ROI head: the pooling here, or MXNet's operator."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable

import numpy as np

from .ours import PACKAGES, mx
from .report import print_record, timed

CHANNELS, CELLS, ROIS, SIZE, STRIDE = 1024, 50, 128, 14, 16


def main() -> int:
    from mxnet import autograd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("ours", "mxnet"))
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--calls", type=int, default=3)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 600, (ROIS, 2)), rng.uniform(16, 200, (ROIS, 2))
    rois = mx.nd.array(np.concatenate([corner, corner + side], axis=1)[None])
    block3 = mx.nd.array(rng.standard_normal((1, CHANNELS, CELLS, CELLS)))
    upstream = mx.nd.array(rng.standard_normal((ROIS, CHANNELS, SIZE, SIZE)))
    block3.attach_grad()
    pool = graph_of(pool_ours if args.which == "ours" else pool_operator)

    def call() -> None:
        with autograd.record():
            pooled = pool(block3, rois)
        pooled.backward(upstream)
        block3.grad.wait_to_read()

    seconds = timed(call, warm_up=args.warm_up, calls=args.calls)
    checks = (
        {"largest difference from MXNet's operator": compare(block3, rois, upstream)} if args.which == "ours" else {}
    )
    print_record(seconds, packages=PACKAGES, checks=checks)
    return 0


def graph_of(pool: Callable[[Any, Any, Any], Any]) -> Any:
    """The pooling as part of a graph, which is how networks run."""
    from mxnet.gluon import nn

    class Pool(nn.HybridBlock):
        def hybrid_forward(self, F: Any, block3: Any, rois: Any) -> Any:
            return pool(F, block3, rois)

    net = Pool()
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def pool_ours(F: Any, block3: Any, rois: Any) -> Any:
    """What the detectors call on a CPU."""
    from gluon_liver.nn.regions.roi_align import roi_matrices, roi_rows

    return roi_matrices(F, block3, *roi_rows(F, rois), stride=STRIDE, size=SIZE)


def pool_operator(F: Any, block3: Any, rois: Any) -> Any:
    """The operator, at the same places: its cell k is centred on STRIDE * (k + 0.5), ours on STRIDE * k + 0.5."""
    corners = F.reshape(rois, (-3, 0)) + (STRIDE - 1) / 2
    rows = F.concat(F.zeros((ROIS, 1)), corners, dim=1)
    return F.contrib.ROIAlign(block3, rows, (SIZE, SIZE), 1 / STRIDE, sample_ratio=2, aligned=True)


def compare(block3: Any, rois: Any, upstream: Any) -> str:
    """Largest differences of the output and of the gradient, relative to the largest value."""
    from mxnet import autograd

    results = []
    for pool in (pool_ours, pool_operator):
        with autograd.record():
            pooled = pool(mx.nd, block3, rois)
        pooled.backward(upstream)
        results.append([pooled.asnumpy(), block3.grad.asnumpy().copy()])
    worst = [float(np.abs(one - other).max() / np.abs(other).max()) for one, other in zip(*results)]
    if max(worst) > 1e-5:
        sys.exit(f"ROIAlign differs from MXNet's operator: output {worst[0]:.1e}, gradient {worst[1]:.1e}")
    return f"output {worst[0]:.1e}, gradient {worst[1]:.1e}"


if __name__ == "__main__":
    sys.exit(main())
