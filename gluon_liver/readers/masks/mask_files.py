"""Masks below given paths: DICOM SEG, DICOM mask series and PNG (a folder each), NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.errors import AnnotationError, InputError, VolumeError
from gluon_liver.files.listing import list_files
from gluon_liver.readers.volumes.open import ending_of, open_mask
from gluon_liver.structures.label_volume import LabelVolume

from .mask_series import MaskSeries, open_mask_series
from .png_folder import ENDING, PngFolder
from .segmentation import Segmentation, open_segmentation

PathLike = Union[str, Path]
_NUMBER = re.compile(r"[\s_.-]*\d+$")


@dataclass(frozen=True, eq=False)
class MaskFile:
    """One mask: a file, or the folder of a mask series.

    where: "mask 02 (DICOM SEG ...)", for messages. parts: names of the folders and of the file from the given path
    on, without ending. study_uid, frame_of_reference, series: of DICOM, "" where it says nothing of them; never shown.
    read: decodes it. codes: of a value further names, by its coded type. pictures: of a folder of PNG, which is read on
    the grid of its series, by their names.
    """

    where: str
    parts: Tuple[str, ...]
    read: Callable[[], Sequence[LabelVolume]]
    study_uid: str = ""
    frame_of_reference: str = ""
    series: Tuple[str, ...] = ()
    codes: Mapping[int, Tuple[str, ...]] = field(default_factory=dict)
    fractional: bool = False
    is_seg: bool = False
    pictures: Optional[PngFolder] = None

    def names(self, value: int, named: Mapping[int, str], values: Sequence[int]) -> List[str]:
        """What a value may be called, the likeliest first, each without a number behind it too, as of livertumor01.

        Of a SEG the segment's label, then its coded types; of other masks the name of the file or the folder where it
        holds one value, then the value. Names of files and folders may be those of patients: they are no classes by
        themselves, and no message has them.
        """
        if not self.is_seg:
            return [*_with_bare(self.parts[-1]), str(value)] if len(values) == 1 else [str(value)]
        return [*_with_bare(named[value]), *self.codes.get(value, ())]


def _with_bare(name: str) -> List[str]:
    """A name, and the same without a number behind it."""
    bare = _NUMBER.sub("", name)
    return [name, bare] if bare and bare != name else [name]


@dataclass(frozen=True, eq=False)
class _Opened:
    """A file or folder below ``root`` that may be a mask; source: its header, None of a volume file."""

    root: Path
    where: str
    kind: str
    source: Union[Segmentation, MaskSeries, PngFolder, None] = None


def find_masks(paths: Sequence[PathLike]) -> Tuple[List[MaskFile], List[str]]:
    """The masks below files and folders, in the order of their paths, and notes on what is none.

    Raises :class:`InputError` for a path that is not there and where there is no mask, and what damaged files raise.
    """
    found: List[Tuple[Path, Path]] = []
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"--masks {path}: there is no such file or folder")
        below = list_files(path).paths if path.is_dir() else [path]
        found += [(one, path) for one in below]
    opened: Dict[Path, _Opened] = {}
    images: Dict[Path, List[Path]] = {}
    pictures: Dict[Path, List[Path]] = {}
    for path, root in found:
        where = f"mask {len(opened) + 1:02d}"
        if ending_of(path.name):
            opened[path] = _Opened(root, where, ending_of(path.name))
            continue
        if path.suffix.lower() == ENDING:
            pictures.setdefault(path.parent, []).append(path)
            opened.setdefault(path.parent, _Opened(root, where, "PNG"))
            continue
        seg = open_segmentation(path, where)
        if seg is not None:
            opened[path] = _Opened(root, where, "DICOM SEG", seg)
        else:
            images.setdefault(path.parent, []).append(path)
            opened.setdefault(path.parent, _Opened(root, where, "DICOM mask series"))
    for folder, files in pictures.items():
        if folder in images:
            raise InputError(f"{opened[folder].where} of --masks is a folder with PNG and other files: part them")
        opened[folder] = replace(opened[folder], source=PngFolder(folder.name, opened[folder].where, tuple(files)))
    others = 0
    for folder, files in images.items():
        series = open_mask_series(files, folder.name, opened[folder].where)
        if series is None:
            others += len(files)
            del opened[folder]
        else:
            opened[folder] = replace(opened[folder], source=series)
    if not opened:
        raise InputError(
            "--masks: no mask among the files: DICOM SEG, DICOM mask series and PNG (a folder each), NIfTI, NRRD and "
            "MetaImage files are read"
        )
    notes = [f"{others} file(s) of --masks are no masks, and were not read"] if others else []
    masks = [_mask_file(path, one) for path, one in opened.items()]
    cut = sum(one.fractional for one in masks)
    if cut:
        notes.append(f"{cut} fractional DICOM SEG file(s): a voxel counts from half of the largest value on")
    return masks, notes


def _mask_file(path: Path, opened: _Opened) -> MaskFile:
    source, where = opened.source, f"{opened.where} ({opened.kind}; counted from 1 in the order of their paths)"
    parts = Path(os.path.abspath(path)).relative_to(Path(os.path.abspath(opened.root)).parent).parts
    parts = (*parts[:-1], parts[-1][: len(parts[-1]) - len(ending_of(parts[-1]))])
    if source is None:
        return MaskFile(where, parts, partial(_read_volume, path, where))
    if isinstance(source, PngFolder):
        return MaskFile(where, parts, lambda: [], pictures=source)
    facts = where, parts, source.read, source.study_uid, source.frame_of_reference
    if isinstance(source, Segmentation):
        return MaskFile(*facts, source.series, source.codes, source.fractional, is_seg=True)
    return MaskFile(*facts)


def _read_volume(path: Path, where: str) -> List[LabelVolume]:
    """The mask of a volume file. Raises AnnotationError, which names no file."""
    try:
        return [open_mask(path)]
    except VolumeError as error:
        raise AnnotationError(f"{where}: {error.reason}") from error
