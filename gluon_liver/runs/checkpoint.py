"""Checkpoints: folders of parameters, training state and a manifest of sizes and SHA-256, written whole or not at all.

Nothing in it is pickled, and what the manifest does not list is never opened. Anchors are constants of the
configuration and are not saved. A folder is written as NAME.partial and taken away as NAME.removed, so what bears a
checkpoint's name is complete whenever the process is killed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.load import save_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import InputError, RunError, TrainingError
from gluon_liver.files.arrays import save_arrays
from gluon_liver.files.atomic import PARTIAL, sync
from gluon_liver.files.json_records import read_record
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.params_check import check_params

from .fault_points import fault_point
from .manifest import CONFIG, MANIFEST, OPTIMIZER, PARAMETERS, STATE, DamageError, verified, write_manifest
from .run import CHECKPOINT, Run
from .training_state import TrainingState

REMOVED = ".removed"
BEST = "best.json"  # of a run folder: which checkpoint is the best
NO_BEST = "delete it to use the newest checkpoint"
REMEDY = "delete that folder to use the checkpoint before it, or train again"


@dataclass(frozen=True)
class Best:
    """What best.json says: the checkpoint by name, its COCO mAP, and the split that was scored."""

    checkpoint: str
    map: float
    split: str


def checkpoint_name(step: int) -> str:
    """Of the folder of a checkpoint after ``step`` updates."""
    return f"step-{step:08d}"


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
        _put_in_place(partial, target)
    except OSError as error:
        raise RunError(f"{target}: the checkpoint cannot be written: is the disk full? ({error})") from error
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
    return target


def newest_checkpoint(folder: Path) -> Path:
    """The last complete checkpoint of a run. Raises :class:`RunError` when there is none."""
    checkpoints = _checkpoints(folder)
    if not checkpoints:
        raise RunError(f"no checkpoint in {folder}: the run was not trained to its first checkpoint")
    return checkpoints[0]


def chosen_checkpoint(run: Run) -> Path:
    """The best checkpoint of a run that chose one, else the newest. Raises :class:`RunError` when there is none."""
    best = read_best(run)
    if best is None:
        return newest_checkpoint(run.checkpoints)
    path = run.checkpoints / Path(best.checkpoint).name
    if path.name != best.checkpoint or not CHECKPOINT.fullmatch(path.name) or not path.is_dir():
        raise RunError(f"{run.folder / BEST} names {path.name}, which is not there: {NO_BEST}")
    return path


def read_best(run: Run) -> Optional[Best]:
    """What best.json of a run says, None where it has none. Raises :class:`RunError` when it is damaged."""
    path = run.folder / BEST
    if not path.exists():
        return None
    return read_record(Best, path, error=RunError, remedy=NO_BEST)


def load_checkpoint(path: Path, detector: RegionDetector) -> Dict[str, Any]:
    """Set the detector's parameters on all its devices; returns the manifest. Reads no other file of the folder.

    Raises :class:`RunError` when a file is missing, differs from the manifest, or holds another architecture.
    """
    manifest = _manifest(path, PARAMETERS)
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


def read_parameters(path: Path) -> Tuple[Dict[str, Any], Dict[str, mx.nd.NDArray]]:
    """The manifest of a checkpoint, and its parameters by structural name. Raises as :func:`load_checkpoint`."""
    return _manifest(path, PARAMETERS), _load_arrays(path / PARAMETERS)


def load_state(path: Path) -> TrainingState:
    """The training state of a checkpoint all of whose files are what its manifest says.

    Raises :class:`RunError` when a file is missing or damaged, or the checkpoint was saved without a state.
    """
    listed = _manifest(path)["files"]
    if STATE not in listed:
        raise RunError(f"{path} holds no training state: it can be evaluated, but not resumed from")
    state = read_record(TrainingState, path / STATE, error=RunError, remedy=REMEDY, refuse_unknown=True)
    state.arrays = _load_arrays(path / OPTIMIZER) if OPTIMIZER in listed else {}
    return state


def newest_intact(folder: Path, *, resumable: bool = False) -> Tuple[Optional[Path], List[str]]:
    """The newest checkpoint whose files are what its manifest says, or None; and why newer ones were passed over.

    With ``resumable``, those without a training state are passed over too.
    """
    passed = []
    for path in _checkpoints(folder):
        try:
            manifest = verified(path)
        except DamageError as damage:
            passed.append(f"{path.name}: {damage}")
            continue
        if not resumable or STATE in manifest["files"]:
            return path, passed
        passed.append(f"{path.name}: it holds no training state")
    return None, passed


def prune(folder: Path, *, keep: int, spare: Collection[str] = (), step: Optional[int] = None) -> List[Path]:
    """Remove all checkpoints but the newest ``keep`` intact ones and those named in ``spare``; returns the removed.

    With ``step``, which the run is at, later ones go too: they are of a part of the run that was left for an earlier
    checkpoint.

    Also clears away what a killed process left half-written or half-removed. Reads ``keep`` checkpoints whole: a
    damaged one must not crowd out a good one. Raises :class:`RunError` when one cannot be removed.
    """
    checkpoints = _checkpoints(folder)
    standing = [path for path in checkpoints if step is None or path.name <= checkpoint_name(step)]
    intact = list(itertools.islice(filter(_is_intact, standing), keep))
    # where none is intact, a disk that cannot be read just now is likelier than that all are lost
    surplus = [path for path in checkpoints if path not in intact and path.name not in spare] if intact else []
    try:
        for path in surplus:
            remove_checkpoint(path)
        for path in folder.glob("step-*"):
            if path.name.endswith((PARTIAL, REMOVED)):
                shutil.rmtree(str(path))
    except OSError as error:
        raise RunError(f"{folder}: an old checkpoint cannot be removed ({error})") from error
    return surplus


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint; whatever stops that half-way, nothing incomplete bears its name."""
    aside = _set_aside(path)
    sync(path.parent)
    fault_point("checkpoint.pruned")
    shutil.rmtree(str(aside))


def _checkpoints(folder: Path) -> List[Path]:
    """Newest first."""
    return sorted((path for path in folder.glob("*") if CHECKPOINT.fullmatch(path.name)), reverse=True)


def _manifest(path: Path, *names: str) -> Dict[str, Any]:
    try:
        return verified(path, *names)
    except DamageError as damage:
        raise RunError(f"{path}: {damage}; {REMEDY}") from damage


def _is_intact(path: Path) -> bool:
    try:
        return bool(verified(path))
    except DamageError:
        return False


def _put_in_place(partial: Path, target: Path) -> None:
    before = None
    if target.exists():
        # nothing to gain, and between two renames the name would be gone for a moment
        if _is_intact(target) and (target / MANIFEST).read_bytes() == (partial / MANIFEST).read_bytes():
            return
        before = _set_aside(target)
    os.rename(str(partial), str(target))
    fault_point("checkpoint.renamed")
    sync(target.parent)
    if before is not None:
        shutil.rmtree(str(before))


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + REMOVED)
    shutil.rmtree(str(aside), ignore_errors=True)
    os.rename(str(path), str(aside))
    return aside


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
