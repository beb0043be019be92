"""Checkpoints: folders of parameters, training state and a manifest of sizes and SHA-256, written whole or not at all.

Nothing in it is pickled, and what the manifest does not list is never opened. Anchors are constants of the
configuration and are not saved. A folder is written as NAME.partial and taken away as NAME.removed, so what bears a
checkpoint's name is complete whenever the process is killed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.load import save_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import InputError, RunError, TrainingError
from gluon_liver.files.arrays import save_arrays
from gluon_liver.files.atomic import PARTIAL, sync
from gluon_liver.files.json_records import read_record
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.params_check import check_params

from .checkpoint_folder import REMEDY, checkpoint_name, put_in_place, read_manifest, resumable_files
from .fault_points import fault_point
from .manifest import CONFIG, OPTIMIZER, PARAMETERS, STATE, write_manifest
from .run import Run
from .training_state import TrainingState


def save_checkpoint(
    folder: Path,
    detector: RegionDetector,
    *,
    step: int,
    epoch: int,
    state: Optional[TrainingState] = None,
    config: Optional[Config] = None,
) -> Path:
    """Write ``folder``/step-00000000, fsynced and renamed into place; returns its path.

    With ``state`` training can go on from it. A checkpoint of the same step is replaced. Raises
    :class:`TrainingError` when a value is not finite and :class:`RunError` when the disk is full.
    """
    target = folder / checkpoint_name(step)
    groups: Dict[str, Mapping[str, mx.nd.NDArray]] = {PARAMETERS: _learned(detector)}
    if state is not None and state.step != step:
        raise ValueError(f"the state of step {state.step} in the checkpoint of step {step}")
    if state is not None and state.arrays:  # MXNet saves no empty dict
        groups[OPTIMIZER] = state.arrays
    for arrays in groups.values():
        broken = [name for name, value in arrays.items() if not np.isfinite(value.asnumpy()).all()]
        if broken:
            raise TrainingError(f"step {step}: {broken[0]} is not finite, so nothing was saved")
    partial = folder / (target.name + PARTIAL)
    try:
        shutil.rmtree(str(partial), ignore_errors=True)
        partial.mkdir(parents=True)
        fault_point("checkpoint.begun")
        for name, arrays in groups.items():
            save_arrays(partial / name, arrays)
        fault_point("checkpoint.parameters")
        if state is not None:
            (partial / STATE).write_text(json.dumps(state.to_fields(), indent=1, allow_nan=False), encoding="utf-8")
        if config is not None:
            save_config(config, partial / CONFIG)
        write_manifest(partial, step=step, epoch=epoch, classes=detector.classes)
        fault_point("checkpoint.manifest")
        for path in (*partial.iterdir(), partial):
            sync(path)
        put_in_place(partial, target)
    except OSError as error:
        raise RunError(f"{target}: the checkpoint cannot be written: is the disk full? ({error})") from error
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
    return target


def load_checkpoint(path: Path, detector: RegionDetector) -> Dict[str, Any]:
    """Set the detector's parameters on all its devices; returns the manifest. Reads no other file of the folder.

    Raises :class:`RunError` when a file is missing, differs from the manifest, or holds another architecture.
    """
    manifest = read_manifest(path, PARAMETERS)
    if manifest["classes"] != list(detector.classes):
        raise RunError(f"{path} has the classes {manifest['classes']}, not {list(detector.classes)}")
    saved = read_parameters(path)[1]
    parameters = detector.collect_learned()
    odd = sorted(set(saved) ^ set(parameters))
    if odd:
        what = f"{len(odd)} parameters do not match the configuration's network"
        raise RunError(f"{path.name}: {what}, the first is {odd[0]!r}")
    for name, parameter in parameters.items():
        shape, wanted = saved[name].shape, parameter.shape
        if shape != wanted:
            raise RunError(f"{path.name}: {name} has shape {shape}, the configuration's network wants {wanted}")
        if not np.isfinite(saved[name].asnumpy()).all():
            raise RunError(f"{path.name}: {name} holds values that are not finite")
    for name, parameter in parameters.items():
        parameter.set_data(saved[name])
    return manifest


def open_network(
    run: Run, checkpoint: Path, *, context: Optional[mx.Context] = None
) -> Tuple[RegionDetector, Dict[str, Any]]:
    """The network of a run with the parameters of one of its checkpoints, on the CPU by default, and the manifest.

    Raises what :func:`load_checkpoint` does.
    """
    classes, phases = run.environment["classes"], run.input_phases
    detector = make_detector(run.config, classes=classes, phases=phases, context=context or mx.cpu())
    return detector, load_checkpoint(checkpoint, detector)


def read_parameters(path: Path) -> Tuple[Dict[str, Any], Dict[str, mx.nd.NDArray]]:
    """The manifest of a checkpoint, and its parameters by structural name. Raises as :func:`load_checkpoint`."""
    return read_manifest(path, PARAMETERS), _load_arrays(path / PARAMETERS)


def load_state(path: Path) -> TrainingState:
    """The training state of a checkpoint all of whose files are what its manifest says.

    Raises :class:`RunError` when a file is missing or damaged, or the checkpoint was saved without a state.
    """
    listed = resumable_files(path)
    state = read_record(TrainingState, path / STATE, error=RunError, remedy=REMEDY, refuse_unknown=True)
    state.arrays = _load_arrays(path / OPTIMIZER) if OPTIMIZER in listed else {}
    return state


def _learned(detector: RegionDetector) -> Dict[str, mx.nd.NDArray]:
    return {
        name: parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu())
        for name, parameter in detector.collect_learned().items()
    }


def _load_arrays(path: Path) -> Dict[str, mx.nd.NDArray]:
    try:
        check_params(path)
        saved = mx.nd.load(str(path))
    except (InputError, mx.MXNetError, ValueError) as error:  # the last: a name that is not UTF-8
        raise RunError(f"{path} holds no parameters; {REMEDY}") from error
    if not isinstance(saved, dict):
        raise RunError(f"{path} holds arrays without names; {REMEDY}")
    return saved
