"""Options that several commands have, and what their values must be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.typed import Limit, at_least

if TYPE_CHECKING:
    from gluon_liver.data.dataset import Dataset
    from gluon_liver.runs.run import Run


OPTIONS: Dict[str, Dict[str, Any]] = {
    "--run": {"type": Path, "metavar": "RUN", "help": "run folder that train.py made"},
    "--data": {"type": Path, "metavar": "DIR", "help": "prepared data; the run's own by default"},
    "--set": {
        "action": "append",
        "default": [],
        "metavar": "KEY=VALUE",
        "help": "change one key of the configuration, e.g. train.epochs=5; may be repeated",
    },
    "--batch-size": {"type": int, "help": "images at a time (default: fewer the larger they are)"},
    "--bootstrap": {"type": int, "help": "patient-level bootstrap replicates, of CT runs alone (default 1000)"},
    "--device": {"default": "cpu", "help": "cpu (default) or gpu:N"},
}


def add_options(parser: argparse.ArgumentParser, *names: str, **changes: Any) -> None:
    """Some of :data:`OPTIONS`, with ``changes`` of what argparse takes."""
    for name in names:
        parser.add_argument(name, **{**OPTIONS[name], **changes})


def add_import(parser: argparse.ArgumentParser) -> None:
    """``--seed``, ``--salt`` and ``--overwrite`` of an import."""
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    parser.add_argument("--salt", metavar="TEXT", help="text that makes case ids reproducible (default: random)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing data folder")


def add_split_fractions(container: argparse._ActionsContainer, what: str) -> None:
    """``--split-fractions``, shares of ``what``."""
    container.add_argument(
        "--split-fractions",
        type=float,
        nargs=3,
        default=(0.7, 0.1, 0.2),
        metavar=("TRAIN", "VAL", "TEST"),
        help=f"shares of {what} (default: 0.7 0.1 0.2)",
    )


def prepare_device(args: argparse.Namespace) -> None:
    """Called before MXNet is imported: see :func:`gluon_liver.system.runtime.prefer_synchronous_engine`."""
    from gluon_liver.system.runtime import prefer_synchronous_engine

    if args.device == "cpu":
        prefer_synchronous_engine()


def check(args: argparse.Namespace, name: str, limit: Limit) -> None:
    """Raise :class:`InputError` for a value out of limits; an option that was not given is None."""
    value = getattr(args, name)
    if value is not None and not limit.holds(value):
        raise InputError(f"--{name.replace('_', '-')} {value}: it must be {limit.wanted}")


def open_run(args: argparse.Namespace) -> Tuple[Run, Dataset]:
    """``--run`` and the data of ``--data``, the run's own by default."""
    from gluon_liver.data.open import open_dataset
    from gluon_liver.runs.run import Run

    run = Run.open(args.run)
    return run, open_dataset(run.data_folder if args.data is None else args.data)


def replicates(args: argparse.Namespace, run: Run) -> int:
    """What ``--bootstrap`` says. Raises :class:`InputError` for a run whose task has no bootstrap."""
    from gluon_liver.data.open import DATASETS
    from gluon_liver.evaluation.task import REPLICATES
    from gluon_liver.evaluation.tasks import TASKS

    check(args, "bootstrap", at_least(1))
    if args.bootstrap is None:
        return REPLICATES
    why_not = TASKS[run.config.task].no_bootstrap
    if why_not:
        titles = " and ".join(DATASETS[name].title for name, task in TASKS.items() if not task.no_bootstrap)
        raise InputError(f"--bootstrap is for {titles} runs: {run.folder} is {why_not}; leave it out")
    return args.bootstrap
