"""CT: accuracy, precision, recall and FROC with bootstrap intervals beside the paper's Table 4."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.windowed_images import open_images
from gluon_liver.metrics.covering import covering_summary
from gluon_liver.metrics.ct_summary import ct_curves, ct_summary
from gluon_liver.metrics.errors.where import Where
from gluon_liver.metrics.froc import FP_RATES
from gluon_liver.metrics.lesion_summary import LESION_FP_RATES, LesionSettings, lesion_summary
from gluon_liver.metrics.lesions import Scan
from gluon_liver.report.figures.drawing import Colour, class_colours, draw_overlay
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.tables.ct_tables import table4_text
from gluon_liver.report.tables.published import PUBLISHED, published_notes, published_tables
from gluon_liver.report.tables.table import Notes, as_text
from gluon_liver.structures.detections import SCORE_THRESHOLD
from gluon_liver.structures.image_result import ImageResult

from .task import VIEWS_BESIDE, Places, Scored, ScoreSettings, Task, View


class CT(Task[CTDataset, CTLabel]):
    """See :class:`Task`."""

    def summary(self, scored: Scored[CTDataset, CTLabel], settings: ScoreSettings) -> Dict[str, Any]:
        shared: Dict[str, Any] = {"classes": scored.dataset.classes, "score_threshold": SCORE_THRESHOLD}
        shared["replicates"] = settings.replicates
        lesions = LesionSettings(settings.lesion_hit, settings.fp_rates or LESION_FP_RATES, settings.lesion_bins)
        known = PUBLISHED.get(scored.dataset.layout)
        rates = settings.fp_rates or (known.rates if known else FP_RATES)
        summary = ct_summary(scored.results, fp_rates=rates, **shared)
        summary["lesions"] = lesion_summary(scans_of(scored), settings=lesions, **shared)
        if known and len(scored.dataset.classes) == 1:
            froc = covering_summary(scored.results, fp_rates=known.rates, replicates=settings.replicates)
            summary["published"] = {"set": scored.dataset.layout, "split": scored.split, **froc}
        return summary

    def text(self, scored: Scored[CTDataset, CTLabel], summary: Dict[str, Any]) -> str:
        phantom = scored.dataset.phantom
        told: Dict[str, Any] = dict(data_note=scored.note, phantom=phantom, unfinished=scored.unfinished)
        text = table4_text(summary, row=scored.config.row, **told)
        beside = published_tables(summary)
        return text + ("\n" + as_text(*beside, Notes(published_notes(summary))) if beside else "")

    def draw(self, scored: Scored[CTDataset, CTLabel], number: int) -> np.ndarray:
        dataset, data, label = scored.dataset, scored.config.data, scored.labels[number]
        volume = open_images(dataset, label.case, data.window, data.storage)
        return draw_overlay(
            volume[dataset.reference_index, label.place],
            scored.results[number].detections.at_score(SCORE_THRESHOLD),
            truth=label,
            classes=dataset.classes,
        )

    def views(self, scored: Scored[CTDataset, CTLabel], number: int) -> List[View]:
        dataset, data, label = scored.dataset, scored.config.data, scored.labels[number]
        images = open_images(dataset, label.case, data.window, data.storage)
        here, reference = label.slice, dataset.reference_index
        numbers = {one.slice: row for row, one in enumerate(scored.labels) if one.case == label.case}
        beside = [
            step for step in range(-VIEWS_BESIDE, VIEWS_BESIDE + 1) if step and 0 <= here + step < images.shape[1]
        ]
        present = dataset.record(label.case).present
        others = [phase for phase in range(len(dataset.phases)) if phase != reference and present[phase, here]]
        places = [(reference, 0), *((reference, step) for step in beside), *((phase, 0) for phase in others)]
        views = []
        for phase, step in places:
            name, of_slice = dataset.phases[phase], numbers.get(here + step)
            words = f"{name}, slice {here + step}" + ("" if of_slice is not None else ", not labelled")
            views.append(View(images[phase, here + step], name, step, of_slice, words))
        return views

    def colours(self, classes: Sequence[str]) -> Sequence[Colour]:
        return class_colours(len(classes))

    def record(self, scored: Scored[CTDataset, CTLabel]) -> Dict[str, Any]:
        studies = len(scored.dataset.cases_of(scored.split))
        curves = ct_curves(scored.results, classes=scored.dataset.classes)
        data = {"studies": studies, "modality": scored.dataset.modality}
        return {"row": scored.config.row, "data": data, "curves": curves}

    def places(self, scored: Scored[CTDataset, CTLabel]) -> Places:
        scans = {scan.case: scan for scan in scans_of(scored)}
        cases = {
            case: {"spacing": list(scan.spacing), "slices": scan.slices, "invented": scan.invented}
            for case, scan in scans.items()
        }
        return Places([(label.case, label.slice) for label in scored.labels], cases)

    def where(self, scored: Scored[CTDataset, CTLabel]) -> List[Where]:
        record = scored.dataset.record
        return [Where(label.case, label.slice, record(label.case).geometry.spacing) for label in scored.labels]

    def size_edges(self, settings: ScoreSettings) -> Sequence[float]:
        return settings.lesion_bins

    def write_report(self, folder: Path) -> None:
        write_report(folder)


def scans_of(scored: Scored[CTDataset, CTLabel]) -> List[Scan]:
    """The scored slices, study by study."""
    dataset = scored.dataset
    by_case: Dict[str, Dict[int, ImageResult]] = defaultdict(dict)
    for label, result in zip(scored.labels, scored.results):
        by_case[label.case][label.slice] = result
    scans = []
    for case, results in by_case.items():
        record, patient = dataset.record(case), dataset.info(case).patient
        invented = len(record.source.history_of(dataset.reference_phase).interpolated)
        scans.append(Scan(patient, record.geometry.spacing, results, record.geometry.size[0], invented, case))
    return scans
