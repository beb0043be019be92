"""Runs as Module checkpoints that MXNet 1.0.0 loads, and Module checkpoints as runs.

The networks of ``symbols`` name their parameters as the Gluon networks do, so values pass unchanged either way.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import check_task
from gluon_liver.errors import ConfigError, InputError, RunError
from gluon_liver.files.arrays import save_arrays
from gluon_liver.files.atomic import write_json
from gluon_liver.files.digest import hash_file
from gluon_liver.files.lock import run_lock
from gluon_liver.files.output_folder import check_new, check_output, whole_folder, why_not_written
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.formats import read_module_params
from gluon_liver.runs.checkpoint import open_network, save_checkpoint
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.log import IMPORTED
from gluon_liver.runs.run import Run
from gluon_liver.runs.training_state import TrainingState
from gluon_liver.symbols import __path__ as symbols_folder
from gluon_liver.symbols.module_params import CONSTANT_TOLERANCE
from gluon_liver.symbols.networks.catalogue import network_of
from gluon_liver.symbols.portable import portable_json

from .module_config import CONFIG, params_of, plain_config
from .readme import readme

PREFIX = "detector"
CHECKSUMS, SCRIPT = "SHA256SUMS", "predict.py"
LISTED = 5  # names that an error shows


def export_legacy(run: Run, out: Path, *, batch_size: int = 1) -> str:
    """Write the run's checkpoint to the new folder ``out``, whole or not at all; returns the checkpoint's name.

    Raises :class:`InputError` when ``out`` is taken, and :class:`RunError` when the run has no intact checkpoint or
    ``symbols`` lacks its network.
    """
    check_new(out)
    check_output(out, run.folder, overwrite=False)
    checkpoint = chosen_checkpoint(run)
    detector, manifest = open_network(run, checkpoint)
    plain = plain_config(run.config, run.environment)
    arrays = module_arrays(detector, plain)
    try:
        with whole_folder(out) as folder:
            symbol = _test_symbol(plain, batch_size)
            (folder / f"{PREFIX}-symbol.json").write_text(symbol, encoding="utf-8")
            save_arrays(folder / f"{PREFIX}-0000.params", arrays)
            write_json(folder / CONFIG, plain)
            shutil.copyfile(str(Path(symbols_folder[0]) / SCRIPT), str(folder / SCRIPT))
            shapes = network_of(plain).inputs(plain, batch_size)
            notes = run.config.controls
            record = {**manifest, "frames_per_second": run.environment.get("frames_per_second", [])}
            text = readme(plain, shapes, prefix=PREFIX, notes=notes, checkpoint=checkpoint.name, manifest=record)
            (folder / "README.md").write_text(text, encoding="utf-8")
            (folder / CHECKSUMS).write_text(_checksums(folder), encoding="ascii")
    except OSError as error:
        raise InputError(f"--out {out}: {why_not_written(error)}") from error
    return checkpoint.name


def import_legacy(prefix: str, config: Config, dataset: Dataset, out: Path, *, epoch: int) -> Run:
    """A run of the parameters in ``prefix``-0000.params (of ``epoch``), trained on the dataset's training patients.

    Its only checkpoint is of step 0, from which training can go on. Raises :class:`InputError` that lists what does
    not fit the configuration's network, :class:`DatasetError` for data of another kind, :class:`RunError` when
    ``out`` is taken.
    """
    check_task(config, dataset)
    path = params_of(prefix, epoch)
    detector = make_detector(config, classes=dataset.classes, phases=dataset.input_phases(config), context=mx.cpu())
    set_parameters(detector, plain_config(config, dataset.training_record()), path)
    run = Run.create(out, config, dataset=dataset)
    try:
        with run_lock(run.folder):
            state = TrainingState(0, 0, 0, config.train.seed, config.train.optimizer, update_counts={})
            run.log(IMPORTED, step=0, epoch=0, sha256=hash_file(path), module_epoch=epoch)
            saved = save_checkpoint(run.checkpoints, detector, step=0, epoch=0, state=state, config=config)
            run.log("checkpoint", step=0, epoch=0, folder=saved.name)
            run.log("end", step=0, epoch=0)
    except BaseException:
        run.discard()
        raise
    return run


def module_arrays(detector: RegionDetector, plain: Dict[str, Any]) -> Dict[str, mx.nd.NDArray]:
    """Everything that a Module of the network takes, by the names of its parameter file.

    Raises :class:`RunError` when ``symbols`` has no such network.
    """
    learned = {name: parameter.data() for name, parameter in detector.collect_learned().items()}
    try:
        network = network_of(plain)
        constants = {name: mx.nd.array(array) for name, array in network.constants(plain).items()}
        aux = {name: array for name, array in learned.items() if is_auxiliary(name)}
        args = {name: array for name, array in dict(learned, **constants).items() if name not in aux}
        network.check_shapes(plain, args, aux)
    except ValueError as error:
        raise RunError(f"symbols/ cannot compute what this run computes: {error}") from error
    return {file_name(name): array for name, array in dict(learned, **constants).items()}


def set_parameters(detector: RegionDetector, plain: Dict[str, Any], path: Path) -> None:
    """Set a detector from a Module's parameter file; the constants in it must be those of the configuration.

    Raises :class:`InputError` that lists what is missing, unknown, or of another shape, and names what is not finite.
    """
    try:
        constants = network_of(plain).constants(plain)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    given, learned = read_module_params(path), detector.collect_learned()
    wanted = {file_name(name): parameter.shape for name, parameter in learned.items()}
    known = dict({file_name(name): array.shape for name, array in constants.items()}, **wanted)
    odd = [text for name in sorted({*wanted, *given}) for text in _oddity(name, given, known)]
    if odd:
        more = f", and {len(odd) - LISTED} more" if len(odd) > LISTED else ""
        raise InputError(f"{path} does not fit the configuration's network: {'; '.join(odd[:LISTED])}{more}")
    broken = [name for name, array in given.items() if not np.isfinite(array).all()]
    if broken:
        raise InputError(f"{path}: {broken[0]} holds values that are not finite")
    for name, array in constants.items():
        stored = given.get(file_name(name), array)
        if np.abs(stored - array).max() > CONSTANT_TOLERANCE * max(1.0, float(np.abs(array).max())):
            raise InputError(f"{path}: the constant {name} differs: the checkpoint was made with another configuration")
    for name, parameter in learned.items():
        parameter.set_data(mx.nd.array(given[file_name(name)]))


def is_auxiliary(name: str) -> bool:
    """Whether a Module keeps a parameter among its auxiliary states."""
    return ".running_" in name


def file_name(name: str) -> str:
    """The name of a parameter in a Module's parameter file."""
    return ("aux:" if is_auxiliary(name) else "arg:") + name


def _oddity(name: str, given: Dict[str, np.ndarray], known: Dict[str, Tuple[int, ...]]) -> Iterator[str]:
    if name not in given:
        yield f"{name} {known[name]} is missing"
    elif name not in known:
        yield f"{name} {given[name].shape} is unknown"
    elif given[name].shape != known[name]:
        yield f"{name} {given[name].shape} is of another shape, wanted {known[name]}"


def _test_symbol(plain: Dict[str, Any], batch_size: int) -> str:
    """The JSON of the network for inference, with the shapes of its inputs on them: a symbol is of one batch size."""
    network = network_of(plain)
    tree = json.loads(portable_json(network.get_symbol_test(plain, batch_size)))
    shapes = network.inputs(plain, batch_size)
    for node in tree["nodes"]:
        if node["op"] == "null" and node["name"] in shapes:
            node.setdefault("attrs", {})["__shape__"] = str(tuple(shapes[node["name"]]))
    return json.dumps(tree, indent=1, sort_keys=True)


def _checksums(folder: Path) -> str:
    """What ``sha256sum -c`` reads."""
    return "".join(f"{hash_file(path)}  {path.name}\n" for path in sorted(folder.glob("[!.]*")))
