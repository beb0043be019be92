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


def _ct_loader(config: Config, dataset: CTDataset, *, cases: Sequence[str], progress: bool) -> Loader:
    multi_modal = config.network.multi_modal
    return CTLoader(dataset, config.data, cases=cases, multi_modal=multi_modal, progress=progress)


def _us_loader(config: Config, dataset: USDataset, *, cases: Sequence[str], progress: bool) -> Loader:
    return USLoader(dataset, size=config.data.size, frames=2 if config.model == "us-flow" else 1)


DATASETS: Dict[str, Type[Dataset]] = {"ct": CTDataset, "us": USDataset}
LOADERS: Dict[str, Callable[..., Loader]] = {"ct": _ct_loader, "us": _us_loader}


def open_dataset(folder: Union[str, Path]) -> Dataset:
    """Data of any task. Raises DatasetError as :meth:`Dataset.open` does."""
    return DATASETS[read_description(Path(folder), kinds=list(DATASETS)).kind].open(folder)


def make_loader(config: Config, dataset: Dataset, *, cases: Sequence[str], progress: bool = False) -> Loader:
    """Loads labelled images of some cases as the configuration's network takes them."""
    return LOADERS[dataset.task](config, dataset, cases=cases, progress=progress)


def check_task(config: Config, dataset: Dataset) -> None:
    """Raise :class:`DatasetError` for data of another task than the model's."""
    if dataset.task != config.task:
        raise DatasetError(
            f"{dataset.folder} holds {dataset.title} data, the model {config.model} takes {DATASETS[config.task].title}"
        )
