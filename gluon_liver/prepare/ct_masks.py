"""Masks that come with a folder of DICOM (``--masks``) -> labels of prepared studies.

Messages name masks by their number, never by a path or an identifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

import numpy as np

from gluon_liver.errors import AnnotationError, DicomError
from gluon_liver.labels.class_map import IGNORE
from gluon_liver.labels.file_names import match_names
from gluon_liver.labels.mask_classes import MaskName, mask_classes
from gluon_liver.labels.masks import mask_boxes, same_voxels
from gluon_liver.phases.cases import Case
from gluon_liver.readers.dicom.volume import SeriesStack, open_series
from gluon_liver.readers.masks.mask_files import MaskFile, find_masks
from gluon_liver.readers.masks.png_folder import PngFolder
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.label_volume import LabelVolume

from .ct_label_places import place_mask_boxes
from .ct_report import CTImportLog

PathLike = Union[str, Path]
SEPARATORS = ("_", "-", ".", " ")
ADVICE = (
    "put the masks of each study into a folder with the name of a folder of its images, or import the study by itself"
)


@dataclass
class StudyMasks:
    """The masks of an import. of_case: by the key of the case. names: of a mask, what each of its values may be called.

    classes: of the data. targets: of such names the index of the class, IGNORE or LEAVE_OUT. min_mm: lesions whose
    longest side in the plane is shorter are dropped.
    """

    classes: Tuple[str, ...]
    min_mm: float
    of_case: Dict[str, List[MaskFile]] = field(default_factory=dict)
    names: Dict[str, Dict[int, MaskName]] = field(default_factory=dict)
    targets: Mapping[MaskName, Union[int, str]] = field(default_factory=dict)
    lesions: int = 0
    too_small: int = 0

    def note(self, log: CTImportLog) -> None:
        """Add to the log what became of the lesions."""
        small = f"; {self.too_small} below {self.min_mm:g} mm in the plane were dropped" if self.min_mm else ""
        log.notes.append(f"masks: {self.lesions} lesions in 3D, each with its number in labels.json{small}")
        bare = len([one for one in log.taken if one.key not in self.of_case])
        if bare:
            log.notes.append(f"{bare} study(s) have no mask: their slices are unlabelled")


def match_masks(
    paths: Sequence[PathLike],
    log: CTImportLog,
    usual: Sequence[str],
    *,
    class_map: Optional[PathLike] = None,
    min_mm: float = 0.0,
) -> StudyMasks:
    """Find the masks below ``paths`` and the study of each.

    A mask belongs to the study whose StudyInstanceUID it has, or, where it is alone in having it, whose frame of
    reference; other masks than DICOM SEG to the only study of the folder, to the only one whose reference phase has the
    same voxels, or to the one that has a folder or an identifier of the mask's name. Raises :class:`AnnotationError`
    where nothing tells the study, or several fit.
    """
    files, notes = find_masks(paths)
    log.notes += notes
    studies = [_StudyFacts.of(key, case, log) for key, case in log.cases.items()]
    names: Dict[str, Dict[int, MaskName]] = {}
    result = StudyMasks(tuple(usual), min_mm, names=names)
    listed: List[MaskName] = []
    for file in files:
        if file.pictures is not None:
            key, file = _by_pictures(file, file.pictures, studies, log)
            volumes = file.read()
        else:
            volumes = file.read()
            key = _study_of(file, volumes[0].geometry, studies, log)
        result.of_case.setdefault(key, []).append(file)
        named = {value: name for volume in volumes for value, name in volume.names.items()}
        values = sorted(set().union(*(_values(volume) for volume in volumes)))
        names[file.where] = {
            value: MaskName(
                tuple(file.names(value, named, values)),
                named[value] if file.is_seg else f"value {value} of {file.where}",
                file.is_seg,
            )
            for value in values
        }
        listed += names[file.where].values()
    chosen = mask_classes(listed, usual, class_map)
    result.classes, result.targets = chosen.classes, chosen.of
    log.notes += chosen.notes
    return result


def place_masks(
    masks: StudyMasks, key: str, stacks: Optional[Mapping[str, SeriesStack]], case: str, log: CTImportLog
) -> None:
    """Add to the log the labels of one study; stacks: its series by phase, None where it was not taken."""
    files = masks.of_case.get(key, [])
    if not files:
        return
    if stacks is None:
        log.notes.append(f"{len(files)} mask(s) are of a study that was not taken")
        return
    stack = stacks[log.reference]
    grid = stack.geometry
    volumes: List[LabelVolume] = []
    classes: Dict[int, int] = {}
    ignored: List[int] = []
    unclear = len(masks.classes)
    for file in files:
        _check_frame(file, stack)
        targets = {value: masks.targets[names] for value, names in masks.names[file.where].items()}
        first = len(classes) + len(ignored) + 1
        codes = {value: first + place for place, value in enumerate(targets)}
        ignored += [codes[value] for value, target in targets.items() if target == IGNORE]
        classes.update(
            (codes[value], target if isinstance(target, int) else unclear)
            for value, target in targets.items()
            if target != IGNORE
        )
        volumes += [volume.recoded(codes) for volume in file.read()]
    try:
        found = mask_boxes(volumes, classes, grid, ignored=ignored, min_mm=masks.min_mm)
    except AnnotationError as error:
        raise AnnotationError(f"masks of {case} ({len(files)}, the first is {files[0].where}): {error}") from error
    masks.lesions += sum(lesion.label != unclear for lesion in found.lesions)
    masks.too_small += len(found.too_small)
    place_mask_boxes(found, stack, case, log, left_out=unclear)


@dataclass(frozen=True, eq=False)
class _StudyFacts:
    """What tells that a mask is of a study. names: of its folders, patients and series, in lower case."""

    key: str
    frame: str
    grid: Optional[Geometry]
    names: Set[str]

    @classmethod
    def of(cls, key: str, case: Case, log: CTImportLog) -> _StudyFacts:
        names = {part for one in case.series for folder in one.folders for part in Path(folder).parts}
        names |= {name for one in case.series for name in (one.patient_id, one.study_uid, one.series_uid)}
        lowered = {name.casefold() for name in names if name}
        taken = log.choices[key].taken.get(log.reference)
        if taken is None:
            return cls(key, "", None, lowered)
        try:
            return cls(key, taken.frame_of_reference, open_series(taken).geometry, lowered)
        except DicomError:  # loading the study says what is wrong
            return cls(key, taken.frame_of_reference, None, lowered)


def _study_of(file: MaskFile, geometry: Geometry, studies: Sequence[_StudyFacts], log: CTImportLog) -> str:
    """Key of the case that a mask belongs to."""
    key = log.key_of(file.study_uid) if file.study_uid else ""
    if key:
        return key
    if file.is_seg:
        framed = [one.key for one in studies if file.frame_of_reference and one.frame == file.frame_of_reference]
        if len(framed) == 1:
            return framed[0]
        raise AnnotationError(f"{file.where}: its study is not in the folder; import the folder that it was drawn on")
    if len(studies) == 1:
        return studies[0].key
    shared = set.intersection(*(one.names for one in studies)) if studies else set()
    rules: Tuple[Callable[[_StudyFacts], bool], ...] = (
        lambda one: one.grid is not None and same_voxels(geometry, one.grid),
        lambda one: any(_is_called(part, name) for part in file.parts for name in one.names - shared),
    )
    fitting: List[_StudyFacts] = []
    for rule in rules:
        fitting = [one for one in (fitting or studies) if rule(one)] or fitting
        if len(fitting) == 1:
            return fitting[0].key
    several = f"{len(fitting)} of the {len(studies)} studies fit" if fitting else f"none of {len(studies)} studies fits"
    raise AnnotationError(f"{file.where}: nothing says which study it belongs to ({several}): {ADVICE}")


def _by_pictures(
    file: MaskFile, folder: PngFolder, studies: Sequence[_StudyFacts], log: CTImportLog
) -> Tuple[str, MaskFile]:
    """The study whose reference phase has a file of the name of each picture, and the mask as its grid has it."""
    names = [path.name for path in folder.paths]
    fitting: List[Tuple[_StudyFacts, List[int]]] = []
    for one in studies:
        series = log.choices[one.key].taken.get(log.reference)
        slices = series.slices if series is not None else ()
        found = match_names([header.path.name for header in slices], names).candidates
        if len(slices) == len(names) and all(len(places) == 1 for places in found):
            pictures = [places[0] for places in found]
            if len({*pictures}) == len(names):
                fitting.append((one, pictures))
    if len(fitting) > 1:
        shared = set.intersection(*(one.names for one in studies))
        called = [
            pair
            for pair in fitting
            if any(_is_called(part, name) for part in file.parts for name in pair[0].names - shared)
        ]
        fitting = called if len(called) == 1 else fitting
    if len(fitting) != 1:
        raise AnnotationError(
            f"{file.where}: {len(fitting)} of {len(studies)} studies have a slice in their reference phase for each of "
            f"its {len(names)} pictures and no other; pictures bear the names of the slices' files, one for each. Else "
            f"{ADVICE}"
        )
    ((study, pictures),) = fitting
    slices = log.choices[study.key].taken[log.reference].slices
    return study.key, replace(file, read=partial(folder.read, slices, pictures))


def _is_called(part: str, name: str) -> bool:
    """Whether the name of a mask's file or folder is that of a study's, or begins with it."""
    part = part.casefold()
    return part == name or part.startswith(tuple(name + separator for separator in SEPARATORS))


def _check_frame(file: MaskFile, stack: SeriesStack) -> None:
    """Raise AnnotationError where the coordinates of a SEG are not those of the images."""
    given, wanted = file.frame_of_reference, stack.frame_of_reference
    if file.is_seg and given and wanted and given != wanted:
        raise AnnotationError(
            f"{file.where}: its FrameOfReferenceUID is not that of the reference phase, so that coordinates in the one "
            "mean nothing in the other; name the series that it was drawn on as the reference phase (--phases)"
        )


def _values(volume: LabelVolume) -> Set[int]:
    """The values of a mask but 0, plane by plane."""
    return set().union(*(np.unique(plane).tolist() for plane in volume.labels if plane.any())) - {0}
