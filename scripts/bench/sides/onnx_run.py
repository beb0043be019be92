"""Graphs of onnx_export in onnxruntime, without MXNet: one image, or frames one after the other as ``watch`` does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from gluon_liver.onnx.session import Session

from .report import print_record, timed

PACKAGES = ("onnxruntime", "numpy")
NEAR = 2.0  # pixels between two boxes that are the same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=Path, required=True)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--calls", type=int, default=5)
    args = parser.parse_args()
    end = "-int8.onnx" if args.int8 else ".onnx"
    run = stream if (args.graphs / f"frame{end}").is_file() else image
    run(args.graphs, end, args.calls)
    return 0


def image(folder: Path, end: str, calls: int) -> None:
    session = Session(folder / f"detector{end}")
    with np.load(folder / "check.npz") as file:
        stored = dict(file)
    block, size = int(stored["block"]), int(stored["size"])
    grey = stored["coarse"].repeat(block, axis=-1).repeat(block, axis=-2)[..., :size, :size]
    feeds = {"image": np.ascontiguousarray(grey * stored["scale"] + stored["shift"], dtype=np.float32)}
    if "present" in session.inputs:
        feeds["present"] = stored["present"]
    checks = {"detections": partners(session.run(feeds), stored)}
    print_record(timed(lambda: session.run(feeds), warm_up=0, calls=calls), packages=PACKAGES, checks=checks)


def partners(found: Dict[str, np.ndarray], stored: Dict[str, Any]) -> str:
    """How many detections have one of MXNet's beside them."""
    theirs: List[int] = list(np.flatnonzero(stored["classes"][0] >= 0))
    count, mine = len(theirs), np.flatnonzero(found["classes"][0] >= 0)
    for row in mine:
        near = [one for one in theirs if stored["classes"][0, one] == found["classes"][0, row]]
        apart = [np.abs(stored["boxes"][0, one] - found["boxes"][0, row]).max() for one in near]
        if near and min(apart) < NEAR:
            theirs.remove(near[int(np.argmin(apart))])
    return f"are within {NEAR:g} pixels of {count - len(theirs)} of MXNet's {count} with random weights"


def stream(folder: Path, end: str, calls: int) -> None:
    frame_net, rest = Session(folder / f"frame{end}"), Session(folder / f"stream{end}")
    size = int(frame_net.inputs["frame"][-1])
    scene = np.random.default_rng(2).integers(0, 256, (3, size // 8 + 8, size // 8 + 8), np.uint8)
    scene = scene.repeat(8, axis=1).repeat(8, axis=2)
    place = 0
    before: Dict[str, np.ndarray] = {}

    def call() -> None:  # the scene moves by a few pixels a frame
        nonlocal place, before
        place = (place + 3) % 60
        frame = np.ascontiguousarray(scene[None, :, place : place + size, place : place + size] / np.float32(255))
        now = {"frame": frame, **frame_net.run({"frame": frame})}
        old = before or now
        every = {**now, "previous": old["frame"], "previous_map": old["frame_map"]}
        rest.run({name: every[name] for name in rest.inputs})
        before = now

    print_record(timed(call, warm_up=2, calls=max(5, calls)), packages=PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
