"""Checkpoints: a folder with the parameters and a manifest of sizes and SHA-256, written whole or not at all.

Nothing in it is pickled. Anchors are constants of the configuration and are not saved.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Optional

import mxnet as mx
import numpy as np

from ..errors import RunError, TrainingError
from ..nn.regions import RegionDetector
from .run import CHECKPOINT, Run

PARAMETERS, MANIFEST = "net.params", "manifest.json"
BEST = "best.json"  # of a run folder: which checkpoint is the best
REMEDY = "delete that folder to use the checkpoint before it, or train again"


def save_checkpoint(folder: Path, detector: RegionDetector, *, step: int, epoch: int) -> Path:
    """Write ``folder``/step-00000000, fsynced and renamed into place; returns its path.

    Raises :class:`TrainingError` when a parameter is not finite and :class:`RunError` when the disk is full.
    """
    target = folder / "step-{:08d}".format(step)
    learned = _learned(detector)
    broken = [name for name, value in learned.items() if not np.isfinite(value.asnumpy()).all()]
    if broken:
        raise TrainingError("step {}: {} is not finite, so nothing was saved".format(step, broken[0]))
    partial = folder / (target.name + ".partial")
    shutil.rmtree(str(partial), ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        mx.nd.save(str(partial / PARAMETERS), learned)
        # MXNet does not notice every failed write
        whole = set(mx.nd.load(str(partial / PARAMETERS))) == set(learned)
    except mx.MXNetError:
        whole = False
    if not whole:
        shutil.rmtree(str(partial), ignore_errors=True)
        raise RunError("{}: the checkpoint cannot be written: is the disk full?".format(target))
    manifest = {
        "format": 1, "step": step, "epoch": epoch, "classes": list(detector.classes),
        "files": {PARAMETERS: _digest(partial / PARAMETERS)},
    }  # fmt: skip
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in (partial / PARAMETERS, partial / MANIFEST, partial):
        _fsync(path)
    if target.exists():
        shutil.rmtree(str(target))
    os.replace(str(partial), str(target))
    _fsync(folder)
    return target


def newest_checkpoint(folder: Path) -> Path:
    """The last complete checkpoint of a run. Raises :class:`RunError` when there is none."""
    found = sorted(path for path in folder.glob("*") if CHECKPOINT.fullmatch(path.name))
    if not found:
        raise RunError("no checkpoint in {}: the run was not trained to its first checkpoint".format(folder))
    return found[-1]


def chosen_checkpoint(run: Run) -> Path:
    """The best checkpoint of a run that chose one, else the newest. Raises :class:`RunError` when there is none."""
    if not (run.folder / BEST).exists():
        return newest_checkpoint(run.checkpoints)
    path = run.checkpoints / read_best(run)["checkpoint"]
    if not path.is_dir():
        raise RunError("{} names {}, which is not there: delete it to use the newest checkpoint".format(
            run.folder / BEST, path.name))
    return path


def read_best(run: Run) -> Optional[Dict[str, Any]]:
    """What best.json of a run says, None where it has none. Raises :class:`RunError` when it is damaged."""
    path = run.folder / BEST
    if not path.exists():
        return None
    try:
        best = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(best[key], kind) for key, kind in (("checkpoint", str), ("map", float), ("split", str))):
            raise ValueError("checkpoint, map or split are of another kind")
    except (ValueError, LookupError, TypeError) as error:
        raise RunError("{} is damaged ({}): delete it to use the newest checkpoint".format(path, error)) from error
    return best


def load_checkpoint(path: Path, detector: RegionDetector) -> Dict[str, Any]:
    """Set the detector's parameters; returns the manifest.

    Raises :class:`RunError` when a file is missing, differs from the manifest, or holds another architecture.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        expected, classes = manifest["files"][PARAMETERS], manifest["classes"]
        found = _digest(path / PARAMETERS)
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise RunError("{} is not a complete checkpoint ({!r}); {}".format(path, error, REMEDY)) from error
    if found != expected:
        raise RunError("{} is damaged: its size or SHA-256 differs from the manifest; {}".format(
            path / PARAMETERS, REMEDY))
    if classes != list(detector.classes):
        raise RunError("{} has the classes {}, not {}".format(path, classes, list(detector.classes)))
    try:
        saved = mx.nd.load(str(path / PARAMETERS))
    except mx.MXNetError as error:
        raise RunError("{} holds no parameters; {}".format(path / PARAMETERS, REMEDY)) from error
    parameters = detector.collect_learned()
    if set(saved) != set(parameters):
        odd = sorted(set(saved) ^ set(parameters))
        raise RunError(
            "{}: {} parameters do not match the configuration's network, the first is {!r}".format(
                path.name, len(odd), odd[0]
            )
        )
    for name, parameter in parameters.items():
        if parameter.shape != saved[name].shape:
            raise RunError(
                "{}: {} has shape {}, the configuration's network wants {}".format(
                    path.name, name, saved[name].shape, parameter.shape
                )
            )
        if not np.isfinite(saved[name].asnumpy()).all():
            raise RunError("{}: {} holds values that are not finite".format(path.name, name))
        parameter.set_data(saved[name])
    return manifest


def _learned(detector: RegionDetector) -> Dict[str, mx.nd.NDArray]:
    return {name: parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu())
            for name, parameter in detector.collect_learned().items()}


def _digest(path: Path) -> Dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _fsync(path: Path) -> None:
    handle = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
