"""One study read by a trained run: lesions.json, other formats, and a picture of every slice that shows something."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.data.ct_dataset import CTDataset, phases_to_match
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.ct_loader import CTLoader, OpenCase
from gluon_liver.data.study import StudyRecord
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_new, check_output, whole_folder
from gluon_liver.phases.rules import DEFAULT_PATTERNS, reference_of
from gluon_liver.prepare.ct_study import ReadStudy, read_dicom_study
from gluon_liver.report.figures.drawing import draw_overlay, save_png
from gluon_liver.results.formats import COCO, DICOM, check_dicom, check_formats, write_results
from gluon_liver.results.found import BOXES, Found
from gluon_liver.results.rehearsal import check_writable
from gluon_liver.results.source_pixels import add_source, source_record
from gluon_liver.results.source_series import SourceSeries, find_series
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Boxes, Detections
from gluon_liver.structures.lesions import find_lesions
from gluon_liver.structures.modality import CT

from .ahead import Behind
from .choice import MXNET_ON_CPU, EngineChoice
from .detector import SliceDetector
from .engine import engine_record
from .explanation import write_explanation
from .slices import detect_slices

NOTE = "research software: not a medical device, not for diagnosis"


def detect_study(
    run: Run,
    study: Union[str, Path],
    out: Union[str, Path],
    *,
    phases: Optional[Path] = None,
    reference: Optional[str] = None,
    score_threshold: float = 0.5,
    every_slice: bool = False,
    dense: bool = False,
    choice: EngineChoice = MXNET_ON_CPU,
    batch_size: Optional[int] = None,
    explain: bool = False,
    formats: Sequence[str] = (COCO,),
    shape: str = BOXES,
    dicom: Optional[Path] = None,
    progress: bool = True,
) -> Dict[str, Any]:
    """Detect in every slice of a study and write the folder ``out`` whole or not at all.

    study: ``DATA/studies/<case>`` of prepared data, or a folder of DICOM files with one study.
    phases, reference: as for ``import ct``, for a DICOM folder only; the reference must be the run's, its default.
    score_threshold: of lesions and pictures; detections.json keeps lower scores too.
    dense: read along the study what windows share (see :func:`gluon_liver.inference.slices.detect_slices`).
    choice: what computes the network; ``dense`` and ``explain`` are for MXNet.
    explain: also draw what the detections rest on (see :func:`write_explanation`), the key ``explain`` of lesions.json.
    formats: what is written beside lesions.json and the pictures, of :data:`gluon_liver.results.formats.FORMATS`.
    shape: what masks show of a box, of :data:`gluon_liver.results.found.SHAPES`.
    dicom: the folder of DICOM files that a study of prepared data was imported from, for the formats of DICOM.

    Returns what lesions.json holds; ``read`` is what a folder of DICOM files had and what was left out of it. Raises
    :class:`InputError` for a study that cannot be read, one without the reference phase, an ``out`` that is taken and a
    precision that the device lacks, :class:`RunError` for ``dense`` with other than nine slices.
    """
    study, out = Path(study), Path(out)
    prepared = (study / "study.json").is_file()
    check_new(out)
    check_output(out, _data_folder(study) if prepared else study, overwrite=False)
    if dense:
        check_dense(run.config)
    choice.check(dense=dense, explain=explain)
    check_formats(formats)
    check_dicom(formats, dicom, prepared=prepared)
    if dicom is not None:
        check_output(out, dicom, overwrite=False)
    detector, checkpoint = choice.open(run)
    with whole_folder(out) as folder:
        if prepared:
            (case, labels), account = _open_prepared(run, study, phases, reference, progress), None
            series = find_series(dicom, case.study, progress=progress) if dicom is not None else None
        else:
            read = _read_dicom(run, study, phases, reference, progress)
            case, labels, account = OpenCase.in_memory(read.study, run.config.data), {}, read.account
            series = SourceSeries.of(read.series, case.study) if DICOM & {*formats} else None
        if series is not None:
            check_writable(formats, case.study, series, classes=detector.classes, shape=shape)
        each = detect_slices(detector, case, dense=dense, batch_size=batch_size, progress=progress)
        detections = _with_overlays(
            each,
            folder / "overlays",
            case,
            labels=labels,
            classes=detector.classes,
            score_threshold=score_threshold,
            every=every_slice,
        )
        lesions = find_lesions(
            detections, geometry=case.study.geometry, classes=detector.classes, score_threshold=score_threshold
        )
        result: Dict[str, Any] = {"case": case.study.case, "row": run.config.row, "checkpoint": checkpoint}
        result.update(
            classes=list(detector.classes),
            slices=len(detections),
            dense=dense,
            **engine_record(detector.engine),
            score_threshold=score_threshold,
            below_threshold=_below(detections, score_threshold),
            note=NOTE,
        )
        result["absent_slices"] = _absent(case.study, several=run.input_phases > 1)
        if account is not None:
            result["read"] = account
        result["lesions"] = [lesion.to_json() for lesion in lesions]
        result.update(source_record(case.study))
        add_source(result["lesions"], case.study)
        # image_id is the label file's where the slice is labelled, and the slice always stands beside it
        ids = [labels[index].image_id if index in labels else -1 - index for index in range(len(detections))]
        found = Found(
            study=case.study,
            detections=detections,
            image_ids=ids,
            lesions=lesions,
            entries=result["lesions"],
            network=run.config.row,
            checkpoint=checkpoint,
            classes=detector.classes,
            shape=shape,
            series=series,
        )
        result["files"] = write_results(folder, found, formats)
        if series is not None and series.emptied:
            result["emptied_tags"] = sorted(series.emptied)
        shown = [one.at_score(score_threshold) for one in detections]
        if isinstance(detector, SliceDetector) and explain:
            result["explain"] = write_explanation(
                detector, case, folder, shown=shown, lesions=lesions, labels=labels, score_threshold=score_threshold
            )
        write_json(folder / "lesions.json", result)
        return result


def _with_overlays(
    found: Iterable[Detections],
    folder: Path,
    case: OpenCase,
    *,
    labels: Dict[int, CTLabel],
    classes: Sequence[str],
    score_threshold: float,
    every: bool,
) -> List[Detections]:
    """The detections of all slices; pictures of those that show something are drawn while the next are detected."""
    folder.mkdir()
    detections = []
    with Behind() as behind:
        for index, one in enumerate(found):
            detections.append(one)
            shown, truth = one.at_score(score_threshold), labels.get(index)
            if every or len(shown) or (truth is not None and len(truth.boxes)):
                grey = case.images[case.study.reference_index, index]
                behind.submit(_draw, folder / f"slice-{index:03d}.png", grey, shown, truth, classes)
    return detections


def _absent(study: StudyRecord, *, several: bool) -> Dict[str, int]:
    """Of the phases that the network reads, in how many slices one is absent, where it is in any: air stands there.

    several: it reads all phases, not the reference phase alone.
    """
    absent = {phase: int((~present).sum()) for phase, present in zip(study.phases, study.present)}
    return {phase: count for phase, count in absent.items() if count and (several or phase == study.reference_phase)}


def _below(detections: Sequence[Detections], threshold: float) -> Dict[str, Any]:
    """How many boxes have a lower score, and the highest of these (None for no box)."""
    scores = [float(score) for one in detections for score in one.scores if score < threshold]
    return {"boxes": len(scores), "highest_score": round(max(scores), 5) if scores else None}


def _draw(path: Path, grey: np.ndarray, shown: Detections, truth: Optional[Boxes], classes: Sequence[str]) -> None:
    save_png(path, draw_overlay(grey, shown, truth=truth, classes=classes))


def _open_prepared(
    run: Run, study: Path, phases: Optional[Path], reference: Optional[str], progress: bool
) -> Tuple[OpenCase, Dict[int, CTLabel]]:
    """A study of prepared data with its stored images, and its labels by slice."""
    if phases is not None:
        raise InputError("--phases is for a folder of DICOM files; prepared data have their phases already")
    dataset, case = CTDataset.open(_data_folder(study)), Path(os.path.abspath(study)).name
    run.check_dataset(dataset)
    own = dataset.reference_phase
    if reference not in (None, own):
        raise InputError(f"--reference {reference}: the reference phase of the prepared study is {own}")
    changed = dataset.changed_labels()
    if changed:
        warnings.warn(f"{dataset.folder}: {changed}", stacklevel=3)
    loader = CTLoader(dataset, run.config, cases=[case], progress=progress)
    return loader.open(case), dataset.labels_by_slice(case)


def _read_dicom(run: Run, folder: Path, phases: Optional[Path], reference: Optional[str], progress: bool) -> ReadStudy:
    """The one study of a DICOM folder, put on the grid of the run's reference phase; nothing in it is labelled."""
    own, modality = run.environment["reference_phase"], run.environment.get("modality", CT)
    if modality != CT:
        advice = f"give an {modality} study of prepared data, DATA/studies/CASE"
        raise InputError(f"the run was trained on {modality}, and DICOM files are read as CT: {advice}")
    if phases is None and own not in DEFAULT_PATTERNS:
        trained = f"the run was trained on the phases {', '.join(run.environment['phases'])}"
        advice = "say which series is which with --phases FILE"
        raise InputError(f"{trained}, which no default pattern names: {advice}")
    named = phases and reference_of(phases)
    given = f"--reference {reference}" if reference else f"reference: {named} of {phases}"
    if (reference or named or own) != own:
        raise InputError(f"{given}: the run reads the {own} phase of a study: leave it out, and name the {own} series")
    reference = own
    read = read_dicom_study(folder, phases=phases, reference=reference, progress=progress)
    study = read.study
    run.check_match(phases_to_match(run.config, study.phases, study.reference_phase, study.modality))
    return read


def _data_folder(study: Path) -> Path:
    """DATA of DATA/studies/CASE. Raises :class:`InputError` for a case that lies elsewhere."""
    folder = Path(os.path.abspath(study))
    if folder.parent.name != "studies" or not (folder.parents[1] / "dataset.json").is_file():
        raise InputError(f"{study}: a prepared study is read inside its data folder, DATA/studies/CASE")
    return folder.parents[1]
