"""Where tumors lie in ultrasound phantoms, and what their own frame and the one before tell about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.frames import random_effects
from gluon_liver.phantoms.us.probe import tissue_motion
from gluon_liver.phantoms.us.sweep import PhantomScene, make_us_scene, render

from .learner import held_out_area

CELL = 8.0  # pixels of a frame of 192 that a cell of demo-us-flow covers
SIDE = 5  # of the grid of means that a learner sees of a place
VIEWS = ("own frame", "frame before, same place", "frame before, moved by the exact flow")


@dataclass(frozen=True)
class Place:
    """Where a tumor lies, or would if it had not been taken away. views: features by the name of the view."""

    scene: int
    tumor: bool
    hidden: bool
    views: Dict[str, np.ndarray]


def places(config: USPhantomConfig, scenes: int, *, seed: int = 0) -> List[Place]:
    """Where tumors lie in second frames; from every other scene they were taken away before it was drawn."""
    config, found = replace(config, background_fraction=0.0, tumors=(1, 1)), []
    for index in range(scenes):
        scene, there = make_us_scene(config, seed=seed, index=index, frames=2), index % 2 == 0
        pictures, hidden = _drawn(scene, there)
        back = tissue_motion(scene.fan, scene.poses[1], scene.poses[0])
        for box in (box for box in scene.boxes if box.frame == 1 and box.label == "tumor"):
            views = _views(pictures, box.box, back.flow, back.valid)
            if views:
                found.append(Place(index, there, hidden, views))
    return found


def places_area(found: Sequence[Place], view: str, *, hidden: bool) -> Tuple[int, Tuple[float, float]]:
    """Tumors, then area and its error: does a place hold a tumor?"""
    chosen = [place for place in found if place.hidden is hidden]
    truth, groups = (np.array([getattr(place, name) for place in chosen]) for name in ("tumor", "scene"))
    return int(truth.sum()), held_out_area(np.array([place.views[view] for place in chosen]), truth, groups)


def traces(config: USPhantomConfig, scenes: int, *, seed: int = 0) -> Dict[bool, float]:
    """Largest share of a tumor's pixels that change where it is taken away, in frames that hide it and in others.

    In a frame that hides it, all pixels of the picture count.
    """
    config = replace(config, background_fraction=0.0, tumors=(1, 1))
    changed: Dict[bool, List[float]] = {True: [0.0], False: [0.0]}
    for index in range(scenes):
        scene = make_us_scene(config, seed=seed, index=index, frames=2)
        (ours, hidden), (theirs, _) = _drawn(scene, True), _drawn(scene, False)
        for box in (box for box in scene.boxes if box.frame == 1 and box.label == "tumor"):
            x1, y1, x2, y2 = (0, 0, *ours[1].shape) if hidden else box.box
            changed[hidden].append(float((ours[1] != theirs[1])[y1:y2, x1:x2].mean()))
    return {key: max(values) for key, values in changed.items()}


def motion(config: USPhantomConfig, scenes: int, *, seed: int = 0) -> Tuple[float, float, float]:
    """Median and nine-tenths motion in cells of the picture, and correlation of successive pictures."""
    cells, alike = [], []
    for index in range(scenes):
        scene = make_us_scene(config, seed=seed, index=index, frames=2)
        move = scene.motions[0]
        cells.append(float(np.median(np.hypot(*move.flow)[move.valid])) / CELL)
        both = scene.frames[0] > 0
        both &= scene.frames[1] > 0
        alike.append(float(np.corrcoef(scene.frames[0][both], scene.frames[1][both])[0, 1]))
    return float(np.median(cells)), float(np.quantile(cells, 0.9)), float(np.mean(alike))


def _drawn(scene: PhantomScene, there: bool) -> Tuple[np.ndarray, bool]:
    """Pictures of a scene with its tumor or without, and whether the second frame hides it."""
    effects = random_effects(scene.config, scene.seed, scene.index, 2, len(scene.liver.tumors))
    liver, hidden = scene.liver, bool(effects[1].hidden)
    if not there:
        liver, effects = replace(liver, tumors=()), [one._replace(hidden=frozenset()) for one in effects]
    options = {"seed": scene.seed, "index": scene.index}
    return render(liver, scene.fan, scene.poses, scene.config, effects=effects, **options)[0], hidden


def _views(
    frames: np.ndarray, box: Sequence[int], flow: np.ndarray, valid: np.ndarray
) -> Optional[Dict[str, np.ndarray]]:
    row, column = (box[1] + box[3]) // 2, (box[0] + box[2]) // 2
    dx, dy = flow[:, row, column]
    boxes = (box, box, [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy])
    views = [_grid(frames[number], shown) for number, shown in zip((1, 0, 0), boxes)]
    if not valid[row, column] or any(view is None for view in views):
        return None
    return dict(zip(VIEWS, (view for view in views if view is not None)))


def _grid(frame: np.ndarray, box: Sequence[float]) -> Optional[np.ndarray]:
    """Means and SDs over a grid of twice the box's side."""
    x1, y1, x2, y2 = box
    columns = np.linspace(1.5 * x1 - 0.5 * x2, 1.5 * x2 - 0.5 * x1, SIDE + 1).astype(int)
    rows = np.linspace(1.5 * y1 - 0.5 * y2, 1.5 * y2 - 0.5 * y1, SIDE + 1).astype(int)
    if min(rows[0], columns[0]) < 0 or rows[-1] >= len(frame) or columns[-1] >= len(frame):
        return None
    cells = [
        frame[top:bottom, left:right]
        for top, bottom in zip(rows, rows[1:])
        for left, right in zip(columns, columns[1:])
    ]
    return np.array([value for cell in cells for value in (cell.mean(), cell.std())])
