"""What a page shows: one study or recording with its labels, from prepared data or from a folder of DICOM files."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.data.coco import Label
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.open import open_dataset
from gluon_liver.data.study import Study
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import InputError
from gluon_liver.inspection.lesions import DrawnLesion, drawn_lesions
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.enumerations import first_of

from .codec import FRAME_SCALE, GREY_SCALE, HU_SCALE, Scale

Picture = Callable[[int, int], Optional[Array]]  # (phase, place) -> codes uint8, None where there is no slice


@dataclass(frozen=True, eq=False)
class Shown:
    """One case as a page shows it.

    kind: CT, MRI or ultrasound. places: of each stored slice or frame what is said of it.
    numbers: theirs in the study or the recording. picture: its codes. labels: by
    place. lesions: what was drawn, joined over slices; of recordings ``scenes``: (name, first place, last place).
    spacing: (dz, dy, dx) mm, None of frames.
    """

    case: str
    kind: str
    phases: Tuple[str, ...]
    reference: int
    places: Tuple[str, ...]
    numbers: Tuple[int, ...]
    size: Tuple[int, int]
    spacing: Optional[Tuple[float, float, float]]
    scale: Scale
    picture: Picture
    classes: Tuple[str, ...]
    labels: Dict[int, Label] = field(default_factory=dict)
    lesions: Sequence[DrawnLesion] = ()
    scenes: Sequence[Tuple[str, int, int]] = ()
    other_images: Sequence[int] = ()  # ids of labelled images of other cases
    split: str = ""
    phantom: bool = False
    notes: List[str] = field(default_factory=list)


def open_source(
    source: Path, case: Optional[str] = None, *, phases: Optional[Path] = None, reference: Optional[str] = None
) -> Shown:
    """A case of prepared data (DATA with ``case``, or DATA/studies/CASE), or the one study of a folder of DICOM files.

    Raises :class:`InputError` for a case that is not there, several cases without one named, and as
    :func:`gluon_liver.prepare.ct_study.read_study`.
    """
    data = source
    if not (source / "dataset.json").is_file():
        folder = Path(os.path.abspath(source))
        if folder.parent.name == "studies" and (folder.parents[1] / "dataset.json").is_file():
            if case not in (None, folder.name):
                raise InputError(f"{source} is the case {folder.name}: leave --case {case} out")
            data, case = folder.parents[1], folder.name
        elif not (source / "study.json").is_file():
            if case is not None:
                raise InputError(f"{source} has no dataset.json: --case is for prepared data")
            return _of_dicom(source, phases, reference)
        else:
            return of_study(Study.load(source))
    if phases is not None or reference is not None:
        raise InputError("--phases and --reference are for a folder of DICOM files; prepared data have theirs already")
    dataset = open_dataset(data)
    cases = [info.case for info in dataset.cases]
    if case is None and len(cases) > 1:
        raise InputError(f"{data} has {len(cases)} cases: say which with --case, one of {first_of(cases, 5)}")
    name = cases[0] if case is None else _case_named(case, cases, data)
    if isinstance(dataset, USDataset):
        return _of_recording(dataset, name)
    assert isinstance(dataset, CTDataset)
    return _of_prepared(dataset, name)


def _case_named(name: str, cases: Sequence[str], data: Path) -> str:
    """The case of this name, or the only one that begins so."""
    fits = [case for case in cases if case == name] or [case for case in cases if case.startswith(name)]
    if len(fits) != 1:
        what = f"{len(fits)} cases begin so" if fits else "there is no such case"
        raise InputError(f"--case {name}: {what} in {data}; its cases are {first_of(fits or cases, 5)}")
    return fits[0]


def _of_dicom(folder: Path, phases: Optional[Path], reference: Optional[str]) -> Shown:
    from gluon_liver.prepare.ct_report import odd_lines
    from gluon_liver.prepare.ct_study import read_dicom_study

    read = read_dicom_study(folder, phases=phases, reference=reference, progress=True)
    for line in odd_lines(read.account):
        print(line, file=sys.stderr)
    return of_study(read.study)


def of_study(study: Study) -> Shown:
    """A study without labels."""
    kind = study.modality
    scale = HU_SCALE if kind == "CT" else GREY_SCALE

    def picture(phase: int, place: int) -> Optional[Array]:
        return scale.encode(study.hu[phase, place]) if study.present[phase, place] else None

    heights = study.geometry.slice_centres()[:, 2]
    return Shown(
        case=study.case,
        kind=kind,
        phases=study.phases,
        reference=study.reference_index,
        places=tuple(f"z {height:.1f} mm" for height in heights),
        numbers=tuple(range(len(heights))),
        size=(study.hu.shape[2], study.hu.shape[3]),
        spacing=study.geometry.spacing,
        scale=scale,
        picture=picture,
        classes=(),
    )


def _of_prepared(dataset: CTDataset, case: str) -> Shown:
    labels = dataset.labels_by_slice(case)
    shown = of_study(dataset.study(case))
    own: Dict[str, Any] = {**vars(shown), "classes": dataset.classes, "labels": dict(labels)}
    own["lesions"] = drawn_lesions(dataset, case)
    return Shown(**{**own, **_of_data(dataset, case)})


def _of_recording(dataset: USDataset, case: str) -> Shown:
    frames, info = dataset.frames(case), dataset.info(case)
    own = {label.row: label for label in dataset.labels if label.case == case}
    of_row = sorted({label.frame for label in own.values()} | set(info.unlabelled))
    scenes: Dict[int, List[int]] = {}
    for row, label in own.items():
        scenes.setdefault(label.scene, []).append(row)

    def picture(phase: int, place: int) -> Optional[Array]:
        frame = np.ascontiguousarray(frames[place])
        grey = (frame[..., 0] == frame[..., 1]).all() and (frame[..., 1] == frame[..., 2]).all()
        return np.ascontiguousarray(frame[..., 0]) if grey else frame

    names = [f"scene {own[row].scene}" if row in own else "not labelled" for row in range(info.frames)]
    return Shown(
        case=case,
        kind="ultrasound",
        phases=("B-mode",),
        reference=0,
        places=tuple(names),
        numbers=tuple(of_row),
        size=(info.height, info.width),
        spacing=None,
        scale=FRAME_SCALE,
        picture=picture,
        classes=dataset.classes,
        labels=dict(own),
        scenes=[(f"scene {number}", min(rows), max(rows)) for number, rows in sorted(scenes.items())],
        **_of_data(dataset, case),
    )


def _of_data(dataset: Any, case: str) -> Dict[str, Any]:
    """What data say of a case whatever their task."""
    splits = [name for name in ("train", "val", "test") if case in dataset.cases_of(name)]
    others = [label.image_id for label in dataset.labels if label.case != case]
    changed = dataset.changed_labels()
    notes = [changed] if changed else []
    return dict(split=" and ".join(splits), phantom=dataset.phantom, other_images=others, notes=notes)
