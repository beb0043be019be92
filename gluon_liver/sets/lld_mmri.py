"""LLD-MMRI: MRI of 498 patients in eight phases, boxes on the slices of each phase, seven kinds of lesion. No HU.

Where the layout was read:

- LMMMEng/LLD-MMRI2023 (the authors'), ``main/README.md`` and ``main/preprocess/crop_roi.py``:
  ``images/<case>/<studyUID>/<seriesUID>.nii.gz`` and ``labels/Annotation.json``: ``Annotation_info`` -> case -> a
  list of series with ``studyUID``, ``seriesUID``, ``phase``, ``pixel_spacing``, ``slice_thickness`` and
  ``annotation.lesion`` -> number -> ``category`` and ``bbox.3D_box`` (x_min, y_min, x_max, y_max, z_min, z_max;
  cropped as rows y_min:y_max and slices z_min to z_max with z_max, on the array as SimpleITK reads it). The eight
  phases, the seven categories and their numbers; -1 where a category is not told. 316 training, 78 validation and 104
  test cases.
- MedSAM's script of its author for this set (LiteMedSAM): ``bbox.2D_box``, a list of ``slice_idx``, ``x_min``,
  ``y_min``, ``x_max``, ``y_max``, ``area``, on the same array; ``num_targets``. It renames volumes to
  ``<case>_<category>_<phase without blanks>_0000.nii.gz`` in one folder, as wanglab/LLD-MMRI-MedSAM2 on Hugging Face
  has them: these names are found too.
- A reader that froze a cohort of it: ``Category_info``; eight phases and one category in each of 498 cases; HCC 157,
  hemangioma, cyst and FNH 178 together, ICC 58, abscess 54, metastasis 51.
- A participant's scripts: ``origin`` and ``slice_spacing`` in a series; slices of 21 cases run the other way than
  those of the rest; of a case (MR58043) slices have a number added to all their values. The latter is not mended
  here.
- Another reader: T2 and DWI have thicker slices than the dynamic phases, other grids; 23 of 335 cases are covered
  badly.

Not verified, for want of the files: whether x_max and y_max are exclusive (as the authors crop, and as taken here),
whether headers place all phases in one patient, and whether every lesion of a patient has boxes. So slices without a
box are unlabelled and no background; and a phase is absent whose header does not agree with ``pixel_spacing``, or
puts the lesions further than :data:`MOST_OFF_MM` from where the reference phase has them.

Rules: slices are counted as the file has them and turned to the patient with it. A case with a lesion of unknown
category is left out. The official split is kept where it is known of every case: test by an
``Annotation*test*.json``, validation by ``labels_val*.txt`` and training by ``labels.txt``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, List, Mapping, Optional, Tuple

import numpy as np

from gluon_liver.errors import InputError, VolumeError
from gluon_liver.files.json_records import read_text
from gluon_liver.readers.volumes.grid import stored_grid
from gluon_liver.readers.volumes.open import open_file, open_volume
from gluon_liver.structures.arrays import FloatArray
from gluon_liver.structures.volume_stack import VolumeStack

from .layout import BoxLabels, Found, Layout, LeftOut, PhaseVolume, SetCase, SourceBox
from .lld_annotation import CLASSES, PHASES, Series, read_annotations
from .named_files import below, missing_phases

MOST_OFF_MM = 50.0  # that breathing and the choice of slices move a lesion's centre between phases
SPACING_OFF = 0.02  # share by which pixels of header and annotation may differ
TEST, VALIDATION, TRAINING = "*test*", "labels_val*.txt", "labels.txt"


class LLDMMRI(Layout):
    """See the module."""

    name: ClassVar[str] = "lld-mmri"
    title: ClassVar[str] = "LLD-MMRI"
    classes: ClassVar[Tuple[str, ...]] = CLASSES
    phases: ClassVar[Tuple[str, ...]] = tuple(PHASES.values())
    reference: ClassVar[str] = "portal_venous"

    def find(self, source: Path) -> Found:
        files = below(source, "Annotation*.json") + below(source, "*Annotation_full.json")
        if not files:
            looked = "labels/Annotation.json beside images/<case>/<study>/<series>.nii.gz is looked for"
            raise InputError(f"{source} is no {self.title}: {looked} and not found")
        found, volumes = Found(), {path.name: path for path in below(source, "*.nii.gz")}
        listed = read_annotations(files)
        for case, series in sorted(listed.items()):
            paths = {id(one): _volume(one, volumes) for one in series}
            taken: Dict[str, Tuple[Series, Path]] = {}
            for one in series:
                path = paths[id(one)]
                why = "" if path else "its volume is not there"
                why = why or ("the phase is there twice" if one.phase in taken else "")
                if why or path is None:
                    found.left_out.append(LeftOut(f"{case}/{one.series_uid}", why))
                elif one.phase in self.phases:
                    taken[one.phase] = (one, path)
            try:
                found.cases.append(self._case(case, taken, source))
            except InputError as error:
                reason = error.reason if isinstance(error, VolumeError) else str(error)
                found.left_out.append(LeftOut(case, reason))
        if not found.cases:
            raise InputError(f"{source}: of {len(listed)} cases of {self.title} none can be taken; {_reasons(found)}")
        found.cases, told = _with_splits(found.cases, files, listed, source)
        found.notes += [*told, *missing_phases(found.cases, self.phases)]
        found.notes.append("slices without a box are unlabelled: nothing says that every lesion of a patient has boxes")
        return found

    def _case(self, case: str, taken: Mapping[str, Tuple[Series, Path]], source: Path) -> SetCase:
        """One patient. Raises :class:`InputError` for one that cannot be taken."""
        if self.reference not in taken:
            raise InputError(f"it has no {self.reference} phase, on which boxes lie")
        if any(lesion.class_name is None for one, _ in taken.values() for lesion in one.lesions):
            raise InputError("the category of a lesion is not told (-1)")
        own, path = taken[self.reference]
        labels, centres = _labels_of(own, path, self.reference)
        phases = {}
        for phase in self.phases:
            if phase in taken:
                series, file = taken[phase]
                opened = partial(open_beside, file, series, centres)
                phases[phase] = PhaseVolume(file.relative_to(source).as_posix(), opened, value="mri")
        return SetCase(case, case, phases, labels)


class LLDMMRIDynamic(LLDMMRI):
    """The four phases around the contrast alone, as many as a network relates."""

    name: ClassVar[str] = "lld-mmri-dynamic"
    title: ClassVar[str] = "LLD-MMRI, dynamic phases"
    phases: ClassVar[Tuple[str, ...]] = ("non_contrast", "arterial", "portal_venous", "delayed")


def open_beside(path: Path, series: Series, centres: Mapping[str, FloatArray]) -> VolumeStack:
    """The volume of a series whose header agrees with the annotation.

    centres: of lesions in mm, on the reference phase. Raises :class:`VolumeError`.
    """
    affine = _checked_affine(path, series)
    off = [
        float(np.linalg.norm(affine[:3, :3] @ lesion.centre + affine[:3, 3] - centres[lesion.number]))
        for lesion in series.lesions
        if lesion.number in centres
    ]
    if off and max(off) > MOST_OFF_MM:
        what = f"its header puts a lesion {max(off):.0f} mm from where the reference phase has it"
        raise VolumeError(f"{what}: more than breathing moves it, so the header is not believed", path)
    return open_volume(path, value="mri")


def _checked_affine(path: Path, series: Series) -> FloatArray:
    """(4, 4), voxels of the file -> mm. Raises :class:`VolumeError` where the annotation says another spacing."""
    affine = open_file(path).affine
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    for axes, told in (((0, 1), series.pixel_spacing), ((2,), series.slice_spacing)):
        if told and not np.allclose(sorted(sides[list(axes)]), sorted(told), rtol=SPACING_OFF):
            here, there = ("x".join(f"{side:.3g}" for side in values) for values in (sides[list(axes)], told))
            raise VolumeError(f"its header says {here} mm and the annotation {there} mm: one is wrong", path)
    return affine


def _labels_of(series: Series, path: Path, phase: str) -> Tuple[BoxLabels, Dict[str, FloatArray]]:
    """Boxes by slice from the feet, and the centres of lesions in mm. Raises :class:`VolumeError`."""
    affine, (columns, rows, slices) = _checked_affine(path, series), open_file(path).shape
    grid = stored_grid(affine, (columns, rows, slices))
    if grid.axes[0] != 2:
        raise VolumeError(
            "its third axis does not run from feet to head, so the slices of boxes are not those of it", path
        )
    boxes: Dict[int, List[SourceBox]] = {}
    for lesion in series.lesions:
        assert lesion.class_name is not None  # or the case would have been left out
        for one in lesion.boxes:
            if one.slice >= slices or one.box[2] > columns or one.box[3] > rows:
                raise VolumeError(f"a box lies outside its {slices} slices of {rows}x{columns} pixels", path)
            place = slices - 1 - one.slice if grid.downward else one.slice
            boxes.setdefault(place, []).append(SourceBox(one.box, lesion.class_name, int(lesion.number) + 1))
    if not boxes:
        raise VolumeError("no slice of it has a box", path)
    centres = {one.number: affine[:3, :3] @ one.centre + affine[:3, 3] for one in series.lesions if one.boxes}
    return BoxLabels(phase, dict(sorted(boxes.items())), exhaustive=False), centres


def _volume(series: Series, by_name: Mapping[str, Path]) -> Optional[Path]:
    """The file of a series: as the authors name it, or as MedSAM's copy of the set does."""
    at = Path(series.case, series.study_uid, f"{series.series_uid}.nii.gz")
    for path in (by_name.get(at.name), *(by_name.get(name) for name in series.flat_names)):
        if path is not None and (path.name != at.name or path.parts[-3:] == at.parts):
            return path
    return None


def _with_splits(
    cases: List[SetCase], files: List[Path], listed: Mapping[str, List[Series]], source: Path
) -> Tuple[List[SetCase], List[str]]:
    """The cases with their official splits where that of each is known, and what is to be told."""
    named = {
        split: {line.split()[0] for path in below(source, name) for line in _lines(path)}
        for split, name in (("val", VALIDATION), ("train", TRAINING))
    }
    test = (
        {case for case, series in listed.items() if "test" in series[0].file.stem.lower()} if len(files) > 1 else set()
    )
    splits = {}
    for case in cases:
        of = ["test"] * (case.name in test) + [split for split, names in named.items() if case.name in names]
        if len(of) == 1:
            splits[case.name] = of[0]
    if len(splits) < len(cases):
        known = Counter(splits.values())
        what = f"the official split is known of {len(splits)} of {len(cases)} cases ({dict(known)})" if known else ""
        return cases, [f"{what or 'the official split is not told here'}: patients are dealt to splits at random"]
    return [replace(case, split=splits[case.name]) for case in cases], ["the official split is kept"]


def _lines(path: Path) -> List[str]:
    return [line for line in read_text(path).splitlines() if line.strip()]


def _reasons(found: Found) -> str:
    counts = Counter(one.reason for one in found.left_out).most_common(2)
    return "; ".join(f"{count} times: {reason}" for reason, count in counts)
