"""Label files that come with a folder of DICOM -> labels of prepared studies.

Messages name image ids, never identifiers.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.data.coco import CocoImage
from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError
from gluon_liver.labels.boxes import size_hint
from gluon_liver.labels.ct import LabelFile, name_of
from gluon_liver.labels.file_names import match_names
from gluon_liver.readers.dicom.series import SeriesFiles, slice_uid
from gluon_liver.readers.dicom.slice_grid import project_positions

from .ct_report import CTImportLog
from .report import OTHER_PHASE

MISSING = "it names no image of the folder"
Slice = Tuple[SeriesFiles, int]  # the second is the place in SeriesFiles.slices


def match_labels(labels: LabelFile, log: CTImportLog) -> Dict[str, Dict[str, Dict[int, CocoImage]]]:
    """Key of a case -> phase -> slice of its series in z order -> entry.

    The phase is the reference phase, or that of ``--labels-on``.

    Raises AnnotationError for entries that name nothing in the folder, or a slice of another size. What names
    something that was not taken is counted in the log.
    """
    slices = _Slices(log, labels)
    faults, missing = Faults(), 0
    matched: Dict[str, Dict[str, Dict[int, CocoImage]]] = {}
    for item in labels.entries:
        with faults.gathered():
            found, reason = slices.find(item)
            if found is not None:
                _check_size(item, found[0])
            if reason == MISSING and not labels.allow_missing:
                missing += 1
                raise AnnotationError(f"{item.where}: {_what_names(item.entry)} of the folder")
            if reason or found is None:
                log.labels_not_taken.add(reason, images=1, boxes=item.count)
                continue
            series, place = found
            of_series = matched.setdefault(log.key_of(series.study_uid), {}).setdefault(_phase_of(series, log), {})
            if place in of_series:
                raise AnnotationError(f"{item.where} is the same slice as {_other(item, of_series[place])}")
            of_series[place] = item
    if labels.entries and log.labels_not_taken.images[MISSING] == len(labels.entries):
        raise AnnotationError(f"none of the {len(labels.entries)} images of the label file is in the folder")
    there = f"where the folder is a part of what was labelled, --allow-missing goes on without {missing} image(s)"
    faults.raise_any(there if missing else "")
    if slices.by_last_part:
        alone = "their file names alone: the folders before it are not those of the files"
        log.notes.append(f"{slices.by_last_part} image(s) were found by the last part of {alone}")
    return matched


class _Slices:
    """The slices of a folder by what a label file may call them. by_last_part: how many by that of their path alone."""

    def __init__(self, log: CTImportLog, labels: LabelFile):
        self.log, self.by_last_part = log, 0
        slices = [(one, series, index) for series in log.scan.series for index, one in enumerate(series.slices)]
        self.by_uid: Dict[str, Slice] = {slice_uid(one): (series, index) for one, series, index in slices}
        self.by_uid.update((one.sop_instance_uid, (series, index)) for one, series, index in slices if one.frames == 1)
        self.multi_frame = {one.sop_instance_uid for one, *_ in slices if one.frames > 1}
        self.by_path: Dict[str, List[Slice]] = {}
        for one, series, index in slices:
            path = os.path.abspath(one.path)  # the folders above the imported one may be in names too
            # tools name pictures by the identifier too
            for name in {path, f"{path.rpartition('/')[0]}/{one.sop_instance_uid}"}:
                self.by_path.setdefault(name, []).append((series, index))
        self.places: Dict[int, np.ndarray] = {}
        self.paths = self._match_names([item for item in labels.entries if name_of(item.entry) is not None])

    def find(self, item: CocoImage) -> Tuple[Optional[Slice], str]:
        """The slice that an image of a label file is, and why it gets no labels; AnnotationError where nothing says."""
        if item.where in self.paths:
            return self._named(item, self.paths[item.where])
        if "sop_instance_uid" in item.entry:
            return self._of_uid(item)
        return self._of_phase(item)

    def _match_names(self, items: Sequence[CocoImage]) -> Dict[str, List[str]]:
        """Which paths each item may mean, by the item's place in its file."""
        result: Dict[str, List[str]] = {}
        groups: Dict[str, List[CocoImage]] = {}
        for item in items:
            groups.setdefault(item.where.rpartition(": image ")[0], []).append(item)
        paths = list(self.by_path)
        for group in groups.values():
            matches = match_names([name_of(item.entry) or "" for item in group], paths)
            for item, places in zip(group, matches.candidates):
                result[item.where] = [paths[place] for place in places]
                self.by_last_part += matches.by_name_alone and bool(places)
        lost = [item for item in items if not result[item.where]]
        # what is in the folder, but is no slice
        others = [path for path in map(os.path.abspath, self.log.scan.paths) if path not in self.by_path]
        for item, places in zip(lost, match_names([name_of(item.entry) or "" for item in lost], others).candidates):
            result[item.where] = [others[place] for place in places]
        return result

    def _named(self, item: CocoImage, paths: Sequence[str]) -> Tuple[Optional[Slice], str]:
        found = {(id(one), index): (one, index) for path in paths for one, index in self.by_path.get(path, ())}
        if not paths:
            return None, MISSING
        if not found:
            return None, "its file holds no slice that can be taken"
        if len(found) > 1 and len({one.slices[index].file for one, index in found.values()}) == 1:
            raise AnnotationError(
                f"{item.where}: key 'file_name' names a multi-frame file; name its frames in a mapping file (--map): "
                "sop_instance_uid with '#' and the frame, from 1"
            )
        if len(found) > 1:
            raise AnnotationError(
                f"{item.where}: key 'file_name' could be {len(found)} files of the folder; write their folders before "
                "it, or say with a mapping file (--map) which is which"
            )
        ((series, index),) = found.values()
        return self._placed(series, index)

    def _of_uid(self, item: CocoImage) -> Tuple[Optional[Slice], str]:
        uid = item.entry["sop_instance_uid"]
        if uid in self.by_uid:
            return self._placed(*self.by_uid[uid])
        if uid in self.multi_frame:
            raise AnnotationError(
                f"{item.where}: key 'sop_instance_uid' names a multi-frame file; add '#' and the frame, from 1"
            )
        unused = self.log.scan.unused.get(uid)
        return None, MISSING if unused is None else f"its image was left out: {unused}"

    def _of_phase(self, item: CocoImage) -> Tuple[Optional[Slice], str]:
        key, order = self.log.key_of(item.entry["study"]), self.log.rules.order
        if not key:
            return None, MISSING
        phase = next((one for one in order if one.casefold() == item.entry["phase"].strip().casefold()), "")
        if not phase:
            raise AnnotationError(f"{item.where}: key 'phase' is none of the phases, which are {', '.join(order)}")
        series = self.log.choices[key].taken.get(phase)
        if series is None:
            return None, "its phase was not taken"
        place, count = item.entry["slice"], len(series.slices)
        if not 0 <= place < count:
            raise AnnotationError(
                f"{item.where}: key 'slice' is {place}; its series has {count} slices, counted from 0"
            )
        return (series, place), _why_not_labelled(series, self.log)

    def _placed(self, series: SeriesFiles, index: int) -> Tuple[Slice, str]:
        # by identity: the parts of a mixed series share every identifier
        if id(series) not in self.places:
            order = np.argsort(np.argsort(project_positions(series.slices)[1], kind="stable"))
            self.places[id(series)] = order
        return (series, int(self.places[id(series)][index])), _why_not_labelled(series, self.log)


def _what_names(entry: Dict[str, Any]) -> str:
    if name_of(entry) is None and "sop_instance_uid" not in entry:
        return "key 'study' names no study with CT slices"
    return f"key '{'sop_instance_uid' if name_of(entry) is None else 'file_name'}' names no image"


def _other(item: CocoImage, other: CocoImage) -> str:
    """The other image of two, with its file where that is another."""
    file, _, number = other.where.rpartition(": ")
    hint = ""
    if ".rf." in str(item.entry.get("file_name")):
        hint = "; copies that Roboflow augmented are no slices of the folder: export without augmentation"
    return (number if item.where.startswith(f"{file}: ") else other.where) + hint


def _phase_of(series: SeriesFiles, log: CTImportLog) -> str:
    """The phase for which a series was taken, "" where it was not."""
    taken = log.choices[log.key_of(series.study_uid)].taken
    return next((phase for phase, one in taken.items() if one is series), "")


def _why_not_labelled(series: SeriesFiles, log: CTImportLog) -> str:
    phase = _phase_of(series, log)
    if not phase:
        return "its series was not taken"
    if phase in (log.rules.reference, log.labels_on):
        return ""
    return OTHER_PHASE + phase


def _check_size(item: CocoImage, series: SeriesFiles) -> None:
    first, entry = series.slices[0], item.entry
    if (entry["width"], entry["height"]) != (first.columns, first.rows):
        hint = size_hint((entry["width"], entry["height"]), (first.columns, first.rows))
        raise AnnotationError(
            f"{item.where}: 'width' and 'height' are {entry['width']} and {entry['height']}, "
            f"its slice has {first.columns} columns and {first.rows} rows{hint}"
        )
