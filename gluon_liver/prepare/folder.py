"""The prepared data folder that every import writes: whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Sequence, Type

from gluon_liver.data.dataset import Dataset
from gluon_liver.data.description import FORMAT
from gluon_liver.data.open import open_dataset
from gluon_liver.data.splits import Splits, save_splits
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_output, whole_folder, why_not_written
from gluon_liver.structures.shared_images import Groups

from .report import CaseResult, fields_of


@contextmanager
def prepared_folder(out: Path, source: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``out``, a data folder made of ``source``, when the block ends.

    Raises :class:`InputError` where it cannot be written, and where something was put into the old folder meanwhile.
    """
    try:
        with whole_folder(out, replace=overwrite) as temporary:
            yield temporary
            if overwrite:
                check_output(out, source, overwrite=True)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {why_not_written(error)}") from error


def describe(
    kind: Type[Dataset[Any, Any]], own: Mapping[str, Any], taken: Sequence[CaseResult], fields: str, together: Groups
) -> Dict[str, Any]:
    """What dataset.json says of cases that were taken.

    own: what the task adds. fields: of each case, as in :func:`fields_of`. together: groups for one split.
    """
    return {
        "format": FORMAT,
        "kind": kind.task,
        **own,
        "phantom": any(one.phantom for one in taken),
        "same_examination": together,
        "studies": [fields_of(one, fields) for one in taken],
        "pixels": {one.case: one.stored for one in taken},
    }


def write_records(folder: Path, splits: Splits, report: Dict[str, Any], description: Dict[str, Any]) -> None:
    """Write splits.json, import-report.json and dataset.json, which gets the digest of labels.json.

    What was written is opened for that, as training will open it. Raises as :meth:`Dataset.open`.
    """
    save_splits(splits, str(folder / "splits.json"))
    for name, record in (("import-report.json", report), ("dataset.json", description)):
        write_json(folder / name, record)
    labels = open_dataset(folder).digests()["labels"]
    write_json(folder / "dataset.json", {**description, "labels_sha256": labels})
