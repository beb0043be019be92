"""Whether prepared data still hold what the import wrote."""

from __future__ import annotations

from typing import Dict

from gluon_liver.errors import DatasetError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.digest import digest
from gluon_liver.files.json_records import read_json

from .dataset import Dataset


def check_volumes(dataset: Dataset) -> Dict[str, str]:
    """Case -> "as imported", "not known" (an older version imported it) or what is wrong. Every file is read."""
    found: Dict[str, str] = {}
    for info in dataset.cases:
        stored = dataset.pixels.get(info.case)
        path = dataset.folder / "studies" / info.case / dataset.files[0]
        try:
            same = stored is not None and digest(path) == vars(stored)
        except OSError as error:
            found[info.case] = f"{path.name} cannot be read: {error.strerror or error}"
            continue
        found[info.case] = "not known" if stored is None else "as imported" if same else f"{path.name} was changed"
    return found


def accept_labels(dataset: Dataset) -> None:
    """Take labels.json as it is now for the labels of the data: dataset.json gets its digest. Raises DatasetError."""
    path = dataset.folder / "dataset.json"
    description = read_json(path, error=DatasetError)
    try:
        write_json(path, {**description, "labels_sha256": dataset.digests()["labels"]})
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror or error}") from error
