"""3D-IRCADb-01: 20 venous CT as DICOM, with a DICOM series for the mask of each structure.

Where the layout was read:

- mjirik/bodynavigation (its tests) and readers that train on the set: ``3Dircadb1.N/PATIENT_DICOM/image_0`` and
  ``3Dircadb1.N/MASKS_DICOM/<structure>/image_0``, masks of 0 and 255, beside ``LABELLED_DICOM`` and ``MESHES_VTK``;
  each comes as a zip inside the patient's zip, and unpacking leaves ``PATIENT_DICOM/PATIENT_DICOM`` where a
  tool makes a folder of its own.
- a reader's list of all structures: ``livertumor01`` to ``07``, ``livertumor``, ``livertumors``, ``livertumor1``,
  ``livertumor2``, ``tumor``; ``livercyst``, ``liverkyst``, ``liverkyste``; ``leftsurretumor`` and ``rightsurretumor``
  (adrenal), ``metastasectomie`` (what was cut out).
- a reader that checked the official zips patient by patient: no tumor of the liver in 5, 7, 11, 14 and 20; the
  ``tumor`` of patient 7 is an adrenal one.
- a project that audited the DICOM (74 to 260 slices, 0.56 to 0.87 mm, 1 to 4 mm apart): images and masks are both
  ordered by their positions.

Not verified, for want of the files: bits and ImageType of the masks (CT Image Storage, ORIGINAL, by another audit),
that their positions equal those of the images in all patients, and what their identifiers are, which are not read.

Rules: every folder that begins with ``livertumor`` is ``tumor`` (of whatever kind: the set does not say in its files),
``livercyst`` and its other spellings are ``cyst``; 3D components of a folder are lesions, and folders never join. Other
structures are no lesions of the liver and are not read, but for ``liver``, whose mask says which slices were drawn on.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, List, Optional, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.readers.masks.mask_series import open_mask_series
from gluon_liver.structures.label_volume import LabelVolume

from .dicom_folders import open_folder
from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase

PATIENT = re.compile(r"3Dircadb1\.(\d+)", re.IGNORECASE)
IMAGES, MASKS, LIVER = "PATIENT_DICOM", "MASKS_DICOM", "liver"
KINDS = {"tumor": re.compile(r"livertumou?rs?[ _]?\d*"), "cyst": re.compile(r"liver(?:cysts?|kystes?)[ _]?\d*")}


class IRCADb(Layout):
    """See the module."""

    name: ClassVar[str] = "3d-ircadb"
    title: ClassVar[str] = "3D-IRCADb-01"
    classes: ClassVar[Tuple[str, ...]] = ("cyst", "tumor")
    phases: ClassVar[Tuple[str, ...]] = ("portal_venous",)
    reference: ClassVar[str] = "portal_venous"

    def find(self, source: Path) -> Found:
        found = Found()
        folders = [source] if PATIENT.fullmatch(source.name) else []
        folders += [path for path in source.rglob("*") if path.is_dir() and PATIENT.fullmatch(path.name)]
        # a folder of the same name inside, as some tools unpack it
        folders = [one for one in folders if _inside(one, IMAGES) or list(one.glob("*.zip"))]
        for folder in sorted(folders, key=lambda path: (int(path.name.partition(".")[2]), str(path))):
            self._add(folder, source, found)
        if not found.cases:
            why = f": {found.left_out[0].reason}" if found.left_out else ""
            raise InputError(
                f"{source} is no {self.title}: folders 3Dircadb1.N with {IMAGES} and {MASKS}/{LIVER} are looked for "
                f"below it{why}"
            )
        others = sorted(
            {name for one in folders for name in self._structures(one)[2] if "umor" in name or "yst" in name}
        )
        if others:
            found.notes.append(f"masks of {', '.join(others)} are of no lesion of the liver, and are not read")
        return found

    def _add(self, folder: Path, source: Path, found: Found) -> None:
        images, masks = _inside(folder, IMAGES), _inside(folder, MASKS)
        lesions, liver, _ = self._structures(folder)
        packed = [name for name in (IMAGES, MASKS) if not _inside(folder, name) and (folder / f"{name}.zip").is_file()]
        if images is None or masks is None or liver is None:
            what = (
                f"unpack {' and '.join(f'{name}.zip' for name in packed)}" if packed else "it lacks images or the liver"
            )
            found.left_out.append(LeftOut(folder.relative_to(source).as_posix() or ".", what))
            return
        values: Dict[int, str] = {1: LIVER, **dict(enumerate((kind for _, kind in lesions), 2))}
        paths = (liver, *(path for path, _ in lesions))
        labels = MaskLabels(
            masks.relative_to(source).as_posix(),
            self.reference,
            partial(read_structures, paths),
            {value: kind for value, kind in values.items() if kind != LIVER},
            ignored=(1,),
        )
        volume = PhaseVolume(images.relative_to(source).as_posix(), partial(open_folder, images))
        found.cases.append(SetCase(folder.name, folder.name, {self.reference: volume}, labels))

    def _structures(self, folder: Path) -> Tuple[List[Tuple[Path, str]], Optional[Path], List[str]]:
        """(folders of lesions with their class, that of the liver, names of the others) of one patient."""
        masks = _inside(folder, MASKS)
        lesions: List[Tuple[Path, str]] = []
        liver, others = None, []
        for path in sorted(masks.iterdir()) if masks is not None else ():
            kind = next((kind for kind, form in KINDS.items() if form.fullmatch(path.name.lower())), None)
            if not path.is_dir():
                continue
            if kind is not None:
                lesions.append((path, kind))
            elif path.name.lower() == LIVER:
                liver = path
            else:
                others.append(path.name)
        return lesions, liver, others


def read_structures(folders: Tuple[Path, ...]) -> List[LabelVolume]:
    """The masks of folders, the voxels of each with its place from 1. Raises InputError for one that holds none."""
    result: List[LabelVolume] = []
    for value, folder in enumerate(folders, 1):
        series = open_mask_series([path for path in folder.iterdir() if path.is_file()], folder.name, "a mask series")
        if series is None:
            raise InputError("a folder of a mask holds no mask series")
        (volume,) = series.read()
        marked = (volume.labels > 0).astype(np.uint8) * np.uint8(value)
        result.append(LabelVolume(volume.geometry, marked, {value: folder.name}))
    return result


def _inside(folder: Path, name: str) -> Optional[Path]:
    """``folder/name``, or the folder of the same name in it; None where there is none."""
    path = folder / name
    path = path / name if (path / name).is_dir() else path
    return path if path.is_dir() else None
