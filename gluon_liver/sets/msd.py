"""Medical Segmentation Decathlon: Task03_Liver (131 CT scans, those of LiTS) and Task08_HepaticVessel (303).

Where the layout was read:

- constantinpape/torch-em, ``torch_em/data/datasets/medical/msd.py``: ``TaskNN_Name.tar`` with ``imagesTr/*.nii.gz`` and
  ``labelsTr/*.nii.gz`` of the same names.
- A converter of many sets to one (its preprocess_MSD_HepaticVessel): ``hepaticvessel_001.nii.gz``, 303 volumes,
  ``dataset.json`` with modality CT and labels 1 Vessel, 2 Tumour; beside each file one whose name begins with a dot,
  which macOS left in the archive. Another script has labels 1 liver, 2 cancer for Task03.
- nnU-Net's conversion of the decathlon drops names that begin with a dot (PaddleCV-SIG/MedicalSeg, pull request 49).

``dataset.json`` says which files there are (``training``: image and label) and what values mean; another meaning of the
values is an error. ``imagesTs`` are images without public masks. Not verified, for want of the files: that no two scans
are of one patient, so each counts as one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Dict, Optional, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_json
from gluon_liver.readers.volumes.open import open_volume

from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase
from .lits import masks_on
from .named_files import below

DESCRIPTION = "dataset.json"
TUMOR = 2


class _Task(Layout):
    """A task of the decathlon whose value 2 is a tumor."""

    classes: ClassVar[Tuple[str, ...]] = ("tumor",)
    phases: ClassVar[Tuple[str, ...]] = ("portal_venous",)
    reference: ClassVar[str] = "portal_venous"
    folder: ClassVar[str]
    values: ClassVar[Dict[str, Tuple[str, ...]]]  # value -> its names in dataset.json

    def find(self, source: Path) -> Found:
        description = self._description(source)
        record = read_json(description)
        self._check(record)
        found, root = Found(), description.parent
        there = {*root.glob("imagesTr/*"), *root.glob("labelsTr/*")}
        for entry in record["training"]:
            names = [Path(str(entry.get(key))).name for key in ("image", "label")] if isinstance(entry, dict) else []
            paths = [root / folder / name for folder, name in zip(("imagesTr", "labelsTr"), names)]
            missing = [path for path in paths if path not in there]
            if missing or not paths:
                where = missing[0].relative_to(source).as_posix() if missing else DESCRIPTION
                found.left_out.append(LeftOut(where, "dataset.json names it, and it is not there"))
                continue
            found.cases.append(self._case(paths[0], paths[1], source))
        tests = [path for path in below(root, "*.nii.gz") if path.parent.name == "imagesTs"]
        reason = "an image of the test, whose mask is not public"
        found.left_out += [LeftOut(path.relative_to(source).as_posix(), reason) for path in tests]
        if not found.cases:
            raise InputError(f"{source}: dataset.json of {self.folder} names no image and label that are there")
        found.notes.append("each scan counts as a patient: the set does not tell patients")
        return found

    def _description(self, source: Path) -> Path:
        for path in (source / DESCRIPTION, source / self.folder / DESCRIPTION):
            if path.is_file():
                return path
        packed = "; unpack its .tar first" if below(source, f"{self.folder}.tar") else ""
        raise InputError(f"{source} is no {self.title}: no dataset.json is in it or in {self.folder}{packed}")

    def _check(self, record: Any) -> None:
        """Raise :class:`InputError` where dataset.json is another task's, or says other things of the values."""
        labels = record.get("labels") if isinstance(record, dict) else None
        training = record.get("training") if isinstance(record, dict) else None
        if not isinstance(labels, dict) or not isinstance(training, list):
            raise InputError(f"dataset.json has no labels and training, as that of {self.folder} has")
        said: Dict[str, Optional[str]] = {str(value): str(name).lower() for value, name in labels.items()}
        other = any(said.get(value) not in names for value, names in self.values.items())
        if other or len(said) != len(self.values) + 1:
            expected = ", ".join(f"{value} {names[0]}" for value, names in self.values.items())
            raise InputError(f"dataset.json is not that of {self.folder}, whose labels are {expected}")

    def _case(self, image: Path, label: Path, source: Path) -> SetCase:
        name = image.name.partition(".")[0]
        opened = partial(open_volume, image)
        phases = {self.reference: PhaseVolume(image.relative_to(source).as_posix(), opened)}
        where, masks = label.relative_to(source).as_posix(), partial(masks_on, label, image)
        others = tuple(int(value) for value in self.values if int(value) != TUMOR)
        return SetCase(name, name, phases, MaskLabels(where, self.reference, masks, {TUMOR: self.classes[0]}, others))


class MSDLiver(_Task):
    """Task03: the scans of LiTS."""

    name: ClassVar[str] = "msd-liver"
    title: ClassVar[str] = "MSD Task03_Liver"
    folder: ClassVar[str] = "Task03_Liver"
    values: ClassVar[Dict[str, Tuple[str, ...]]] = {"1": ("liver",), "2": ("cancer", "tumour", "tumor")}

    def find(self, source: Path) -> Found:
        found = super().find(source)
        found.notes.append("these scans are those of LiTS, 20 of them of 3D-IRCADb-01: these sets are not independent")
        return found


class MSDHepaticVessel(_Task):
    """Task08: vessels and tumors."""

    name: ClassVar[str] = "msd-hepatic-vessel"
    title: ClassVar[str] = "MSD Task08_HepaticVessel"
    folder: ClassVar[str] = "Task08_HepaticVessel"
    values: ClassVar[Dict[str, Tuple[str, ...]]] = {"1": ("vessel",), "2": ("tumour", "tumor", "cancer")}
