"""How far the flow that the detector's cells read departs from the truth, by resolution and last level of LiteFlowNet.

    python scripts/measure_flow.py FLOW_DIR PHANTOMS

FLOW_DIR: of `train-flow`. PHANTOMS: of `phantom us`; the patients that `train-flow` holds out are taken. For each
``flow.shrink`` and ``flow.last_level``: the mean end-point error over pixels, and over cells of 8 and 16 pixels, to
which flow and truth are averaged as the aggregation does; all in pixels, where nine tenths of a cell are valid.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Dict, List, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.flow.flow_file import find_flow, flow_input
from gluon_liver.flow.flying_shapes import FlowPair
from gluon_liver.flow.liteflownet import LiteFlowNet
from gluon_liver.flow.operators import enlarge_flow, shrink
from gluon_liver.flow.phantom_pairs import read_pairs
from gluon_liver.flow.released_weights import load_flow
from gluon_liver.nn.fusion import averaging

STRIDES = (8, 16)


def cells_of(maps: np.ndarray, stride: int) -> np.ndarray:
    """(C, H, W) -> means over one stride around each cell's pixel, (C, h, w)."""
    rows, columns = (averaging(side, 1, -(-side // stride), stride) for side in maps.shape[1:])
    return np.asarray(rows @ maps @ columns.T)


def estimate(net: LiteFlowNet, pair: FlowPair, factor: int) -> Tuple[np.ndarray, float]:
    """The flow (2, H, W) of a pair at a resolution, and seconds."""
    height, width = pair.valid.shape
    margins = [(0, -side % factor) for side in (height, width)] + [(0, 0)]
    frames = [
        flow_input(np.pad(one, margins, mode="edge")[None], context=mx.cpu()) for one in (pair.first, pair.second)
    ]
    start = time.perf_counter()
    if factor > 1:
        frames = [shrink(mx.nd, frame, factor) for frame in frames]
    flow = net(*frames)
    flow = (enlarge_flow(mx.nd, flow, factor) if factor > 1 else flow).asnumpy()
    return flow[0, :, :height, :width], time.perf_counter() - start


def errors(flow: np.ndarray, pair: FlowPair) -> List[float]:
    """Mean end-point errors over pixels, and over cells of each of ``STRIDES``."""
    lengths = [np.hypot(*(flow - pair.flow))[pair.valid].mean()]
    for stride in STRIDES:
        known = cells_of(pair.valid[None].astype(float), stride)[0]
        truth = cells_of(np.where(pair.valid, pair.flow, 0), stride) / np.maximum(known, 1e-9)
        lengths.append(np.hypot(*(cells_of(flow, stride) - truth))[known >= 0.9].mean())
    return [float(length) for length in lengths]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flow", type=Path, help="folder of train-flow")
    parser.add_argument("phantoms", type=Path, help="folder of phantom us")
    args = parser.parse_args()
    file, pairs = find_flow(args.flow), read_pairs(args.phantoms).held_out
    still = np.mean([errors(np.zeros_like(pair.flow), pair) for pair in pairs], axis=0)
    print(f"{len(pairs)} pairs; no flow: " + ", ".join(f"{error:.3f}" for error in still))
    print(
        f"{'shrink':<8}{'last level':<12}{'pixels':>8}" + "".join(f"{f'cells {s}':>10}" for s in STRIDES) + f"{'ms':>8}"
    )
    nets: Dict[int, LiteFlowNet] = {}
    for level in (2, 3, 4, 5):
        nets[level] = LiteFlowNet(width=file.width, last_level=level)
        load_flow(nets[level], file.path)
        nets[level].hybridize()
    for factor in (1, 2, 4):
        for level, net in nets.items():
            estimate(net, pairs[0], factor)
            found = [(errors(flow, pair), seconds) for pair in pairs for flow, seconds in [estimate(net, pair, factor)]]
            mean, ms = np.mean([one for one, _ in found], axis=0), 1e3 * np.median([seconds for _, seconds in found])
            row = "".join(f"{error:>{width}.3f}" for error, width in zip(mean, (8, 10, 10)))
            print(f"{factor:<8}{level:<12}{row}{ms:>8.1f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
