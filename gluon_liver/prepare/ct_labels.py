"""Label files that come with a folder of DICOM -> labels of prepared studies.

A label file is COCO JSON whose images name a slice by `sop_instance_uid`, or by `study` (StudyInstanceUID),
`phase` and `slice` (0-based in that phase's own series, z rising to the head). Messages name image ids, never
identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.data.coco import CocoImage, classes_of, coco_images, value_of
from gluon_liver.data.ct_labels import CLASSES
from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_json
from gluon_liver.readers.dicom.series import SeriesFiles, slice_uid
from gluon_liver.readers.dicom.slice_grid import project_positions

from .ct_report import CTImportLog


@dataclass(frozen=True)
class LabelFile:
    """The labels of a file, by the images it lists.

    exhaustive: slices of a named study's reference phase that are not listed are background. classes: of the data.
    """

    path: str
    entries: Tuple[CocoImage, ...]
    exhaustive: bool
    classes: Tuple[str, ...] = CLASSES


def load_label_file(path: str, *, usual: Sequence[str] = CLASSES) -> LabelFile:
    """Read and check a label file by itself. Raises AnnotationError that names the entry and the key.

    usual: the classes of the data where the file's boxes are of no others.
    """
    coco = read_json(path, error=AnnotationError)
    classes = classes_of(coco, usual, path)
    images = coco_images(coco, classes, path)
    exhaustive = coco.get("exhaustive", False)
    if not isinstance(exhaustive, bool):
        raise AnnotationError(f"{path}: key 'exhaustive' must be true or false")
    for entry, _, _ in images:
        where = f"{path}: image {entry['id']}"
        by_uid = "sop_instance_uid" in entry
        keys: Dict[str, type] = dict(sop_instance_uid=str) if by_uid else dict(study=str, phase=str, slice=int)
        if not keys.keys() <= entry.keys():
            raise AnnotationError(f"{where} needs 'sop_instance_uid', or 'study', 'phase' and 'slice'")
        for key, kind in keys.items():
            value_of(entry, key, (kind,), where)
    return LabelFile(path, tuple(images), exhaustive, classes)


def match_labels(labels: LabelFile, log: CTImportLog) -> Dict[str, Dict[str, Dict[int, CocoImage]]]:
    """StudyInstanceUID -> phase -> slice of its series in z order -> entry.

    The phase is the reference phase, or that of ``--labels-on``.

    An entry that names nothing in the folder, or a slice of another size, raises AnnotationError. One that
    names something that was not taken is counted in the log.
    """
    slices = [(one, series, index) for series in log.scan.series for index, one in enumerate(series.slices)]
    by_uid = {slice_uid(one): (series, index) for one, series, index in slices}
    by_uid.update((one.sop_instance_uid, (series, index)) for one, series, index in slices if one.frames == 1)
    multi_frame = {one.sop_instance_uid for one, *_ in slices if one.frames > 1}
    matched: Dict[str, Dict[str, Dict[int, CocoImage]]] = {}
    place_of: Dict[int, np.ndarray] = {}
    for item in labels.entries:
        where = f"{labels.path}: image {item.entry['id']}"
        reason, series, place = "", None, -1
        uid = item.entry.get("sop_instance_uid")
        if uid is None:
            series, reason = _series_of_phase(item.entry, log, where)
            place = item.entry["slice"]
            if series is not None and not 0 <= place < len(series.slices):
                raise AnnotationError(
                    f"{where}: key 'slice' is {place}; its series has {len(series.slices)} slices, counted from 0"
                )
        elif uid in by_uid:
            series, index = by_uid[uid]
            # place_of is keyed by identity: the parts of a mixed series share every identifier.
            if id(series) not in place_of:
                place_of[id(series)] = np.argsort(np.argsort(project_positions(series.slices)[1], kind="stable"))
            place = int(place_of[id(series)][index])
            reason = _why_not_labelled(series, log)
        elif uid in multi_frame:
            raise AnnotationError(
                f"{where}: key 'sop_instance_uid' names a multi-frame file; add '#' and the frame, from 1"
            )
        elif uid in log.scan.unused:
            reason = f"its image was left out: {log.scan.unused[uid]}"
        else:
            raise AnnotationError(f"{where}: key 'sop_instance_uid' names no image of the folder")
        if series is not None and series.slices:
            _check_size(item.entry, series, where)
        if reason or series is None:
            log.labels_not_taken.add(reason, images=1, boxes=len(item.boxes))
            continue
        of_series = matched.setdefault(series.study_uid, {}).setdefault(_phase_of(series, log), {})
        if place in of_series:
            raise AnnotationError(f"{where} is the same slice as image {of_series[place].entry['id']}")
        of_series[place] = item
    return matched


def _series_of_phase(entry: Dict[str, Any], log: CTImportLog, where: str) -> Tuple[Optional[SeriesFiles], str]:
    phase, order = entry["phase"], log.rules.order
    if entry["study"] not in log.choices:
        raise AnnotationError(f"{where}: key 'study' names no study with CT slices in the folder")
    if phase not in order:
        raise AnnotationError(f"{where}: key 'phase' is {phase!r}; the phases are {', '.join(order)}")
    series = log.choices[entry["study"]].taken.get(phase)
    return series, _why_not_labelled(series, log) if series else "its phase was not taken"


def _phase_of(series: SeriesFiles, log: CTImportLog) -> str:
    """The phase for which a series was taken, "" where it was not."""
    taken = log.choices[series.study_uid].taken
    return next((phase for phase, one in taken.items() if one is series), "")


def _why_not_labelled(series: SeriesFiles, log: CTImportLog) -> str:
    phase = _phase_of(series, log)
    if not phase:
        return "its series was not taken"
    if phase in (log.rules.reference, log.labels_on):
        return ""
    return f"labels belong to the reference phase, this one lies on {phase}"


def _check_size(entry: Dict[str, Any], series: SeriesFiles, where: str) -> None:
    first = series.slices[0]
    if (entry["width"], entry["height"]) != (first.columns, first.rows):
        raise AnnotationError(
            f"{where}: 'width' and 'height' are {entry['width']} and {entry['height']}, "
            f"its slice has {first.columns} columns and {first.rows} rows"
        )
