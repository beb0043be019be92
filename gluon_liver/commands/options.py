"""Options that several commands have, and what their values must be."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.listing import SKIP
from gluon_liver.files.typed import Limit, at_least

from .paths import refuse_inside

if TYPE_CHECKING:
    from gluon_liver.data.dataset import Dataset
    from gluon_liver.evaluation.task import ScoreSettings
    from gluon_liver.inference.choice import EngineChoice
    from gluon_liver.labels.source import LabelOptions
    from gluon_liver.runs.run import Run


SET_HELP = "change keys of the configuration, e.g. train.epochs=5 data.size=512; `config explain` tells them"
RATES_HELP = (
    "false positives of FROC, an image for slices and a patient for lesions "
    "(default: 0.125 0.25 0.5 1 2 4 8, and 16 for lesions)"
)
HIT_HELP = (
    "when a detected lesion finds one: iou:0.1 (3D IoU, the default), centre (within the radius), or slice:0.5 (IoU in "
    "any slice)"
)
PRECISION_HELP = (
    "bfloat16: Block4 in it, on CPUs that have avx512_bf16; faster, scores and boxes differ a little; the results say "
    "so"
)
ENGINE_HELP = (
    "mxnet; onnx: onnxruntime (extra onnx), on the run's checkpoint, converted when it starts; or a folder that export "
    "--onnx made of that checkpoint; --device decides between onnxruntime's CPU and CUDA"
)
CACHE_HELP = "where the images of CT data are kept that are windowed once (default: in the data folder)"
FRACTIONS = dict(dest="fractions", type=float, nargs=3, default=(0.7, 0.1, 0.2), metavar=("TRAIN", "VAL", "TEST"))
OPTIONS: Dict[str, Dict[str, Any]] = {
    "--run": dict(type=Path, metavar="RUN", help="run folder that train.py made, or zoo:NAME (see weights)"),
    "--data": dict(type=Path, metavar="DIR", help="prepared data; the run's own by default"),
    "--set": dict(action="append", default=[], metavar="KEY=VALUE", help=SET_HELP),
    "--region": dict(type=int, nargs=4, metavar=("X1", "Y1", "X2", "Y2")),
    "--split-fractions": FRACTIONS,
    "--batch-size": dict(type=int, metavar="N", help="images at a time (default: fewer the larger they are)"),
    "--bootstrap": dict(
        type=int, metavar="N", help="patient-level bootstrap replicates, of CT runs alone (default: 1000)"
    ),
    "--cache": dict(type=Path, metavar="FOLDER", help=CACHE_HELP),
    "--no-lock": dict(action="store_true", help="take no lock: that nothing else uses the folder is your care"),
    "--froc-rates": dict(type=float, nargs="+", metavar="RATE", help=RATES_HELP),
    "--lesion-hit": dict(metavar="HIT", help=HIT_HELP),
    "--lesion-bins": dict(type=float, nargs="+", metavar="MM", help="edges of lesion sizes in mm (default: 10 20)"),
    "--precision": dict(choices=("float32", "bfloat16"), default="float32", help=PRECISION_HELP),
    "--engine": dict(default="mxnet", metavar="ENGINE", help=ENGINE_HELP),
    "--device": dict(default="cpu", metavar="DEVICE", help="cpu or gpu:N"),
}

# names of the options of evaluate and score that CT runs alone have
METRIC_OPTIONS = ("bootstrap", "froc_rates", "lesion_hit", "lesion_bins")
# names of the options of both imports in what argparse returns
IMPORT = ("labels", "fractions", "seed", "salt", "overwrite")


def add_options(parser: argparse._ActionsContainer, *names: str, **changes: Any) -> None:
    """Some of :data:`OPTIONS`, with ``changes`` of what argparse takes."""
    for name in names:
        parser.add_argument(name, **{**OPTIONS[name], **changes})


def add_scoring(parser: argparse._ActionsContainer) -> None:
    """The options of metrics, which :data:`METRIC_OPTIONS` names."""
    add_options(parser, *("--" + name.replace("_", "-") for name in METRIC_OPTIONS))


def add_path(container: argparse._ActionsContainer, name: str, metavar: str, text: str, **more: Any) -> None:
    """An option or argument that is a path."""
    container.add_argument(name, type=Path, metavar=metavar, help=text, **more)


def add_flag(container: argparse._ActionsContainer, name: str, text: str) -> None:
    """An option without a value."""
    container.add_argument(name, action="store_true", help=text)


def add_import(parser: argparse.ArgumentParser) -> None:
    """The options of both imports, which :data:`IMPORT` names, but for ``--split-fractions``."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the split")
    parser.add_argument("--salt", metavar="TEXT", help="text that makes case ids reproducible (default: random)")
    add_flag(parser, "--overwrite", "replace an existing data folder")
    add_options(parser, "--no-lock")


def add_exclude(parser: argparse.ArgumentParser) -> None:
    """The options by which an import goes on without some files: ``exclude`` and ``skip_damaged``."""
    text = "leave out files whose path below the folder, name or folder matches; in quotes; may be repeated"
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB", help=text)
    add_flag(parser, SKIP, "go on without files and folders that cannot be used, naming them, instead of refusing")


def add_labels(parser: argparse.ArgumentParser, text: str, **more: Any) -> None:
    """``--labels``, and how label files are read: see :func:`label_options`."""
    add_path(parser, "--labels", "FILE", f"{text}; several files are read as one", nargs="+", **more)
    add_path(parser, "--classes", "FILE", "YAML that says which names in label files are which class")
    add_path(parser, "--map", "FILE", "CSV that says which image of a label file (file_name) is which of the input")
    text = "what masks marked iscrowd are: refused (default), or single lesions, as CVAT writes them"
    parser.add_argument("--crowd", choices=("refuse", "as-lesion"), default="refuse", help=text)
    add_flag(parser, "--allow-missing", "go on without labelled images that the input does not have, and count them")


def add_tensorboard(parser: argparse.ArgumentParser, where: str) -> None:
    """``--tensorboard``: True without a folder."""
    text = f"write scalars and images for TensorBoard (extra tensorboard) to DIR (default: {where}/tensorboard)"
    parser.add_argument("--tensorboard", type=Path, nargs="?", const=True, metavar="DIR", help=text)


def board_folder(args: argparse.Namespace, run: Path) -> Optional[Path]:
    """The folder of ``--tensorboard``, by default in ``run``; None without. Raises InputError without the package."""
    from gluon_liver.runs.tensorboard import FOLDER, check_installed

    if args.tensorboard is None:
        return None
    check_installed()
    return run / FOLDER if args.tensorboard is True else Path(args.tensorboard)


def take_input(args: argparse.Namespace, name: str, metavar: str) -> None:
    """Give the positional argument ``name`` back what ``--labels`` or ``--masks`` took from it: they take all that
    follows.

    Raises :class:`InputError` where there is no such argument.
    """
    if getattr(args, name) is None:
        taken = args.labels or getattr(args, "masks", None)
        if not taken or len(taken) < 2 or taken[-1].suffix.lower() == ".json":
            raise InputError(f"say what is imported: {metavar} is missing")
        setattr(args, name, taken.pop())


def label_options(args: argparse.Namespace) -> LabelOptions:
    """What :func:`add_labels` added, but for the files. Raises :class:`InputError` where there are no label files."""
    from gluon_liver.labels.source import LabelOptions

    masks = bool(getattr(args, "masks", None))
    given = [
        name
        for name in ("classes", "map", "allow_missing")
        if getattr(args, name) and (name, masks) != ("classes", True)
    ]
    if not args.labels and (given or args.crowd != "refuse"):
        name = given[0].replace("_", "-") if given else "crowd"
        raise InputError(f"--{name} is for label files: give these with --labels")
    return LabelOptions(**chosen(args, "classes", "map", "crowd", "allow_missing"))


def chosen(args: argparse.Namespace, *names: str) -> Dict[str, Any]:
    """The options of these names, as keyword arguments."""
    return {name: getattr(args, name) for name in names}


def prepare_device(args: argparse.Namespace) -> None:
    """Called before MXNet is imported: see :func:`gluon_liver.system.runtime.prefer_synchronous_engine`.

    A command without ``--device`` works on the CPU. Raises :class:`InputError` for what names no device and for a GPU
    that is not there.
    """
    from gluon_liver.runs.devices import check_device
    from gluon_liver.system.runtime import prefer_synchronous_engine

    device = getattr(args, "device", "cpu")
    check_device(device)
    if device == "cpu":
        prefer_synchronous_engine()


def prepare_engine(args: argparse.Namespace) -> EngineChoice:
    """What ``--engine``, ``--device`` and ``--precision`` say; called before MXNet is imported.

    Raises :class:`InputError` for an engine, a device, graphs or a precision that cannot be used.
    """
    precision = getattr(args, "precision", "float32")
    if args.engine == "mxnet":
        prepare_device(args)
    else:
        _check_onnx(args, precision)
    from gluon_liver.inference.choice import EngineChoice

    return EngineChoice(args.engine, args.device, precision)


def _check_onnx(args: argparse.Namespace, precision: str) -> None:
    from gluon_liver.onnx.manifest import read_manifest
    from gluon_liver.onnx.session import check_installed, check_whole, providers_for
    from gluon_liver.runs.devices import check_device
    from gluon_liver.system.runtime import prefer_synchronous_engine

    check_whole(dense=getattr(args, "dense", False), explain=getattr(args, "explain", False), precision=precision)
    check_installed(f"--engine {args.engine}", *(["onnx"] if args.engine == "onnx" else []), "onnxruntime")
    check_device(args.device)
    providers_for(args.device)
    if args.engine != "onnx":
        if not Path(args.engine).is_dir():
            raise InputError(f"--engine {args.engine}: it is mxnet, onnx, or a folder that export --onnx made")
        read_manifest(Path(args.engine))
    prefer_synchronous_engine()  # MXNet alone reads checkpoints here


def prepare_cache(args: argparse.Namespace) -> None:
    """Keep windowed images where ``--cache`` says."""
    from gluon_liver.data.windowed_images import use_cache

    use_cache(args.cache)


def check(args: argparse.Namespace, name: str, limit: Limit) -> None:
    """Raise :class:`InputError` for a value out of limits; an option that was not given is None."""
    value = getattr(args, name)
    if value is not None and not limit.holds(value):
        raise InputError(f"--{name.replace('_', '-')} {value}: it must be {limit.wanted}")


def open_run(args: argparse.Namespace) -> Tuple[Run, Dataset]:
    """``--run`` and the data of ``--data``, the run's own by default.

    Raises DatasetError where these are gone, and :class:`InputError` where something is to be written into them.
    """
    from gluon_liver.data.open import open_dataset
    from gluon_liver.errors import DatasetError
    from gluon_liver.runs.run import Run

    run = Run.open(args.run)
    if args.data is None and not (run.data_folder / "dataset.json").is_file():
        where = f"{run.folder} was trained on {run.data_folder}, where no prepared data are now"
        raise DatasetError(f"{where}: the run or the data were moved; say where the data are with --data DIR")
    dataset = open_dataset(run.data_folder if args.data is None else args.data)
    refuse_inside(args, dataset.folder)
    tell_changed_labels(dataset)
    return run, dataset


def tell_changed_labels(dataset: Dataset) -> None:
    """Say on stderr where labels.json was edited after the import, and how that is accepted."""
    changed = dataset.changed_labels()
    if changed:
        accept = f"`python -m gluon_liver doctor --data {dataset.folder} --accept-labels`"
        print(f"note: {dataset.folder}: {changed}; if that is meant, {accept} says so", file=sys.stderr)


def given_settings(args: argparse.Namespace) -> ScoreSettings:
    """What :data:`METRIC_OPTIONS` say, whatever the run is: asked before MXNet is imported.

    Raises :class:`InputError` for values that cannot be.
    """
    from gluon_liver.evaluation.task import ScoreSettings
    from gluon_liver.metrics.lesions import Hit

    check(args, "bootstrap", at_least(1))
    fields: Dict[str, Tuple[str, Callable[[Any], Any]]] = {
        "bootstrap": ("replicates", int),
        "froc_rates": ("fp_rates", tuple),
        "lesion_hit": ("lesion_hit", Hit.parse),
        "lesion_bins": ("lesion_bins", tuple),
    }
    given = {name: value for name, value in chosen(args, *METRIC_OPTIONS).items() if value is not None}
    return ScoreSettings(**{fields[name][0]: fields[name][1](value) for name, value in given.items()})


def score_settings(args: argparse.Namespace, run: Run) -> ScoreSettings:
    """:func:`given_settings`. Raises :class:`InputError` for a run whose task does not have them."""
    from gluon_liver.data.open import TASKS
    from gluon_liver.evaluation.registry import EVALUATIONS

    given = [name for name, value in chosen(args, *METRIC_OPTIONS).items() if value is not None]
    why_not = EVALUATIONS[run.config.task].no_bootstrap
    if given and why_not:
        titles = " and ".join(TASKS[name].dataset.title for name, task in EVALUATIONS.items() if not task.no_bootstrap)
        option = "--" + given[0].replace("_", "-")
        raise InputError(f"{option} is for {titles} runs: {run.folder} is {why_not}; leave it out")
    return given_settings(args)
