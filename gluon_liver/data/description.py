"""dataset.json: what it says of data of any task, and of each of their cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from gluon_liver.errors import DatasetError
from gluon_liver.files.json_records import read_json, read_record
from gluon_liver.files.typed import Rules, limited
from gluon_liver.structures.class_names import why_no_classes

from .digests import SHA256, StoredFile

FORMAT = 1
REMEDY = "import the data again"


@dataclass(frozen=True)
class CaseInfo:
    """What dataset.json says of one case; a task adds fields.

    fingerprint: SHA-256 (hex) of the stored pixels, without salt: equal for one case in two imports.
    """

    case: str
    patient: str
    fingerprint: str

    def rules(self) -> Rules:
        """That the case can be the name of a folder."""
        yield "case", self.case == Path(self.case).name and self.case not in ("", ".", ".."), "a plain name"


@dataclass(frozen=True)
class Description:
    """What dataset.json says of data of any task, beside their cases.

    labels_sha256: of labels.json at the import, see :func:`.digests.digest_labels`. pixels: the stored file of each
    case. Both are not known of data that an older version imported. same_examination: groups of what splits.json lists
    (patients) that share images, so that one split has to hold them.
    """

    kind: str
    format: int
    classes: Tuple[str, ...]
    phantom: bool = False
    labels_sha256: Optional[str] = limited(None, SHA256)
    pixels: Dict[str, StoredFile] = field(default_factory=dict)
    same_examination: Tuple[Tuple[str, ...], ...] = ()

    def rules(self) -> Rules:
        """That the classes have names which tell them apart."""
        fault = why_no_classes(self.classes)
        yield "classes", fault is None, fault or ""


def read_description(folder: Path, *, kinds: Sequence[str]) -> Tuple[Description, Any]:
    """dataset.json of data of one of ``kinds``: what tasks share of it, and its whole value. Raises DatasetError."""
    path = folder / "dataset.json"
    make_one = "make one with " + " or ".join(f"`python -m gluon_liver import {kind}`" for kind in kinds)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such data folder; {make_one}")
    if not path.is_file():
        raise DatasetError(f"{folder} has no dataset.json; {make_one}")
    value = read_json(path, error=DatasetError, remedy=REMEDY)
    shared = read_record(Description, path, error=DatasetError, remedy=REMEDY, value=value)
    if shared.kind not in kinds:
        raise DatasetError(f"{path} describes data of kind {shared.kind!r}; this needs {' or '.join(map(repr, kinds))}")
    if shared.format != FORMAT:
        raise DatasetError(f"{path} has format {shared.format}, this version reads {FORMAT}; {REMEDY}")
    return shared, value
