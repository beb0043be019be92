"""MCT-LTDiag: 517 patients, four phases on the grid of the portal venous one, a mask of the tumors, a class a patient.

Where the layout was read:

- constantinpape/torch-em, ``torch_em/data/datasets/medical/mct_ltdiag.py``: a ``<ID>.tar`` a patient, unpacked into a
  folder of its name: ``NIFTI/{nc,art,pvp,delay}.nii.gz``, ``mask_pvp.nii.gz``, ``liver_mask_pvp.nii.gz``; CC0 1.0.
- Hoyant-Su/Multi-phase_LT_Benchmark (the authors'), ``meta/meta_info_patient.csv``: columns ``ID,type,...`` with the
  types BCLM, CRLM, HCC, HH and ICC, and ``meta/supplementary_info.csv``: six IDs that were left out of it (masks that
  leave the liver, lesions that can hardly be seen). Dataverse has the same table as ``meta_info_patient.tab``,
  tab-separated and quoted.
- lyf7374/LiverPreprocessing (``README.md``, ``scripts/preprocess_multiphase_ct.py``), who read all cases: HU, headers
  right, about 0.75 x 0.75 x 5 mm, the four phases of a case on one grid.
- A reader that looked at a case: ``mask_pvp`` holds 0 and 1 (tumor alone), the liver is in its own file alone.

Not verified, for want of the files: forms of the NIFTI headers, and that no case lacks a phase (one that does is
taken without it, and counted).

Rules: a patient's type is that of all its tumors, which the mask does not tell apart; 3D components are lesions. A
case without a row, with two rows that differ, or with a type that is none of the five is left out with the reason:
its tumors are marked, so it is no background either.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, List, Tuple

from gluon_liver.errors import InputError
from gluon_liver.readers.volumes.open import open_volume

from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase
from .named_files import below, masks_of, missing_phases, volume_of
from .tables import read_table

FILES = {"non_contrast": "nc", "arterial": "art", "portal_venous": "pvp", "delayed": "delay"}  # phase -> file
MASK, TABLE = "mask_pvp", "meta_info_patient"
TYPES = {"HCC": "hcc", "ICC": "icc", "CRLM": "crlm", "BCLM": "bclm", "HH": "hemangioma"}


class MCTLTDiag(Layout):
    """See the module."""

    name: ClassVar[str] = "mct-ltdiag"
    title: ClassVar[str] = "MCT-LTDiag"
    classes: ClassVar[Tuple[str, ...]] = tuple(TYPES.values())
    phases: ClassVar[Tuple[str, ...]] = tuple(FILES)
    reference: ClassVar[str] = "portal_venous"

    def find(self, source: Path) -> Found:
        found = Found()
        folders = {path.parent for path in below(source, f"{MASK}.nii*")}
        folders |= {path.parent.parent for path in below(source, "NIFTI/pvp.nii*")}
        archives = below(source, "*.tar")
        unpack = (
            f"an archive: unpack each into a folder of its name, so that FOLDER/ID/NIFTI and FOLDER/ID/{MASK}.nii.gz"
        )
        found.left_out += [LeftOut(one.relative_to(source).as_posix(), unpack) for one in archives]
        if not folders:
            packed = f"; there are {len(archives)} archives: unpack each into a folder of its name" if archives else ""
            looked = f"no folder has NIFTI/pvp.nii.gz and {MASK}.nii.gz"
            raise InputError(f"{source} is no {self.title}: {looked}{packed}")
        types = _types(source)
        seen: Dict[str, Path] = {}
        for folder in sorted(folders):
            where = folder.relative_to(source).as_posix()
            reason = _why_not(folder, types, seen)
            if reason:
                found.left_out.append(LeftOut(where, reason))
                continue
            seen[folder.name] = folder
            found.cases.append(_case(folder, source, TYPES[types[folder.name][0]]))
        found.notes += missing_phases(found.cases, self.phases)
        return found


def _types(source: Path) -> Dict[str, List[str]]:
    """ID -> the types that its rows say, each once, in capitals. Raises :class:`InputError` where there is no table."""
    tables = [path for ending in ("tab", "csv", "tsv") for path in below(source, f"{TABLE}.{ending}")]
    if not tables:
        sheets = below(source, f"{TABLE}.xls*")
        what = f"save {sheets[0].name} as {TABLE}.csv" if sheets else f"{TABLE}.tab of the set's page belongs there"
        raise InputError(f"{source} has no {TABLE}.tab or .csv, which says what each patient's tumors are: {what}")
    types: Dict[str, List[str]] = {}
    for row in read_table(tables[0], ("ID", "type")):
        kinds = types.setdefault(row["ID"], [])
        if row["type"].upper() not in kinds:
            kinds.append(row["type"].upper())
    return types


def _why_not(folder: Path, types: Dict[str, List[str]], seen: Dict[str, Path]) -> str:
    """Why a case cannot be taken, "" where it can."""
    kinds = types.get(folder.name, [])
    if volume_of(folder / "NIFTI", "pvp") is None:
        return "it has no NIFTI/pvp.nii.gz, on which its tumors are marked"
    if volume_of(folder, MASK) is None:
        return f"it has no {MASK}.nii.gz: nothing says where its tumors are"
    if not kinds:
        return f"{TABLE} has no row of it, so the class of its tumors is not known"
    if len(kinds) > 1:
        return f"{TABLE} has rows of it that differ: {' and '.join(kinds)}"
    if kinds[0] not in TYPES:
        return f"its type {kinds[0]!r} is none of {', '.join(TYPES)}"
    return "the case is there twice" if folder.name in seen else ""


def _case(folder: Path, source: Path, class_name: str) -> SetCase:
    phases = {}
    for phase, stem in FILES.items():
        path = volume_of(folder / "NIFTI", stem)
        if path is not None:
            phases[phase] = PhaseVolume(path.relative_to(source).as_posix(), partial(open_volume, path))
    mask = volume_of(folder, MASK)
    assert mask is not None  # or it would have been left out
    name = mask.relative_to(source).as_posix()
    labels = MaskLabels(name, MCTLTDiag.reference, partial(masks_of, (mask,)), {1: class_name})
    return SetCase(folder.name, folder.name, phases, labels)
