"""Which labelled images a run is scored on, asked before anything that computes is imported."""

from __future__ import annotations

from typing import List

from gluon_liver.data.dataset import Dataset, Label
from gluon_liver.data.splits import SPLIT_NAMES
from gluon_liver.errors import DatasetError
from gluon_liver.runs.run import Run


def split_labels(run: Run, dataset: Dataset, split: str) -> List[Label]:
    """What is scored.

    Raises :class:`DatasetError` when the data's classes or phases are not the run's, when something of the split was
    trained on, and when the split has no labelled image; the last says what to do instead.
    """
    run.check_dataset(dataset)
    if split != "train":
        dataset.refuse_trained(run.environment, split)
        for record in run.trained_before():
            try:
                dataset.refuse_trained(record, split)
            except DatasetError as error:
                raise DatasetError(f"the weights that the run began with are another run's: {error}") from error
    labels = dataset.labels_of(split)
    if not labels:
        where = f"no labelled {dataset.image} in the {split} split of {dataset.folder}"
        raise DatasetError(f"{where}: {_instead(run, dataset, split)}")
    return labels


def _instead(run: Run, dataset: Dataset, split: str) -> str:
    """What can be done with data whose split has nothing to score."""
    show = f"`{_reader(dataset)} --run {run.folder}` shows what the run finds"
    if not dataset.labels:
        return f"the data have no labels; {show}, or import them again with --labels"
    others = [name for name in SPLIT_NAMES if name != split and dataset.labels_of(name)]
    held = [name for name in others if name != "train" and not _is_trained_on(run, dataset, name)]
    if held:
        return f"--split {held[0]} has some"
    if _is_trained_on(run, dataset, "train"):
        more = "more patients, of whom an import leaves some to test, give a result"
        return f"its labels are of patients who were trained on; {show}; {more}"
    again = "import them again with --split-fractions 0 0 1, or move them in splits.json, and all of them are scored"
    return f"its labels are of the {' and '.join(others)} split; {again}; {show}"


def _reader(dataset: Dataset) -> str:
    """The command that reads a case of such data."""
    if dataset.task == "us":
        return "watch VIDEO --out OUT.mp4"
    return f"detect {dataset.folder}/studies/{dataset.cases[0].case} --out OUT"


def _is_trained_on(run: Run, dataset: Dataset, split: str) -> bool:
    try:
        dataset.refuse_trained(run.environment, split)
    except DatasetError:
        return True
    return False
