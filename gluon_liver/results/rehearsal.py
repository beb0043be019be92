"""What the images of a study alone forbid, told before minutes of detection: the objects are written once in vain."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.data.study import Study
from gluon_liver.structures.detections import NOTHING
from gluon_liver.structures.lesions import Lesion, LesionSize, SliceBox

from .formats import DICOM, write_results
from .found import Found
from .source_series import SourceSeries

APART = 4  # pixels between the made-up lesions of two classes, so that none lies on another


def check_writable(
    formats: Sequence[str], study: Study, series: SourceSeries, *, classes: Sequence[str], shape: str
) -> None:
    """Raise :class:`InputError` where an object of DICOM cannot be written of a study, whatever is found in it.

    A lesion of each class, with a pixel in every so-many-th slice, is written of the true headers and thrown away.
    """
    lesions = [_lesion(study, name, place, len(classes)) for place, name in enumerate(classes)]
    lesions = [one for one in lesions if one.boxes]  # fewer slices than classes
    entries: List[Dict[str, Any]] = [one.to_json() for one in lesions]
    slices = study.geometry.size[0]
    made_up = Found(
        study=study,
        detections=[NOTHING] * slices,
        image_ids=range(slices),
        lesions=lesions,
        entries=entries,
        network=None,
        checkpoint=None,
        classes=classes,
        shape=shape,
        # of its own, so that what is told of emptied tags is of the images that the objects name
        series=SourceSeries(series.slices, series.mapping, series.places),
    )
    with TemporaryDirectory() as folder:
        write_results(Path(folder), made_up, [one for one in formats if one in DICOM])


def _lesion(study: Study, name: str, first: int, step: int) -> Lesion:
    """One pixel of every ``step``-th slice from ``first`` on."""
    slices, _, columns = study.geometry.size
    x = APART * first % columns
    box = np.array([x, 0, x + 1, 1], np.float32)
    boxes = tuple(SliceBox(place, box, name, 1.0) for place in range(first, slices, step))
    return Lesion(name, 1.0, LesionSize(1.0, 1.0), (0.0, 0.0, 0.0), first, slices - 1, boxes)
