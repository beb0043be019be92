"""Volumes of one's own, or of a set that has no layout here: a folder a case, phases by the names of its files.

    FOLDER/set.yaml                          what the set is, below
    FOLDER/CASE/PHASE.nii.gz                 the volumes: arterial.nii.gz, portal_venous.nii.gz, ...
    FOLDER/CASE/mask.nii.gz                  lesions, by world coordinates, whatever grid the mask is on

Files end in .nii, .nii.gz, .nrrd or .mha; other files are left out. A case without a mask is taken without labels.
set.yaml:

    phases: [arterial, portal_venous]        in the order in which networks take them
    reference: arterial                      on whose grid the others are put; the first by default
    classes: {1: hcc, 2: cyst}               values of the masks
    ignored: [3]                             values that are no lesions, such as the liver
    patients: {case-1b: case-1}              optional: cases of one patient; a case is a patient by default
    splits: {train: [..], val: [..], test: [..]}     optional, of all cases: made by patient at random by default
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Optional, Tuple

from gluon_liver.data.splits import SPLIT_NAMES
from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import ONE_OR_MORE, Rules, build, required
from gluon_liver.readers.volumes.open import ending_of, open_volume
from gluon_liver.structures.class_names import why_no_classes

from .layout import Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase
from .named_files import masks_of

DESCRIPTION, MASK = "set.yaml", "mask"


@dataclass(frozen=True)
class _Description:
    """set.yaml, see the module."""

    classes: Dict[str, str]
    phases: Tuple[str, ...] = required(ONE_OR_MORE)
    reference: Optional[str] = None
    ignored: Tuple[int, ...] = ()
    patients: Dict[str, str] = field(default_factory=dict)
    splits: Dict[str, Tuple[str, ...]] = field(default_factory=dict)

    def rules(self) -> Rules:
        """That the names fit together."""
        fault = why_no_classes(tuple(dict.fromkeys(self.classes.values())))
        yield "classes", fault is None, fault or ""
        yield "classes", all(value.isdecimal() and int(value) > 0 for value in self.classes), "values of 1 or more"
        known = MASK not in self.phases and len({*self.phases}) == len(self.phases)
        yield "phases", known, f"names, each once, none of them {MASK}"
        yield "reference", self.reference in (None, *self.phases), f"one of {', '.join(self.phases)}"
        yield "splits", {*self.splits} <= {*SPLIT_NAMES}, f"of {', '.join(SPLIT_NAMES)}"


class NIfTIFolder(Layout):
    """See the module. Classes, phases and reference are those of the folder, known once its cases are found."""

    name: ClassVar[str] = "nifti"
    title: ClassVar[str] = "volumes in a folder a case"
    public: ClassVar[bool] = False
    classes: Tuple[str, ...] = ()  # type: ignore[misc]
    phases: Tuple[str, ...] = ()  # type: ignore[misc]
    reference: str = ""  # type: ignore[misc]

    def find(self, source: Path) -> Found:
        path = source / DESCRIPTION
        if not path.is_file():
            raise InputError(f"{source} has no {DESCRIPTION}, which says what its phases and classes are: docs/data.md")
        tree = _with_text_keys(read_yaml(path))
        one = build(_Description, tree, where=str(path), refuse_unknown=True, private=True)
        self.classes = tuple(dict.fromkeys(one.classes.values()))
        self.phases, self.reference = one.phases, one.reference or one.phases[0]
        found = Found()
        for folder in sorted(entry for entry in source.iterdir() if entry.is_dir()):
            self._add(folder, one, found)
        names = {case.name for case in found.cases}
        listed = [name for cases in one.splits.values() for name in cases]
        for what, given in (("splits", listed), ("patients", list(one.patients))):
            unknown = [name for name in given if name not in names]
            if unknown:
                raise InputError(f"{path}: {what} name {len(unknown)} case(s) that are no folder with a volume")
        if listed and (len(listed) != len({*listed}) or {*listed} != names):
            raise InputError(f"{path}: splits must name each of the {len(names)} cases once, or be left out")
        if not found.cases:
            raise InputError(f"{source}: no folder holds a volume named {' or '.join(self.phases)}")
        return found

    def _add(self, folder: Path, one: _Description, found: Found) -> None:
        """The case of a folder, and what of it is left out."""
        files: Dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            where, ending = f"{folder.name}/{path.name}", ending_of(path.name)
            stem = path.name[: len(path.name) - len(ending)]
            if not ending or stem not in (*self.phases, MASK):
                found.left_out.append(LeftOut(where, f"it is named neither after a phase nor {MASK}"))
            elif stem in files:
                found.left_out.append(LeftOut(where, "there is another file of its phase"))
            else:
                files[stem] = path
        phases = {
            phase: PhaseVolume(f"{folder.name}/{files[phase].name}", partial(open_volume, files[phase]))
            for phase in self.phases
            if phase in files
        }
        if not phases:
            found.left_out.append(LeftOut(folder.name, "a folder without a volume of a phase"))
            return
        labels: Optional[MaskLabels] = None
        if MASK in files:
            classes = {int(value): name for value, name in one.classes.items()}
            opened = partial(masks_of, (files[MASK],))
            labels = MaskLabels(f"{folder.name}/{files[MASK].name}", self.reference, opened, classes, one.ignored)
        split = next((split for split, names in one.splits.items() if folder.name in names), "")
        found.cases.append(SetCase(one.patients.get(folder.name, folder.name), folder.name, phases, labels, split))


def _with_text_keys(value: Any) -> Any:
    """The keys of ``classes`` as text: YAML reads 1 as a number."""
    classes: List[Any] = [value.get("classes")] if isinstance(value, dict) else []
    if classes and isinstance(classes[0], dict):
        return {**value, "classes": {str(key): name for key, name in classes[0].items()}}
    return value
