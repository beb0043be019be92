"""The images in which compared runs differ most, drawn: what each detected, with the annotation."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import make_loader, open_dataset
from gluon_liver.errors import GluonLiverError, InputError, RunError
from gluon_liver.files.json_records import read_json
from gluon_liver.report.comparison.configurations import config_of
from gluon_liver.structures.detections import Detections

from .registry import EVALUATIONS
from .task import Scored

LONGEST_SIDE, QUALITY = 768, 82  # of a picture: pixels, and of WebP
_CLOSE = 0.02  # pixels by which a box in truth.json, which is rounded, may be another than that of the data


class Pictures(NamedTuple):
    """WebP pictures of A and of B by image id; note: why there are none, "" where they are there."""

    of_image: Mapping[int, Tuple[bytes, bytes]]
    note: str = ""


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
            return Pictures(_drawn(document, _configuration(folders), open_dataset(place)))
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
            return config_of(folder)
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
    pictures: Dict[int, Tuple[bytes, bytes]] = {}
    for entry, label in zip(shown, labels):
        sides = []
        for letter in ("a", "b"):
            result = dataset.result(label, _detections(entry[letter]["detections"], classes))
            sides.append(_webp(task.draw(Scored(config, dataset, document["split"], [label], [result], ""), 0)))
        pictures[label.image_id] = sides[0], sides[1]
    return pictures


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


def _webp(picture: np.ndarray) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=QUALITY)
    return stream.getvalue()
