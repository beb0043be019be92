"""One study read by a trained run: detections.json, lesions.json and a picture of every slice that shows something."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import mxnet as mx
import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.windowed_images import open_images
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_output, whole_folder
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.phases import DEFAULT_PATTERNS, reference_of
from gluon_liver.report.drawing import draw_overlay, save_png
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections, detections_json
from gluon_liver.structures.image_result import ImageResult

from .detector import SliceDetector, detect_samples
from .explanation import write_explanation
from .lesions import SliceBox, describe_lesion, join_slices

SCRATCH = ".import"  # inside the unfinished output folder, so that a kill leaves nothing elsewhere


def detect_study(
    run: Run,
    study: Union[str, Path],
    out: Union[str, Path],
    *,
    phases: Optional[Path] = None,
    reference: Optional[str] = None,
    score_threshold: float = 0.5,
    every_slice: bool = False,
    batch_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    explain: bool = False,
    progress: bool = True,
) -> Dict[str, Any]:
    """Detect in every slice of a study and write the folder ``out`` whole or not at all.

    Parameters
    ----------
    study: ``DATA/studies/<case>`` of prepared data, or a folder of DICOM files with one study, which is imported
        into a temporary folder first.
    phases, reference: as for ``import ct``, for a DICOM folder only; the reference must be the run's, its default.
    score_threshold: of lesions and pictures; detections.json keeps lower scores too.
    explain: also draw what the detections rest on (see :func:`write_explanation`), the key ``explain`` of lesions.json.

    Returns what lesions.json holds. Raises :class:`InputError` for a study that cannot be read, one without the
    reference phase, and an ``out`` that is taken.
    """
    study, out = Path(study), Path(out)
    if out.exists():
        raise InputError(f"--out {out} exists: choose another folder")
    prepared = (study / "study.json").is_file()
    data = _data_folder(study) if prepared else study
    check_output(out, data, overwrite=False)
    detector, checkpoint = SliceDetector.from_run(run, context=context)
    with whole_folder(out) as folder:
        if prepared:
            if phases is not None:
                raise InputError("--phases is for a folder of DICOM files; prepared data have their phases already")
            dataset, case = CTDataset.open(str(data)), Path(os.path.abspath(str(study))).name
        else:
            if phases is None and run.environment["reference_phase"] not in DEFAULT_PATTERNS:
                trained = ", ".join(run.environment["phases"])
                raise InputError(
                    f"the run was trained on the phases {trained}, which no default pattern names: say which series is "
                    "which with --phases FILE"
                )
            reference = reference or (phases and reference_of(phases)) or run.environment["reference_phase"]
            scratch = folder / SCRATCH
            dataset, case = _import_study(study, scratch, phases=phases, reference=reference, progress=progress)
        run.check_dataset(dataset)
        if reference not in (None, dataset.reference_phase):
            raise InputError(
                f"--reference {reference}: the reference phase of the prepared study is {dataset.reference_phase}"
            )
        result = _write(
            detector,
            dataset,
            case,
            folder,
            checkpoint=checkpoint,
            score_threshold=score_threshold,
            every_slice=every_slice,
            explain=explain,
            batch_size=batch_size,
            progress=progress,
        )
        shutil.rmtree(str(folder / SCRATCH), ignore_errors=True)
        return result


def _data_folder(study: Path) -> Path:
    """DATA of DATA/studies/CASE. Raises :class:`InputError` for a case that lies elsewhere."""
    folder = Path(os.path.abspath(str(study)))
    if folder.parent.name != "studies" or not (folder.parents[1] / "dataset.json").is_file():
        raise InputError(f"{study}: a prepared study is read inside its data folder, DATA/studies/CASE")
    return folder.parents[1]


def _import_study(
    study: Path, scratch: Path, *, phases: Optional[Path], reference: str, progress: bool
) -> Tuple[CTDataset, str]:
    """The one study of a DICOM folder, imported without its identifiers, as (dataset, case)."""
    import_ct(study, scratch, phases=phases, reference=reference, private=False, progress=progress)
    dataset = CTDataset.open(str(scratch))
    if len(dataset.cases) != 1:
        raise DatasetError(
            f"the folder holds {len(dataset.cases)} studies; detect reads one: import the folder, then detect in "
            "DATA/studies/CASE"
        )
    return dataset, dataset.cases[0].case


def _write(
    detector, dataset, case, folder: Path, *, checkpoint, score_threshold, every_slice, explain, batch_size, progress
):
    study = dataset.study(case)
    count, shape = study.hu.shape[1], study.hu.shape[2:]
    loader = detector.loader(dataset, cases=[case], progress=progress)
    found = list(
        detect_samples(
            detector,
            (loader.load(case, index) for index in range(count)),
            shapes=[shape] * count,
            batch_size=batch_size,
            progress=progress,
        )
    )
    labels = dataset.annotations.of_case(case)
    write_json(folder / "detections.json", _coco_rows(found, labels, patient=study.patient))
    boxes = [
        SliceBox(index, box, int(label), float(score))
        for index, one in enumerate(found)
        for box, label, score in zip(one.boxes, one.labels, one.scores)
        if score >= score_threshold
    ]
    lesions = [
        describe_lesion(lesion, geometry=study.geometry, classes=detector.classes) for lesion in join_slices(boxes)
    ]
    lesions.sort(key=lambda lesion: -lesion["score"])
    result = {
        "case": case,
        "row": detector.config.row,
        "checkpoint": checkpoint,
        "slices": count,
        "score_threshold": score_threshold,
        "note": "research software: not a medical device, not for diagnosis",
        "lesions": lesions,
    }
    images = open_images(dataset, case, detector.config.data.window, detector.config.data.storage)
    _draw(
        images[dataset.reference_index],
        found,
        labels,
        folder / "overlays",
        classes=detector.classes,
        score_threshold=score_threshold,
        every_slice=every_slice,
    )
    if explain:
        result["explain"] = write_explanation(
            detector,
            study,
            folder,
            loader=loader,
            images=images,
            found=found,
            lesions=lesions,
            labels=labels,
            score_threshold=score_threshold,
        )
    write_json(folder / "lesions.json", result)
    return result


def _coco_rows(found: List[Detections], labels: Dict[int, CTLabel], *, patient: str) -> List[Dict[str, Any]]:
    """COCO results; image_id is the label file's where the slice is labelled, and ``slice`` always stands beside it."""
    empty_boxes, empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    rows = []
    for index, one in enumerate(found):
        image_id = labels[index].image_id if index in labels else -1 - index
        result = ImageResult(image_id, patient, empty_boxes, empty, one.boxes, one.scores, one.labels)
        rows += [dict(row, slice=index) for row in detections_json([result])]
    return rows


def _draw(images, found, labels, folder: Path, *, classes, score_threshold, every_slice) -> None:
    folder.mkdir()
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    for index, one in enumerate(found):
        keep = one.scores >= score_threshold
        truth = (labels[index].boxes, labels[index].labels) if index in labels else nothing
        if not (every_slice or keep.any() or len(truth[0])):
            continue
        picture = draw_overlay(
            images[index],
            boxes=one.boxes[keep],
            labels=one.labels[keep],
            scores=one.scores[keep],
            gt_boxes=truth[0],
            gt_labels=truth[1],
            classes=classes,
        )
        save_png(folder / f"slice-{index:03d}.png", picture)
