"""truth.json of an evaluated run, what was annotated, and with detections.json the images as they were scored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.json_records import read_json, read_record
from gluon_liver.files.typed import build
from gluon_liver.metrics.lesions import Scan
from gluon_liver.report.records.results import REMEDY, check_run_folder, read_results
from gluon_liver.report.tables import ct_tables, us_tables
from gluon_liver.structures.detections import CocoDetection, Detections
from gluon_liver.structures.image_result import ImageResult, check_results

from .place import TRUTH

KINDS = {kind.name: kind for kind in (ct_tables.KIND, us_tables.KIND)}


@dataclass(frozen=True)
class _Image:
    image_id: int
    patient: str
    case: str
    place: int
    labels: List[int]
    boxes: List[Tuple[float, float, float, float]]
    lesions: List[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Case:
    spacing: Optional[Tuple[float, float, float]] = None
    slices: int = 0
    invented: int = 0


@dataclass(frozen=True)
class _Truth:
    images: List[_Image]
    cases: Dict[str, _Case] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seed:
    seed: int


class ScoredRun(NamedTuple):
    """An evaluated run: its folder and name, the seed of its training, results.json, and its images sorted by id.

    where: study and slice, or scene and frame, of each image. cases: spacing and slices of each study.
    """

    folder: Path
    name: str
    seed: int
    results: Dict[str, Any]
    images: List[ImageResult]
    where: List[Tuple[str, int]]
    cases: Mapping[str, _Case]

    @property
    def kind(self) -> str:
        """The task."""
        return str(self.results["kind"])

    def scans(self) -> List[Scan]:
        """The studies of a CT run."""
        slices: Dict[str, Dict[int, ImageResult]] = defaultdict(dict)
        for (case, place), image in zip(self.where, self.images):
            slices[case][place] = image
        scans = []
        for case, images in slices.items():
            known = self.cases[case]
            patient = next(iter(images.values())).patient
            spacing = known.spacing or (1.0, 1.0, 1.0)
            scans.append(Scan(patient, spacing, images, known.slices, known.invented, case))
        return scans


def truth_record(
    results: Sequence[ImageResult], where: Sequence[Tuple[str, int]], cases: Mapping[str, Mapping[str, Any]]
) -> Dict[str, Any]:
    """What truth.json holds: the annotation of every scored image, by its study or scene, as plain JSON values."""
    images = [
        {
            "image_id": result.image_id,
            "patient": result.patient,
            "case": case,
            "place": int(place),
            "labels": result.gt_labels.tolist(),
            "boxes": result.gt_boxes.tolist(),
            **({"lesions": result.gt_lesions.tolist()} if len(result.gt_lesions) else {}),
        }
        for result, (case, place) in zip(results, where)
    ]
    return {"format": 1, "images": images, "cases": {case: dict(known) for case, known in cases.items()}}


def kind_of(folder: Path) -> str:
    """What results.json says of its task. Raises :class:`RunError` where there is no folder or no such file."""
    check_run_folder(folder)
    found = read_json(folder / "results.json", error=RunError, remedy=REMEDY)
    return str(found.get("kind")) if isinstance(found, dict) else ""


def read_scored(folder: Path) -> ScoredRun:
    """An evaluated run of either task.

    Raises :class:`RunError` for a folder that holds none, and for one that an older version evaluated, which wrote no
    truth.json.
    """
    results = read_results(folder, KINDS.get(kind_of(folder), ct_tables.KIND))
    if not (folder / TRUTH).is_file():
        raise RunError(f"{folder} has no {TRUTH}: an older version evaluated it; evaluate it again to compare lesions")
    again = "evaluate the run again"
    truth = read_record(_Truth, folder / TRUTH, error=RunError, remedy=again)
    seed = read_record(_Seed, folder / "environment.json", error=RunError, remedy=REMEDY).seed
    rows = read_json(folder / "detections.json", error=RunError, remedy=again)
    if not isinstance(rows, list):
        raise RunError(f"{folder / 'detections.json'} holds no list of detections; {again}")
    detections: Dict[int, List[CocoDetection]] = defaultdict(list)
    for place, row in enumerate(rows):
        one = build(CocoDetection, row, where=f"{folder / 'detections.json'}: entry {place}", error=RunError)
        detections[one.image_id].append(one)
    others = sorted(set(detections) - {one.image_id for one in truth.images})
    if others:
        raise RunError(
            f"{folder / 'detections.json'}: image {others[0]} is not in {TRUTH}, of another evaluation; {again}"
        )
    try:
        images = [_image_result(one, detections[one.image_id]) for one in truth.images]
        images = check_results(images, results["classes"])
    except InputError as error:
        raise RunError(f"{folder / TRUTH}: {error}; {again}") from error
    place_of = {one.image_id: (one.case, one.place) for one in truth.images}
    where = [place_of[one.image_id] for one in images]
    if not {case for case, _ in where} <= set(truth.cases):
        raise RunError(f"{folder / TRUTH}: an image is of a case that is not there; {again}")
    return ScoredRun(folder, folder.resolve().name, seed, results, images, where, truth.cases)


def _image_result(image: _Image, rows: Sequence[CocoDetection]) -> ImageResult:
    found = Detections.from_coco(rows)
    boxes = np.array(image.boxes, np.float32).reshape(-1, 4)
    labels = np.array(image.labels, np.int64)
    drawn = image.image_id, image.patient, boxes, labels
    return ImageResult(*drawn, found.boxes, found.scores, found.labels, gt_lesions=np.array(image.lesions, np.int64))
