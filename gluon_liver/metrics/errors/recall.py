"""Recall of objects by group, and of images, scenes, lesions and patients, with intervals over patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from gluon_liver.metrics.bootstrap import ratio_with_interval
from gluon_liver.metrics.sizes import size_bounds, size_text
from gluon_liver.structures.arrays import BoolArray, FloatArray, IntArray

THICKNESS_MM = (1.5, 3.0, 5.0)  # thin, reformatted, usual and thick slices of the liver


@dataclass(frozen=True, eq=False)
class Objects:
    """The annotated boxes of all images, (n,) each.

    image: row of its image. case: row of its study or scene. patient: row of its patient. label: of its class. size:
    its longest side, mm or pixels. spacing: mm between the slices, NaN of frames. found: by a detection of its class.
    """

    image: IntArray
    case: IntArray
    patient: IntArray
    label: IntArray
    size: FloatArray
    spacing: FloatArray
    found: BoolArray

    def among(self, chosen: BoolArray, name: str, weights: IntArray) -> Dict[str, Any]:
        """The row of the boxes that are chosen."""
        found, n = (np.bincount(self.patient[one], minlength=weights.shape[1]) for one in (chosen & self.found, chosen))
        return row_of(name, found, n, weights)

    def groups(self, group: IntArray, name: str, weights: IntArray) -> Dict[str, Any]:
        """The row of groups of boxes, images say, each of one patient: found where one of its boxes is."""
        _, first = np.unique(group, return_index=True)
        found = np.bincount(group, self.found, minlength=int(group.max(initial=-1)) + 1)[group[first]] > 0
        patients = self.patient[first]
        hit, n = (np.bincount(some, minlength=weights.shape[1]) for some in (patients[found], patients))
        return row_of(name, hit, n, weights)


def row_of(name: str, found: IntArray, n: IntArray, weights: IntArray) -> Dict[str, Any]:
    """{"name", "found", "n", "recall", "interval"} of counts by patient (p,); see :func:`row_of_entry`."""
    return row_of_entry(name, ratio_with_interval(found, n, weights))


def row_of_entry(name: str, entry: Dict[str, Any]) -> Dict[str, Any]:
    """An entry of a summary as a row. recall: None where n is 0; interval: [low, high], None where there is none."""
    value, low, n = entry["value"], entry["low"], entry["n"]
    found = 0 if value is None else round(value * n)
    interval = None if low is None else [low, entry["high"]]
    return {"name": name, "found": found, "n": n, "recall": value, "interval": interval}


def recall_groups(
    objects: Objects, classes: Sequence[str], weights: IntArray, *, edges: Sequence[float], unit: str
) -> Dict[str, List[Dict[str, Any]]]:
    """{"by_class", "by_size", "by_thickness"}: rows of boxes; spacings that no box has are left out."""
    by_class = [objects.among(objects.label == label, name, weights) for label, name in enumerate(classes)]
    by_size = list(_in_bounds(objects, objects.size, edges, unit, weights))
    spacings = (row for row in _in_bounds(objects, objects.spacing, THICKNESS_MM, "mm", weights) if row["n"])
    return {"by_class": by_class, "by_size": by_size, "by_thickness": list(spacings)}


def _in_bounds(
    objects: Objects, values: FloatArray, edges: Sequence[float], unit: str, weights: IntArray
) -> Iterable[Dict[str, Any]]:
    for low, high in size_bounds(edges):
        name = size_text(low, None if high == np.inf else high, unit)
        yield objects.among((values >= low) & (values < high), name, weights)


def sensitivities(
    objects: Objects, weights: IntArray, *, lesions: Optional[Dict[str, Any]] = None
) -> Dict[str, Dict[str, Any]]:
    """{"slice", "lesion", "patient"} of studies, {"frame", "scene", "patient"} of recordings.

    lesions: of :func:`..lesion_summary.lesion_summary`, what is said of lesions and patients of studies.
    """
    if lesions is None:
        named = {"frame": objects.image, "scene": objects.case, "patient": objects.patient}
        return {
            key: objects.groups(group, f"{key}s with an object: one is found", weights) for key, group in named.items()
        }
    return {
        "slice": objects.groups(objects.image, "slices with a lesion: one is found", weights),
        "lesion": row_of_entry("lesions, joined across slices", lesions["sensitivity"]["all"]),
        "patient": row_of_entry("patients with a lesion: one is found", lesions["patient_sensitivity"]["all"]),
    }
