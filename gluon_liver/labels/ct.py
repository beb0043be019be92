"""Label files of CT slices, read by themselves.

Their images name a slice by `sop_instance_uid`, by `study` (StudyInstanceUID), `phase` and `slice` (0-based in that
phase's own series, z rising to the head), or by the `file_name` that a label tool wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from gluon_liver.data.coco import CocoImage, value_of
from gluon_liver.data.ct_labels import CLASSES
from gluon_liver.errors import AnnotationError

from .changes import Changes
from .source import AS_GIVEN, LabelOptions, PathLike, read_labels
from .values import DICOM_NAMES, plain_key, whole_number

COLUMNS = ("sop_instance_uid", "path", "study", "phase", "slice")
_BY_PHASE: Dict[str, type] = dict(study=str, phase=str, slice=int)


@dataclass(frozen=True)
class LabelFile:
    """The labels of a file or several, by the images they list.

    exhaustive: slices of a named study's reference phase that are not listed are background. classes: of the data.
    allow_missing: as in :class:`LabelOptions`.
    """

    entries: Tuple[CocoImage, ...] = ()
    exhaustive: bool = False
    classes: Tuple[str, ...] = CLASSES
    allow_missing: bool = False
    changes: Changes = field(default_factory=Changes)


def load_label_file(paths: Union[PathLike, Sequence[PathLike]], *, options: LabelOptions = AS_GIVEN) -> LabelFile:
    """Read and check label files by themselves. Raises AnnotationError that names the entries and the keys at fault."""
    source = read_labels(paths, CLASSES, options, columns=COLUMNS, flag="exhaustive", check=_check_keys)
    if not source.images:
        source.changes.notes.append("the label files list no image: every slice is unlabelled")
    return LabelFile(tuple(source.images), source.flag, source.classes, options.allow_missing, source.changes)


def _check_keys(item: CocoImage) -> None:
    """Bring the keys of an entry into one form, and raise AnnotationError where they name no slice."""
    entry = item.entry
    nested = [value for value in entry.values() if isinstance(value, dict)]
    for keys in (entry, *nested):
        for key, value in list(keys.items()):
            known = DICOM_NAMES.get(plain_key(str(key)))
            if known is not None:
                entry.setdefault(known, value)
    for key in ("sop_instance_uid", "study"):
        if isinstance(entry.get(key), str):
            entry[key] = entry[key].strip(" \0\t\r\n")
            if not entry[key]:
                del entry[key]
    if "sop_instance_uid" in entry:
        value_of(entry, "sop_instance_uid", (str,), item.where)
    elif _BY_PHASE.keys() <= entry.keys():
        place = whole_number(entry["slice"])
        entry["slice"] = entry["slice"] if place is None else place
        for key, kind in _BY_PHASE.items():
            value_of(entry, key, (kind,), item.where)
    elif name_of(entry) is None:
        raise AnnotationError(f"{item.where} needs 'sop_instance_uid', or 'study', 'phase' and 'slice', or 'file_name'")


def name_of(entry: Dict[str, Any]) -> Optional[str]:
    """The file name of an entry that nothing surer identifies."""
    name = entry.get("file_name")
    surer = "sop_instance_uid" in entry or _BY_PHASE.keys() <= entry.keys()
    return name if isinstance(name, str) and name.strip() and not surer else None
