"""Files of public sets by their names."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence

from gluon_liver.readers.volumes.open import open_mask
from gluon_liver.structures.label_volume import LabelVolume

from .layout import SetCase

COMPRESSIONS = (".nii.gz", ".nii")


def below(source: Path, pattern: str) -> List[Path]:
    """The files below ``source`` at any depth that a pattern of path parts fits, sorted; none that macOS left there."""
    found = (path for path in source.rglob(pattern) if path.is_file())
    return sorted(path for path in found if "__MACOSX" not in path.parts and not path.name.startswith("._"))


def volume_of(folder: Path, stem: str) -> Optional[Path]:
    """The NIfTI file of a name without ending, compressed or not, None where there is none."""
    paths = (folder / f"{stem}{ending}" for ending in COMPRESSIONS)
    return next((path for path in paths if path.is_file()), None)


def masks_of(paths: Sequence[Path]) -> List[LabelVolume]:
    """The masks of files, each by itself, in their order."""
    return [open_mask(path) for path in paths]


def missing_phases(cases: Sequence[SetCase], phases: Sequence[str]) -> List[str]:
    """A note on each phase that cases lack: they are taken without it."""
    notes = []
    for phase in phases:
        lacking = sum(phase not in case.phases for case in cases)
        if lacking:
            notes.append(f"{lacking} of {len(cases)} cases have no {phase} phase: it is absent in them")
    return notes
