"""The images in which compared runs differ most, drawn: what each detected, with the annotation."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import make_loader, open_dataset
from gluon_liver.errors import GluonLiverError, InputError, RunError
from gluon_liver.files.json_records import read_json
from gluon_liver.report.figures.close_up import draw_close_up, webp
from gluon_liver.report.figures.drawing import Colour, Rect
from gluon_liver.runs.config_file import read_config
from gluon_liver.structures.detections import Detections

from .registry import EVALUATIONS
from .task import Scored

LEAST_SHARE, MARGIN = 0.5, 0.2  # of the image's longer side that is shown, and around all boxes
_CLOSE = 0.02  # pixels by which a box in truth.json, which is rounded, may be another than that of the data


class Pictures(NamedTuple):
    """WebP pictures of A and of B by image id; note: why there are none, "" where they are there. colours: of the boxes
    of each class.
    """

    of_image: Mapping[int, Tuple[bytes, bytes]]
    note: str = ""
    colours: Sequence[Colour] = ()


def draw_compared(document: Mapping[str, Any], folders: Sequence[Path], *, data: Optional[Path] = None) -> Pictures:
    """Pictures of the images that ``document``, of ``compare_runs``, says to show.

    folders: of the runs, A's and then B's, whose data are looked for where the runs say; ``data`` are looked at instead
    of these. Data that are gone or hold other images leave the pictures out and say so. Raises :class:`InputError` for
    ``data`` that do.
    """
    shown = document["differing"]["shown"]
    if not shown:
        return Pictures({})
    reasons: List[str] = []
    for place, name in [(data, str(data))] if data is not None else _data_folders(folders):
        try:
            drawn = _drawn(document, _configuration(folders), open_dataset(place))
            return Pictures(drawn, "", EVALUATIONS[document["kind"]].colours(document["classes"]))
        except GluonLiverError as error:
            reasons.append(f"{name}: {error}" if name not in str(error) else str(error))
    if data is not None:
        raise InputError(f"--data: the images cannot be drawn: {reasons[0]}")
    why = "; ".join(reasons) or "the runs do not say where their data are"
    return Pictures({}, f"No pictures: {why}. --data DIR says where the data are.")


def _data_folders(folders: Sequence[Path]) -> List[Tuple[Path, str]]:
    """Where runs say that their data are, each once, with the words of the run."""
    found: Dict[Path, str] = {}
    for folder in folders:
        environment = read_json(folder / "environment.json", error=RunError)
        given = environment.get("data") if isinstance(environment, dict) else None
        if isinstance(given, str):
            found.setdefault(Path(os.path.normpath(folder.resolve() / given)), given)
    return list(found.items())


def _configuration(folders: Sequence[Path]) -> Config:
    """Of the first run that has one: both arms' pictures are windowed alike, so that their boxes alone differ."""
    for folder in folders:
        try:
            return read_config(folder)
        except RunError as error:
            problem = error
    raise problem


def _drawn(document: Mapping[str, Any], config: Config, dataset: Dataset) -> Dict[int, Tuple[bytes, bytes]]:
    if dataset.task != document["kind"]:
        raise RunError(f"holds {dataset.title} data")
    known = {label.image_id: label for label in dataset.labels_of(document["split"])}
    shown = document["differing"]["shown"]
    labels = [known[entry["image_id"]] for entry in shown if entry["image_id"] in known]
    _check(document, dataset, config, labels)
    make_loader(config, dataset, cases=sorted({label.case for label in labels}))  # the images are there afterwards
    classes, task = document["classes"], EVALUATIONS[dataset.task]
    colours = task.colours(classes)
    pictures: Dict[int, Tuple[bytes, bytes]] = {}
    for entry, label in zip(shown, labels):
        picture = task.views(Scored(config, dataset, document["split"], [label], [], ""), 0)[0].picture
        found = [_detections(entry[letter]["detections"], classes) for letter in ("a", "b")]
        region = region_of([label.boxes, *(one.boxes for one in found)], *picture.shape[:2])
        sides = [draw_close_up(picture, region, one, truth=label, classes=classes, colours=colours) for one in found]
        pictures[label.image_id] = webp(sides[0]), webp(sides[1])
    return pictures


def region_of(boxes: Sequence[np.ndarray], height: int, width: int) -> Rect:
    """The square part of an image that has all boxes with some margin, and half of its longer side at least; moved into
    the image, or as much of it as the image has."""
    every = np.concatenate([np.asarray(some, np.float64).reshape(-1, 4) for some in boxes])
    low, high = (every[:, :2].min(axis=0), every[:, 2:].max(axis=0)) if len(every) else (np.zeros(2), np.zeros(2))
    longer = max(height, width)
    side = math.ceil(max(LEAST_SHARE * longer, (1 + 2 * MARGIN) * float((high - low).max())))
    side = longer if not len(every) else side
    middle = (low + high) / 2 if len(every) else np.array([width, height]) / 2
    left, top = (max(0, min(round(at - side / 2), whole - side)) for at, whole in zip(middle.tolist(), (width, height)))
    return Rect(left, top, min(width, left + side), min(height, top + side))


def _check(document: Mapping[str, Any], dataset: Dataset, config: Config, labels: Sequence[Label]) -> None:
    """Raise :class:`RunError` unless these are the images that were scored."""
    shown, other = document["differing"]["shown"], "holds other images than were scored, or other boxes"
    if len(labels) != len(shown) or list(dataset.classes) != list(document["classes"]):
        raise RunError(other)
    places = EVALUATIONS[dataset.task].places(Scored(config, dataset, document["split"], labels, [], ""))
    for entry, label, where in zip(shown, labels, places.of_images):
        boxes = np.array([one["box"] for one in entry["objects"]], np.float64).reshape(-1, 4)
        same = (entry["case"], entry["place"]) == tuple(where) and boxes.shape == label.boxes.shape
        if not same or np.abs(boxes - label.boxes).max(initial=0) > _CLOSE:
            raise RunError(other)


def _detections(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Detections:
    boxes = np.array([row["box"] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row["score"] for row in rows], np.float64)
    return Detections(boxes, scores, np.array([classes.index(row["class"]) for row in rows], np.int64))
