"""The tasks' datasets and loaders by name, and prepared data opened by what their dataset.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Protocol, Sequence, Type, Union

from gluon_liver.config.schema import Config
from gluon_liver.errors import DatasetError

from .ct_dataset import CTDataset
from .ct_loader import CTLoader, Sample
from .dataset import Dataset, read_description
from .us_dataset import USDataset
from .us_loader import USLoader


class Loader(Protocol):
    """Loads labelled images as a configuration's network takes them."""

    def labelled(self, label: Any) -> Sample:
        """The network's input and the boxes of an image."""


DATASETS: Dict[str, Type[Dataset]] = {"ct": CTDataset, "us": USDataset}
LOADERS: Dict[str, Callable[..., Loader]] = {"ct": CTLoader, "us": USLoader}


def open_dataset(folder: Union[str, Path]) -> Dataset:
    """Data of any task. Raises DatasetError as :meth:`Dataset.open` does."""
    return DATASETS[read_description(Path(folder), kinds=list(DATASETS)).kind].open(folder)


def make_loader(config: Config, dataset: Dataset, *, cases: Sequence[str], progress: bool = False) -> Loader:
    """Loads labelled images of some cases as the configuration's network takes them."""
    return LOADERS[dataset.task](dataset, config, cases=cases, progress=progress)


def check_task(config: Config, dataset: Dataset) -> None:
    """Raise :class:`DatasetError` for data of another task than the model's."""
    if dataset.task != config.task:
        raise DatasetError(
            f"{dataset.folder} holds {dataset.title} data, the model {config.model} takes {DATASETS[config.task].title}"
        )
