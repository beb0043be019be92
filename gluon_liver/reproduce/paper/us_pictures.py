"""Figures 3, 4 and S1 of the ultrasound paper, of the data and the runs of a reproduction."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_labels import USLabel
from gluon_liver.files.atomic import whole_path
from gluon_liver.report.figures.drawing import save_png
from gluon_liver.report.figures.flow_picture import flow_picture
from gluon_liver.report.figures.paper_figures import Tile, draw_examples
from gluon_liver.report.figures.us_drawing import draw_us, us_colours
from gluon_liver.report.tables.us_tables import has_papers_classes
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.detections import SCORE_THRESHOLD, CocoDetection, Detections

TILES = 4  # of a row
SIDE = 320  # pixels that small frames are enlarged to about
Runs = Sequence[Tuple[str, Sequence[CocoDetection]]]


def spread(labels: Sequence[USLabel], count: int = TILES) -> List[USLabel]:
    """At most so many of them, evenly over all; whatever is found in them."""
    places = np.unique(np.linspace(0, len(labels) - 1, count).astype(int)) if labels else []
    return [labels[place] for place in places]


def pair_of(dataset: USDataset) -> Optional[USLabel]:
    """The first frame of the test split that has a previous one; None where all are their own."""
    labels = sorted(dataset.labels_of("test"), key=lambda one: (one.case, one.frame))
    return next((one for one in labels if dataset.previous_frame(one) != one.frame), None)


def draw_flow(dataset: USDataset, label: USLabel, flow: Array, path: Path) -> str:
    """Fig. 3: previous frame, current frame, flow (h, w, 2) from one to the other. Returns what is seen.

    The flow is at the network's resolution, in pixels of the frame.
    """
    frames = dataset.frames(label.case)
    height, width = frames.shape[1:3]
    shown = cv2.resize(flow_picture(flow.transpose(2, 0, 1)), (width, height), interpolation=cv2.INTER_NEAREST)
    pictures = [
        ("previous frame", frames[dataset.previous_row(label)]),
        ("current frame", frames[label.row]),
        ("optical flow map", shown),
    ]
    scale = max(1, round(SIDE / max(height, width)))
    tiles = [Tile(name, one.repeat(scale, axis=0).repeat(scale, axis=1)) for name, one in pictures]
    title = f"Red 111 + dx, green 111 + dy, blue 111, in pixels of the frame; {label.title}"
    _save(path, draw_examples([(title, tiles)]))
    dx, dy = np.median(flow, axis=(0, 1))
    return f"{label.title}; median motion {dx:+.2f} pixels to the right, {dy:+.2f} down"


def draw_labelled(dataset: USDataset, path: Path) -> str:
    """Fig. 4: training images as they are and with their boxes. Returns what is seen."""
    chosen = spread([one for one in dataset.labels_of("train") if len(one.boxes)])
    originals, labelled = [], []
    for label in chosen:
        frame = dataset.frames(label.case)[label.row]
        scale = max(1, round(SIDE / max(frame.shape[:2])))
        picture = np.ascontiguousarray(frame.repeat(scale, axis=0).repeat(scale, axis=1))
        originals.append(Tile(label.title, picture.copy()))
        for box, kind in zip(label.boxes, label.labels):
            x1, y1, x2, y2 = (round(float(edge) * scale) for edge in box)
            cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), us_colours(dataset.classes)[kind], 2)
        labelled.append(Tile(label.title, picture))
    colours = "tumor light blue, vessel red" if has_papers_classes(dataset.classes) else ", ".join(dataset.classes)
    rows = [("Original images", originals), (f"Labelled images ({colours})", labelled)]
    _save(path, draw_examples(rows))
    return f"{len(chosen)} training images, evenly over all"


def draw_scenes(dataset: USDataset, runs: Runs, path: Path) -> str:
    """Fig. S1: the last frame of some test scenes under each run's detections. Returns what is seen."""
    last = {dataset.scene_of(one).name: one for one in sorted(dataset.labels_of("test"), key=lambda one: one.frame)}
    chosen = spread([last[name] for name in sorted(last)])
    images = {label.image_id for label in chosen}
    best = max((row.score for _, rows in runs for row in rows if row.image_id in images), default=1.0)
    # what finds nothing at the paper's score is shown at one where it does, which the picture says
    score = SCORE_THRESHOLD if best >= SCORE_THRESHOLD else math.floor(100 * best) / 100
    drawn = []
    for name, rows in runs:
        tiles = []
        for label in chosen:
            frame = dataset.frames(label.case)[label.row]
            scale = max(1, round(SIDE / max(frame.shape[:2])))
            found = Detections.from_coco([row for row in rows if row.image_id == label.image_id])
            options: Dict[str, Any] = dict(scale=scale, legend=False, score_threshold=score)
            tiles.append(Tile(label.title, draw_us(frame, found, dataset.classes, **options)))
        drawn.append((f"{name}: detections of probability {score:g} or more", tiles))
    _save(path, draw_examples(drawn))
    seen = f"the last frames of {len(chosen)} of {len(last)} test scenes, evenly over all, whatever was found"
    lower = f"; at {score:g}, for nothing in them reaches the paper's {SCORE_THRESHOLD:g}"
    return seen + (lower if score < SCORE_THRESHOLD else "")


def _save(path: Path, picture: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    with whole_path(path, ending=".partial") as partial:
        save_png(partial, picture)
