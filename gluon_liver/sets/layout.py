"""What a layout says of a public set: its cases, their phases and labels, found by the names of its files.

A layout is one small file: it lists, and opens nothing but tables. The import decodes, one case at a time.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.structures.label_volume import LabelVolume
from gluon_liver.structures.volume_stack import VolumeStack


@dataclass(frozen=True)
class PhaseVolume:
    """The images of one phase. name: path below the source, for the private listing and for nothing else.

    open: reads the geometry; raises an :class:`InputError` for files that cannot be used. value: "hu", or "mri" for
    intensities that mean nothing by themselves.
    """

    name: str
    open: Callable[[], VolumeStack]
    value: str = "hu"


@dataclass(frozen=True)
class MaskLabels:
    """Lesions as masks drawn on ``phase``; every slice that the mask covers is labelled, those without are background.

    open: one or several masks (segments may overlap). classes: value -> class; values that are in neither ``classes``
    nor ``ignored`` (the liver itself) are an error.
    """

    name: str
    phase: str
    open: Callable[[], Sequence[LabelVolume]]
    classes: Mapping[int, str]
    ignored: Tuple[int, ...] = ()


@dataclass(frozen=True)
class SourceBox:
    """A box (x1, y1, x2, y2) in pixels of the source slice as its file has it, x2 and y2 exclusive.

    lesion: number of the 3D lesion in its case, where the set tells it.
    """

    box: Tuple[float, float, float, float]
    class_name: str
    lesion: Optional[int] = None


@dataclass(frozen=True)
class BoxLabels:
    """Boxes of slices of ``phase``, counted from 0 at the feet. A slice with no boxes is background.

    exhaustive: whether slices that are not listed are background too; else they are unlabelled.
    """

    phase: str
    slices: Mapping[int, Sequence[SourceBox]]
    exhaustive: bool


Labels = Union[MaskLabels, BoxLabels]


@dataclass(frozen=True)
class SetCase:
    """One study of a set. patient, name: as the set calls them; they go through the salt before anything shows them.

    split: "train", "val" or "test" where the set has an official one, else "". labels: None where the set has none.
    """

    patient: str
    name: str
    phases: Dict[str, PhaseVolume]
    labels: Optional[Labels]
    split: str = ""
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Something below the source that is not taken: path, for the private listing alone; reason, with no name in it."""

    path: str
    reason: str


@dataclass
class Found:
    """What a layout found. notes: what a reader of the report must know."""

    cases: List[SetCase] = field(default_factory=list)
    left_out: List[LeftOut] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


class Layout(abc.ABC):
    """One public set. name: as ``--layout`` takes it. title: as its authors call it. tested: "layout" where only files
    that tests wrote went in, "real files" where those of the set did.

    classes, phases: of the prepared data; reference: the phase whose grid the others are put on and boxes lie on.
    public: its names are known to everybody, so that the ids made of them need no secret salt. accepts: of
    :data:`..readers.volumes.hu_check.CHECKS` and "nan", what is known of its volumes and is no fault of them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    tested: ClassVar[str] = "layout"
    public: ClassVar[bool] = True
    accepts: ClassVar[Tuple[str, ...]] = ()
    classes: ClassVar[Tuple[str, ...]]
    phases: ClassVar[Tuple[str, ...]]
    reference: ClassVar[str]

    @abc.abstractmethod
    def find(self, source: Path) -> Found:
        """The cases below ``source``. Raises :class:`InputError` that says what was looked for where there are none."""
