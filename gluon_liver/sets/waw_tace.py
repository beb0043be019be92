"""WAW-TACE: 233 patients with HCC before their first TACE, up to four phases, each on a grid of its own; NRRD masks.

Where the layout was read:

- constantinpape/torch-em, ``torch_em/data/datasets/medical/waw_tace.py``, which downloads Zenodo's record 12741586
  (CC BY 4.0): ``<patient>/<patient>_<phase>_scan.nii.gz`` of four archives ``ct_scans_N_4_wawtace_09_05_24.zip``, and
  ``tumor_masks_wawtace_v1_08_05_2024/<patient>/<patient>_<phase>_<tumor>_tumor_seg.nrrd``, one file a tumor, anything
  above 0 marked. The axes of the scans run left, front, head. **The phase in the name of a mask is not always that of
  the scan that it was drawn on**: the geometry decides, the named phase first.
- lyf7374/LiverPreprocessing (``README.md``): phases 0 to 3 are native, late arterial, portal venous and delayed; HU;
  headers right, 0.54 to 0.98 mm in plane, 0.44 to 7.5 mm between slices; of 164 patients with four phases and masks
  on one of them, 90 have these on the arterial phase, 48 on the portal venous, 24 on the delayed and 2 on the native
  one.
- Readers of the set also meet masks that end on ``.nii.gz``; both are taken.

Not verified, for want of the files: how many masks have another phase's name, and what the clinical tables, which are
not read, say.

Rules: all tumors are HCC. Boxes lie on the arterial phase; masks of a patient that were drawn on another are carried
over by world coordinates, which nothing registered: breathing may have moved them. Of masks on several phases of a
patient those on the arterial phase count, else those on the phase with most of them, so that no tumor is there twice.
A mask that has no scan's grid is taken to lie where its header says, on the phase of its name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Callable, ClassVar, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError, VolumeError
from gluon_liver.labels.masks import same_voxels
from gluon_liver.readers.volumes.grid import file_geometry
from gluon_liver.readers.volumes.open import open_file, open_mask, open_volume
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.label_volume import LabelVolume

from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase
from .named_files import below, missing_phases

SCAN = re.compile(r"(\d+)_([0-3])_scan\.nii(?:\.gz)?")
MASK = re.compile(r"(\d+)_([0-3])_(\d+)_tumor_seg\.(?:nrrd|nii|nii\.gz)")
OTHER_NAME = "mask(s) have the name of one phase and the grid of another: the grid was believed"
NO_GRID = "mask(s) have the grid of no scan: they are put where their headers say, on the phase of their names"


class WAWTACE(Layout):
    """See the module."""

    name: ClassVar[str] = "waw-tace"
    title: ClassVar[str] = "WAW-TACE"
    classes: ClassVar[Tuple[str, ...]] = ("hcc",)
    phases: ClassVar[Tuple[str, ...]] = ("non_contrast", "arterial", "portal_venous", "delayed")
    reference: ClassVar[str] = "arterial"

    def find(self, source: Path) -> Found:
        found = Found()
        told: Counter[str] = Counter()
        scans = _by_patient(below(source, "*_scan.nii*"), SCAN)
        masks = _by_patient(below(source, "*_tumor_seg.*"), MASK)
        if not scans or not masks:
            there = f"{len(scans)} patients have scans and {len(masks)} have masks"
            looked = "<patient>_<phase>_scan.nii.gz and <patient>_<phase>_<tumor>_tumor_seg.nrrd, in folders or not"
            raise InputError(f"{source} is no {self.title}: {looked} are looked for below it; {there}")

        def leave_out(path: Path, reason: str) -> None:
            found.left_out.append(LeftOut(path.relative_to(source).as_posix(), reason))

        for patient in sorted({*scans, *masks}, key=int):
            case = self._case(patient, scans.get(patient, []), masks.get(patient, []), source, leave_out, told)
            if case is not None:
                found.cases.append(case)
        found.notes += [f"{count} {what}" for what, count in told.items()]
        drawn = Counter(case.labels.phase for case in found.cases if case.labels)
        for phase, count in sorted(drawn.items()):
            if phase != self.reference:
                found.notes.append(f"{count} case(s) have their tumors drawn on {phase}: carried to {self.reference}")
        found.notes += missing_phases(found.cases, self.phases)
        return found

    def _case(
        self,
        patient: str,
        scans: Sequence[Tuple[Path, int]],
        masks: Sequence[Tuple[Path, int]],
        source: Path,
        leave_out: Callable[[Path, str], None],
        told: Counter[str],
    ) -> Optional[SetCase]:
        """One patient; None where nothing can be taken, with the reason left with each file."""
        phases: Dict[str, Path] = {}
        for path, number in scans:
            if self.phases[number] in phases:
                leave_out(path, "the scan is there twice")
            else:
                phases[self.phases[number]] = path
        why = "" if masks else "no tumor of this patient is marked"
        why = why if self.reference in phases else f"the patient has no {self.reference} scan, on which boxes lie"
        if why:
            for path in [path for path, _ in [*scans, *masks]]:
                leave_out(path, why)
            return None
        drawn = self._drawn_on(phases, masks, leave_out, told)
        if not drawn:
            for path in phases.values():
                leave_out(path, "no mask of this patient has a scan")
            return None
        phase = self.reference if self.reference in drawn else max(sorted(drawn), key=lambda one: len(drawn[one]))
        for other in sorted(drawn.keys() - {phase}):
            for path in drawn[other]:
                leave_out(path, f"drawn on the {other} phase: the masks on the {phase} phase count for this patient")
        volumes = {
            one: PhaseVolume(phases[one].relative_to(source).as_posix(), partial(open_volume, phases[one]))
            for one in self.phases
            if one in phases
        }
        folder = drawn[phase][0].parent  # of all masks of the patient as the set has them
        name = (drawn[phase][0] if len(drawn[phase]) == 1 or folder == source else folder).relative_to(source)
        labels = MaskLabels(name.as_posix(), phase, partial(marked, tuple(drawn[phase])), {1: self.classes[0]})
        return SetCase(patient, patient, volumes, labels)

    def _drawn_on(
        self,
        scans: Dict[str, Path],
        masks: Sequence[Tuple[Path, int]],
        leave_out: Callable[[Path, str], None],
        told: Counter[str],
    ) -> Dict[str, List[Path]]:
        """Phase -> the masks that were drawn on its scan, by their grids."""
        grids = lru_cache(None)(_grid)
        drawn: Dict[str, List[Path]] = defaultdict(list)
        for path, number in masks:
            named, grid = self.phases[number], _grid(path)
            same = [phase for phase in scans if _is_one_grid(grids(scans[phase]), grid)]
            if named in same:
                drawn[named].append(path)
            elif len(same) == 1:
                told[OTHER_NAME] += 1
                drawn[same[0]].append(path)
            elif named in scans:
                told[NO_GRID] += 1
                drawn[named].append(path)
            else:
                leave_out(path, f"there is no {named} scan, and the grid of the mask is not that of one scan alone")
        return dict(drawn)


def marked(paths: Sequence[Path]) -> List[LabelVolume]:
    """The masks of single tumors, whose value says nothing: 1 where there is one."""
    volumes = [open_mask(path) for path in paths]
    return [LabelVolume(one.geometry, (one.labels > 0).astype(np.uint8)) for one in volumes]


def _by_patient(paths: Sequence[Path], name: re.Pattern[str]) -> Dict[str, List[Tuple[Path, int]]]:
    """Patient -> (file, number of the phase in its name), in the order of numbers in names: 2 before 10."""
    found: Dict[str, List[Tuple[Path, int]]] = defaultdict(list)
    fits = [(path, match) for path in paths for match in [name.fullmatch(path.name)] if match]
    for path, match in sorted(fits, key=lambda one: [int(part) for part in one[1].groups()]):
        found[match[1]].append((path, int(match[2])))
    return dict(found)


def _grid(path: Path) -> Optional[Geometry]:
    """The grid of a file by its header; None where it cannot be read, which the import says when it opens the file."""
    try:
        file = open_file(path)
        return file_geometry(file.affine, file.shape)
    except VolumeError:
        return None


def _is_one_grid(one: Optional[Geometry], other: Optional[Geometry]) -> bool:
    return one is not None and other is not None and same_voxels(one, other)
