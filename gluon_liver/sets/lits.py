"""LiTS: 131 CT scans of seven hospitals with masks of liver (1) and tumors (2); 70 more whose masks are not public.

Where the layout was read:

- kaiko-ai/eva, ``docs/datasets/lits.md`` and ``segmentation/lits.py``: ``Training Batch 1|2/volume-N.nii`` and
  ``segmentation-N.nii`` beside them, found at any depth; headers of two orientations, whose axes are believed.
- giussepi/segmentation-co-training, ``lits17/README.md``: downloaded as ``Training_Batch1.zip`` and ``..2.zip``.
- PatrickChrist/LITS-CHALLENGE, issue 14 (the organizers'): volumes 28 to 47 have an identity matrix, so that their
  spacing of 1 x 1 x 1 mm is not theirs. JunMa11/AbdomenCT-1K, issue 27, says the same of 20 volumes.
- assassint2017/MICCAI-LITS2017, issue 33: volumes 28 to 44 and 46 to 48 are patients 1 to 20 of 3D-IRCADb-01.

Not verified, for want of the files: that every mask has its volume's header (one that has not is refused, since its
voxels are the volume's), and offsets of HU in some volumes, of which nothing was found written: values that are no HU
of a body are refused by the import's own check. Nothing tells which volumes are of one patient: each counts as one;
twins are told by their images.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, List, Tuple

import numpy as np

from gluon_liver.errors import InputError, VolumeError
from gluon_liver.readers.volumes.grid import file_geometry
from gluon_liver.readers.volumes.open import open_file, open_mask, open_volume
from gluon_liver.structures.label_volume import LabelVolume

from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase
from .named_files import below

VOLUME = re.compile(r"(test-)?volume-(\d+)\.nii(\.gz)?", re.IGNORECASE)
NO_SPACING = range(28, 48)
IRCADB = (*range(28, 45), *range(46, 49))
LIVER, TUMOR = 1, 2


class LiTS(Layout):
    """See the module."""

    name: ClassVar[str] = "lits"
    title: ClassVar[str] = "LiTS"
    classes: ClassVar[Tuple[str, ...]] = ("tumor",)
    phases: ClassVar[Tuple[str, ...]] = ("portal_venous",)
    reference: ClassVar[str] = "portal_venous"

    def find(self, source: Path) -> Found:
        found = Found()
        taken: Dict[int, Path] = {}
        masks = {path.name.lower().partition(".")[0]: path for path in below(source, "segmentation-*.nii*")}
        archives = below(source, "*.zip")
        for path in below(source, "*volume-*.nii*"):
            match, where = VOLUME.fullmatch(path.name), path.relative_to(source).as_posix()
            number = int(match[2]) if match else -1
            mask = masks.get(f"segmentation-{number}")
            if match is None or match[1]:
                found.left_out.append(LeftOut(where, "a volume of the test, whose mask is not public"))
            elif number in taken:
                found.left_out.append(LeftOut(where, "its number is there twice"))
            elif mask is None:
                found.left_out.append(LeftOut(where, "it has no segmentation of its number"))
            else:
                taken[number] = path
                found.cases.append(self._case(number, path, mask, source))
        unpack = "an archive: unpack it"
        found.left_out += [LeftOut(one.relative_to(source).as_posix(), unpack) for one in archives]
        if not found.cases:
            packed = f"; there are {len(archives)} archives: unpack them" if archives else ""
            raise InputError(f"{source} is no {self.title}: no volume-N.nii with its segmentation-N.nii{packed}")
        found.cases.sort(key=lambda case: int(case.name))
        found.notes += _notes(taken)
        return found

    def _case(self, number: int, path: Path, mask: Path, source: Path) -> SetCase:
        phases = {self.reference: PhaseVolume(path.relative_to(source).as_posix(), partial(open_volume, path))}
        opened = partial(masks_on, mask, path)
        name = mask.relative_to(source).as_posix()
        labels = MaskLabels(name, self.reference, opened, {TUMOR: self.classes[0]}, (LIVER,))
        return SetCase(str(number), str(number), phases, labels)


def masks_on(mask: Path, volume: Path) -> List[LabelVolume]:
    """The mask of a volume, whose voxels are the volume's. Raises :class:`VolumeError` where headers say otherwise."""
    image = open_file(volume)
    drawn = open_mask(mask)
    if not drawn.geometry.same_grid(file_geometry(image.affine, image.shape), tolerance=0.1):
        raise VolumeError("its header places the mask on other voxels than the volume's: one of both is wrong", mask)
    return [drawn]


def _notes(taken: Dict[int, Path]) -> List[str]:
    spacing = sum(_says_one_mm(path) for number, path in taken.items() if number in NO_SPACING)
    shared = sum(number in IRCADB for number in taken)
    notes = ["each volume counts as a patient: the set does not tell patients"]
    if spacing:
        notes.append(
            f"{spacing} volume(s) (of 28 to 47) say a spacing of 1 x 1 x 1 mm that is not theirs: millimetres mean "
            "nothing there, those of lesions, of --min-lesion-mm and of steps between slices"
        )
    if shared:
        notes.append(
            f"{shared} volume(s) (of 28 to 48) are patients of 3D-IRCADb-01: results there are not independent"
        )
    return notes


def _says_one_mm(volume: Path) -> bool:
    """Whether the header of a volume says 1 mm along every axis; copies of the set exist in which that was mended."""
    try:
        sides = np.linalg.norm(open_file(volume).affine[:3, :3], axis=0)
    except VolumeError:  # the import says what is wrong with it
        return False
    return bool(np.allclose(sides, 1.0, rtol=0, atol=1e-3))
