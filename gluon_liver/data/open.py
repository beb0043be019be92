"""Prepared data of either kind, opened by what its dataset.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Sequence, Union

from gluon_liver.config.schema import Config
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.ct_loader import (
    CTLoader,
)
from gluon_liver.data.us_labels import USLabel
from gluon_liver.data.us_loader import USLoader
from gluon_liver.errors import DatasetError

from .ct_dataset import CTDataset
from .us_dataset import KIND, USDataset


def open_dataset(folder: Union[str, Path]) -> Union[CTDataset, USDataset]:
    """CT or ultrasound data. Raises DatasetError as their ``open`` does."""
    try:
        record = json.loads((Path(folder) / "dataset.json").read_text(encoding="utf-8"))
        ultrasound = isinstance(record, dict) and record.get("kind") == KIND
    except (OSError, ValueError):
        ultrasound = False  # CTDataset.open says what is wrong
    return USDataset.open(folder) if ultrasound else CTDataset.open(folder)


AnyDataset = Union[CTDataset, USDataset]


AnyLabel = Union[CTLabel, USLabel]


def make_loader(
    config: Config, dataset: AnyDataset, *, cases: Sequence[str], progress: bool = False
) -> Union[CTLoader, USLoader]:
    """Loads labelled images of some cases as the configuration's network takes them."""
    if isinstance(dataset, USDataset):
        return USLoader(dataset, size=config.data.size, frames=2 if config.model == "us-flow" else 1)
    multi_modal = config.network.multi_modal
    return CTLoader(dataset, config.data, cases=cases, multi_modal=multi_modal, progress=progress)


def check_kind(config: Config, dataset: AnyDataset) -> None:
    """Raise :class:`DatasetError` for CT data with an ultrasound model, or the other way round."""
    found = "ultrasound" if isinstance(dataset, USDataset) else "CT"
    wanted = "CT" if config.is_ct else "ultrasound"
    if found != wanted:
        raise DatasetError(f"{dataset.folder} holds {found} data, the model {config.model} takes {wanted}")
