"""Ultrasound: average precision and sensitivities a scene beside the paper's Tables 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Dict, List, Sequence

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.us_dataset import USDataset, reads_pairs
from gluon_liver.data.us_labels import USLabel
from gluon_liver.metrics.errors.where import Where
from gluon_liver.metrics.sizes import BINS_PIXELS
from gluon_liver.metrics.us_summary import us_summary
from gluon_liver.report.figures.drawing import Colour
from gluon_liver.report.figures.us_drawing import draw_us, us_colours
from gluon_liver.report.pages.us_page import write_us_report
from gluon_liver.report.tables.us_tables import counted_text, us_text
from gluon_liver.structures.detections import SCORE_THRESHOLD

from .task import VIEWS_BESIDE, Places, Scored, ScoreSettings, Task, View


class US(Task[USDataset, USLabel]):
    """See :class:`Task`."""

    no_bootstrap: ClassVar[str] = "an ultrasound run, whose tables give SDs over scenes"

    def summary(self, scored: Scored[USDataset, USLabel], settings: ScoreSettings) -> Dict[str, Any]:
        dataset = scored.dataset
        scenes = {label.image_id: dataset.scene_of(label).name for label in scored.labels}
        return us_summary(scored.results, scenes=scenes, classes=dataset.classes, score_threshold=SCORE_THRESHOLD)

    def text(self, scored: Scored[USDataset, USLabel], summary: Dict[str, Any]) -> str:
        return us_text(
            summary,
            model=scored.config.model,
            data_note=scored.note,
            phantom=scored.dataset.phantom,
            counted=counted_text(_detections(scored.config)),
            split_by=scored.dataset.split_by,
            unfinished=scored.unfinished,
        )

    def draw(self, scored: Scored[USDataset, USLabel], number: int) -> np.ndarray:
        label, dataset, detections = scored.labels[number], scored.dataset, scored.results[number].detections
        frame = dataset.frames(label.case)[label.row]
        return draw_us(frame, detections, dataset.classes, truth=label, score_threshold=SCORE_THRESHOLD)

    def views(self, scored: Scored[USDataset, USLabel], number: int) -> List[View]:
        dataset, label = scored.dataset, scored.labels[number]
        frames = dataset.frames(label.case)
        numbers = {one.frame: row for row, one in enumerate(scored.labels) if one.case == label.case}
        views = []
        for frame, row in dataset.frames_around(label, VIEWS_BESIDE).items():
            of_frame = numbers.get(frame)
            words = f"frame {frame}" + ("" if of_frame is not None else ", not labelled")
            views.append(View(np.array(frames[row]), None, frame - label.frame, of_frame, words))
        return sorted(views, key=lambda view: view.offset != 0)

    def colours(self, classes: Sequence[str]) -> Sequence[Colour]:
        return us_colours(classes)

    def record(self, scored: Scored[USDataset, USLabel]) -> Dict[str, Any]:
        data: Dict[str, Any] = {"fingerprint": scored.dataset.fingerprint, "split_by": scored.dataset.split_by}
        if reads_pairs(scored.config):
            data["step"] = scored.dataset.step
        return {"model": scored.config.model, "data": data, "detections": _detections(scored.config)}

    def places(self, scored: Scored[USDataset, USLabel]) -> Places:
        names = [scored.dataset.scene_of(label).name for label in scored.labels]
        cases: Dict[str, Dict[str, Any]] = {name: {} for name in names}
        return Places([(name, label.row) for name, label in zip(names, scored.labels)], cases)

    def where(self, scored: Scored[USDataset, USLabel]) -> List[Where]:
        return [Where(scored.dataset.scene_of(label).name, label.frame) for label in scored.labels]

    def size_edges(self, settings: ScoreSettings) -> Sequence[float]:
        return BINS_PIXELS

    def write_report(self, folder: Path) -> None:
        write_us_report(folder)


def _detections(config: Config) -> Dict[str, Any]:
    """Which detections a configuration's network gives out."""
    head = config.network.head
    return {"score_threshold": head.score_threshold, "max_detections": head.max_detections}
