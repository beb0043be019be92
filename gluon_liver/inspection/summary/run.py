"""``data summary``: counts, sizes and intensities of prepared data as one value, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.files.atomic import write_json, write_text
from gluon_liver.files.output_folder import whole_folder, why_not_written

from .counts import count_ct, count_us
from .text import summary_lines


def summarize(dataset: Dataset, *, pixels: bool = True, progress: bool = False) -> Dict[str, Any]:
    """What `summary.json` holds. pixels: read volumes for the histograms too. Raises DatasetError."""
    if isinstance(dataset, CTDataset):
        from .intensities import measure

        own = count_ct(dataset)
        if pixels:
            own["intensities"] = measure(dataset, progress=progress)
    elif isinstance(dataset, USDataset):
        own = count_us(dataset)
    else:
        raise DatasetError(f"{dataset.folder}: there is no summary of {dataset.title} data")
    any_data: Dataset = dataset
    changed = any_data.changed_labels()
    return {
        "kind": dataset.task,
        "modality": dataset.modality if isinstance(dataset, CTDataset) else dataset.title,
        "classes": list(dataset.classes),
        "phantom": dataset.phantom,
        "split_by": dataset.split_by,
        "patients": len({info.patient for info in dataset.cases}),
        "studies": len(dataset.cases),
        **own,
        "notes": [*any_data.label_notes(any_data.labels), *([changed] if changed else [])],
    }


def write_summary(summary: Dict[str, Any], out: Path) -> None:
    """Write summary.txt, summary.json and summary.png into the new folder ``out``. Raises InputError."""
    from .picture import picture

    try:
        with whole_folder(out) as folder:
            write_text(folder / "summary.txt", "\n".join(summary_lines(summary)) + "\n")
            write_json(folder / "summary.json", summary)
            (folder / "summary.png").write_bytes(picture(summary))
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {why_not_written(error)}") from error
