"""Seconds a frame of both ultrasound models in a stream, and how much longer us-flow takes than us-faster-rcnn.

    python scripts/measure_stream.py --size 320 --width 1 0.5 --proposals 100 30
    python scripts/measure_stream.py --demo

Random weights on a moving picture; the two models take frames in turn, so that both meet the same machine. ``--demo``
takes the configurations of ``make demo-us`` with their own size, width and proposals. ``--set`` reaches every knob.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List, Sequence

import cv2
import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.inference.stream import StreamDetector

MODELS = ("us-flow", "us-faster-rcnn")
WARM_UP = 3  # frames: the first plans the graphs, the second fills the caches of primitives


def moving_frames(count: int, size: int) -> List[np.ndarray]:
    """uint8 (size, size, 3): blurred noise that moves by a pixel a frame right and down."""
    noise = np.random.default_rng(0).integers(0, 255, (size + count, size + count, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 2)
    return [np.ascontiguousarray(picture[k : k + size, k : k + size]) for k in range(count)]


def make_stream(name: str, overrides: Sequence[str]) -> StreamDetector:
    """A stream of an experiment with random weights, the same ones each time."""
    import mxnet as mx

    from gluon_liver.nn.build import make_detector

    mx.random.seed(0)
    config = load_config(name, overrides=overrides)
    detector = make_detector(config, classes=("tumor", "vessel"), context=mx.cpu())
    return StreamDetector(SliceDetector(detector, config=config, context=mx.cpu()))


def measure(prefix: str, overrides: Sequence[str], *, frames: int) -> Dict[str, Any]:
    """Medians of seconds a frame by model, their spread (10th and 90th percentile) and the ratio."""
    size = load_config(prefix + MODELS[0], overrides=overrides).data.size
    streams = {}
    for model in MODELS:
        mine = [one for one in overrides if model == "us-flow" or not one.startswith("flow.")]
        streams[model] = make_stream(prefix + model, mine)
    seconds: Dict[str, List[float]] = {model: [] for model in MODELS}
    for frame in moving_frames(WARM_UP + frames, size):
        for model, stream in streams.items():
            start = time.perf_counter()
            stream.detect(frame)
            seconds[model].append(time.perf_counter() - start)
    timed = {model: values[WARM_UP:] for model, values in seconds.items()}
    medians = {model: float(np.median(values)) for model, values in timed.items()}
    spreads = {model: [float(edge) for edge in np.percentile(values, (10, 90))] for model, values in timed.items()}
    return {"seconds": medians, "spread": spreads, "ratio": medians[MODELS[0]] / medians[MODELS[1]]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", action="store_true", help="the demo's configurations as they are")
    parser.add_argument("--size", type=int, default=320, help="side of the network's input (default 320)")
    parser.add_argument("--width", type=float, nargs="+", default=[1.0], help="network.width and flow.width")
    parser.add_argument("--proposals", type=int, nargs="+", default=[100], help="network.rpn.test_post_nms")
    parser.add_argument("--frames", type=int, default=12, help="timed frames of each model (default 12)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further knobs")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    cases = [("demo", "demo-", [])] if args.demo else []
    for width in () if args.demo else args.width:
        for count in args.proposals:
            knobs = [f"data.size={args.size}", f"network.width={width}", f"flow.width={width}"]
            cases.append((f"{width:g}, {count}", "", [*knobs, f"network.rpn.test_post_nms={count}"]))
    print(f"{'width, proposals':<18}{'us-flow s':>12}{'us-faster-rcnn s':>18}{'frames/s':>10}{'ratio':>8}")
    rows = []
    for name, prefix, knobs in cases:
        row = measure(prefix, [*knobs, *args.set], frames=args.frames)
        flow, plain = (row["seconds"][model] for model in MODELS)
        print(f"{name:<18}{flow:>12.3f}{plain:>18.3f}{1 / flow:>10.2f}{row['ratio']:>8.2f}", flush=True)
        rows.append({"case": name, **row})
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
