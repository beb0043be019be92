"""Prepared data of either kind, opened by what its dataset.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Union

from .dataset import Dataset
from .us.dataset import KIND, UltrasoundDataset


def open_dataset(folder: Union[str, Path]) -> Union[Dataset, UltrasoundDataset]:
    """CT or ultrasound data. Raises DatasetError as their ``open`` does."""
    try:
        record = json.loads((Path(folder) / "dataset.json").read_text(encoding="utf-8"))
        ultrasound = isinstance(record, dict) and record.get("kind") == KIND
    except (OSError, ValueError):
        ultrasound = False  # Dataset.open says what is wrong
    return UltrasoundDataset.open(folder) if ultrasound else Dataset.open(folder)
