"""Write a network with random weights as graphs, in float32 and int8, with an input and MXNet's answer to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Iterator

import numpy as np

from .ours import options, random_detector, read_config

IMAGES = 4  # that ranges of int8 are seen in: nothing is detected with random weights


def main() -> int:
    from gluon_liver.onnx.check_file import write_check
    from gluon_liver.onnx.graphs import GRAPHS
    from gluon_liver.onnx.quantised import quantised

    parser = options(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    detector = random_detector(read_config(args), phases=args.phases)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in ("frame", "stream") if hasattr(detector, "frames") else ("detector",):
        model = GRAPHS[name](detector)
        (args.out / f"{name}.onnx").write_bytes(model.SerializeToString())
        shapes = {
            one.name: [axis.dim_value or 1 for axis in one.type.tensor_type.shape.dim] for one in model.graph.input
        }
        small = quantised(model, random_feeds(shapes))
        (args.out / f"{name}-int8.onnx").write_bytes(small.SerializeToString())
    write_check(args.out, detector)
    return 0


def random_feeds(shapes: Dict[str, list]) -> Iterator[Dict[str, np.ndarray]]:
    """Squares of random greys, and 1 for what is no picture."""
    rng = np.random.default_rng(1)
    for _ in range(IMAGES):
        feeds = {}
        for name, shape in shapes.items():
            if len(shape) < 3:
                feeds[name] = np.ones(shape, np.float32)
                continue
            coarse = rng.random((*shape[:-2], -(-shape[-2] // 8), -(-shape[-1] // 8)), np.float32)
            feeds[name] = coarse.repeat(8, axis=-1).repeat(8, axis=-2)[..., : shape[-2], : shape[-1]]
        yield feeds


if __name__ == "__main__":
    sys.exit(main())
