"""The tasks by name, and prepared data opened by what their dataset.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Sequence, Type, Union

from gluon_liver.config.schema import Config
from gluon_liver.errors import DatasetError

from .coco import Label
from .ct_dataset import CTDataset
from .dataset import Dataset
from .description import read_description
from .samples import Sample
from .us_dataset import USDataset

Load = Callable[[Label], Sample]


class TaskData(NamedTuple):
    """The data of a task: prepared ones, and a function that imports the class whose ``labelled`` makes a network's
    input of an image: who only opens data does not wait for OpenCV."""

    dataset: Type[Dataset]
    loader: Callable[[], Type[Any]]


def _ct_loader() -> Type[Any]:
    from .ct_loader import CTLoader

    return CTLoader


def _us_loader() -> Type[Any]:
    from .us_loader import USLoader

    return USLoader


# every task that a model of config.schema.MODELS is of; how the same tasks are scored lies higher, in
# evaluation.registry.EVALUATIONS, because nothing here knows of metrics and pages
TASKS: Dict[str, TaskData] = {"ct": TaskData(CTDataset, _ct_loader), "us": TaskData(USDataset, _us_loader)}


def open_dataset(folder: Union[str, Path]) -> Dataset:
    """Data of any task. Raises DatasetError as :meth:`Dataset.open` does."""
    read = read_description(Path(folder), kinds=list(TASKS))
    return TASKS[read[0].kind].dataset.open(folder, read=read)


def make_loader(config: Config, dataset: Dataset, *, cases: Sequence[str], progress: bool = False) -> Load:
    """A function: a label of one of the cases -> its image as the configuration's network takes it."""
    return TASKS[dataset.task].loader()(dataset, config, cases=cases, progress=progress).labelled


def check_task(config: Config, dataset: Dataset) -> None:
    """Raise :class:`DatasetError` for data of another task than the model's."""
    if dataset.task != config.task:
        wanted = TASKS[config.task].dataset.title
        raise DatasetError(f"{dataset.folder} holds {dataset.title} data, the model {config.model} takes {wanted}")
