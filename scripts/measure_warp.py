"""Where the previous frame's cells land by the flow, on the true motion of ultrasound phantoms.

    python scripts/measure_warp.py

The flow f is given at pixels of the previous frame. Compared are ways to sample the previous map at a current cell q:
still (at q), along the flow (q + f(q)), against it (q - f(q)), and as network.aggregation warp does, against the flow
of where the cell came from (q - f(q - f(q))). Prints the mean distance in cells to the cell's true place before, at
cells that both frames see, and how much a map of mean grey values then differs from the current one's.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np
from scipy.ndimage import map_coordinates

from gluon_liver.nn.fusion import averaging
from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.probe import tissue_motion
from gluon_liver.phantoms.us.sweep import make_us_scene

SCENES = 8
STRIDES = (8, 16)
MOTIONS = {
    "default": USPhantomConfig(density=0.1),
    "10 mm a frame": USPhantomConfig(density=0.1, in_plane_mm=10.0, elevation_mm=0.0),
    "10 mm and 5 degrees": USPhantomConfig(density=0.1, in_plane_mm=10.0, elevation_mm=0.0, turn_deg=5.0),
}


def cells_of(maps: np.ndarray, stride: int) -> np.ndarray:
    """(C, H, W) -> means over one stride around each cell's pixel, (C, h, w)."""
    matrix = averaging(maps.shape[-1], 1, -(-maps.shape[-1] // stride), stride)
    return np.asarray(matrix @ maps @ matrix.T)


def sampled(maps: np.ndarray, offset: np.ndarray, mode: str) -> np.ndarray:
    """Maps (C, h, w) at each cell moved by an offset (2, h, w), x before y, bilinear."""
    places = np.mgrid[: maps.shape[1], : maps.shape[2]] + offset[::-1]
    return np.stack([map_coordinates(one, places, order=1, mode=mode) for one in maps])


def offsets(flow: np.ndarray, truth: np.ndarray) -> Dict[str, np.ndarray]:
    """Where each way samples, less the cell itself."""
    back = -sampled(flow, -flow, "nearest")
    return {"still": 0 * flow, "q + f(q)": flow, "q - f(q)": -flow, "q - f(q - f(q))": back, "true": truth}


def scene(config: USPhantomConfig, index: int, stride: int) -> Dict[str, Tuple[float, float]]:
    """For each way the mean distance to the true place in cells, and the mean difference of the maps."""
    made = make_us_scene(config, seed=3, index=index, frames=2)
    frames = made.frames.astype(float).reshape(2, config.size, config.size, -1).mean(axis=-1)
    there, back = made.motions[0], tissue_motion(made.fan, made.poses[1], made.poses[0])
    seen = [cells_of(one.valid[None].astype(float), stride)[0] for one in (there, back)]
    flow, truth = (
        cells_of(one.flow.astype(float), stride) / np.maximum(known, 1e-9) / stride
        for one, known in zip((there, back), seen)
    )
    inside, (before, after) = seen[1] > 0.9, cells_of(frames, stride)
    return {
        way: (
            float(np.hypot(*(offset - truth))[inside].mean()),
            float(np.abs(sampled(before[None], offset, "constant")[0] - after)[inside].mean()),
        )
        for way, offset in offsets(flow, truth).items()
    }


def main() -> int:
    print("| motion | stride | " + " | ".join(offsets(*np.zeros((2, 2, 2, 2)))) + " |")
    for name, config in MOTIONS.items():
        for stride in STRIDES:
            found: List[Dict[str, Tuple[float, float]]] = [scene(config, index, stride) for index in range(SCENES)]
            means = (np.mean([one[way] for one in found], axis=0) for way in found[0])
            print(f"| {name} | {stride} | " + " | ".join(f"{cells:.4f} / {grey:.2f}" for cells, grey in means) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
